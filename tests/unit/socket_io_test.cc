// SPDX-License-Identifier: Apache-2.0
//
// Sending and receiving without waiting, and what happens to descriptors that
// nobody asked for.

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/net/unix_socket.h"

namespace ipc::net {
namespace {

using testing::HasSubstr;

class SocketIoTest : public testing::Test {
 protected:
  SocketIoTest() {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ours_ = Fd(pair[0]);
    theirs_ = Fd(pair[1]);
  }

  static std::span<const std::byte> Bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
  }
  static std::string Text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  IoResult SendAll(const std::vector<std::string>& parts) {
    std::vector<std::span<const std::byte>> segments;
    for (const std::string& part : parts) segments.push_back(Bytes(part));
    return Send(ours_.get(), segments);
  }
  IoResult ReceiveSome(std::string* text, size_t room = 1 << 20) {
    std::vector<std::byte> buffer(room);
    IoResult result = Receive(theirs_.get(), buffer);
    *text = Text(std::span(buffer).first(result.bytes));
    return result;
  }

  Fd ours_;
  Fd theirs_;
};

TEST_F(SocketIoTest, SendsSegmentsInTheirOrder) {
  const IoResult sent = SendAll({"one ", "two ", "", "three"});
  EXPECT_EQ(sent.state, IoState::kDone);
  EXPECT_EQ(sent.bytes, 13u);
  std::string text;
  EXPECT_EQ(ReceiveSome(&text).state, IoState::kDone);
  EXPECT_EQ(text, "one two three");
}

TEST_F(SocketIoTest, ReceivesAsMuchAsThereIsRoomFor) {
  SendAll({"0123456789"});
  std::string text;
  EXPECT_EQ(ReceiveSome(&text, 4).bytes, 4u);
  EXPECT_EQ(text, "0123");
  EXPECT_EQ(ReceiveSome(&text).bytes, 6u);
  EXPECT_EQ(text, "456789");
}

TEST_F(SocketIoTest, NothingToReceiveWouldBlock) {
  std::string text;
  const IoResult result = ReceiveSome(&text);
  EXPECT_EQ(result.state, IoState::kWouldBlock);
  EXPECT_EQ(result.bytes, 0u);
}

TEST_F(SocketIoTest, AnOrderlyEndHasNoError) {
  SendAll({"last words"});
  ours_.Reset();
  std::string text;
  EXPECT_EQ(ReceiveSome(&text).state, IoState::kDone);
  const IoResult end = ReceiveSome(&text);
  EXPECT_EQ(end.state, IoState::kClosed);
  EXPECT_EQ(end.error, "");
}

TEST_F(SocketIoTest, AnEndWithUnreadBytesHasAnError) {
  std::string_view unread = "unread";
  ASSERT_EQ(write(theirs_.get(), unread.data(), unread.size()), 6);
  ours_.Reset();
  std::string text;
  const IoResult end = ReceiveSome(&text);
  EXPECT_EQ(end.state, IoState::kClosed);
  EXPECT_EQ(end.error, strerror(ECONNRESET));
}

TEST_F(SocketIoTest, SendingToNobodyIsAnErrorAndNoSignal) {
  theirs_.Reset();
  const IoResult result = SendAll({"to nobody"});
  EXPECT_EQ(result.state, IoState::kClosed);
  EXPECT_EQ(result.error, strerror(EPIPE));
}

TEST_F(SocketIoTest, AFullSocketTakesAPartAndThenNothing) {
  const std::string large(1 << 20, 'x');
  size_t sent = 0;
  IoResult result = SendAll({large, large});
  while (result.state == IoState::kDone) {
    sent += result.bytes;
    result = SendAll({large, large});
  }
  EXPECT_EQ(result.state, IoState::kWouldBlock);
  EXPECT_GT(sent, 0u);
  std::string text;
  size_t received = 0;
  while (ReceiveSome(&text).state == IoState::kDone) received += text.size();
  EXPECT_EQ(received, sent);
  EXPECT_EQ(SendAll({"room again"}).bytes, 10u);
}

TEST_F(SocketIoTest, ASendBufferMayGrow) {
  int before = 0;
  int after = 0;
  socklen_t size = sizeof(before);
  getsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &before, &size);
  SetSendBuffer(ours_.get(), 1 << 30);
  getsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &after, &size);
  EXPECT_GE(after, before);
}

TEST_F(SocketIoTest, SendsNoMoreSegmentsThanTheSystemTakes) {
  const std::vector<std::string> parts(3000, "x");
  const IoResult result = SendAll(parts);
  EXPECT_EQ(result.state, IoState::kDone);
  EXPECT_EQ(result.bytes, 1024u);
}

// -- Descriptors --

void Pass(const Fd& socket, std::string_view bytes,
          const std::vector<int>& fds) {
  iovec vector{.iov_base = const_cast<char*>(bytes.data()),
               .iov_len = bytes.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  ASSERT_EQ(sendmsg(socket.get(), &message, 0),
            static_cast<ssize_t>(bytes.size()));
}

class PassedDescriptorsTest : public SocketIoTest,
                              public testing::WithParamInterface<size_t> {};

TEST_P(PassedDescriptorsTest, AreClosedAndEndTheConnection) {
  int pipe[2];
  ASSERT_EQ(pipe2(pipe, O_NONBLOCK), 0);
  const Fd read_end(pipe[0]);
  Fd write_end(pipe[1]);
  Pass(ours_, "x", std::vector<int>(GetParam(), write_end.get()));
  write_end.Reset();
  char byte;
  ASSERT_EQ(read(read_end.get(), &byte, 1), -1);  // still open on its way
  std::string text;
  const IoResult result = ReceiveSome(&text);
  EXPECT_EQ(result.state, IoState::kClosed);
  EXPECT_THAT(result.error, HasSubstr("descriptors"));
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0);  // nobody has it any more
}

INSTANTIATE_TEST_SUITE_P(Few, PassedDescriptorsTest,
                         testing::Values(1, 2, 100, 253));

}  // namespace
}  // namespace ipc::net
