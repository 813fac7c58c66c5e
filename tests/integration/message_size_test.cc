// SPDX-License-Identifier: Apache-2.0
//
// Messages of every size that matters: empty, around the largest payload of a
// frame, larger than the window, at the limit and above it.

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/support/sample.pb.h"

namespace ipc::test {
namespace {

constexpr size_t kFramePayloadBytes = size_t{64} << 10;
constexpr size_t kMessageBytesMax = size_t{16} << 20;
constexpr std::array<size_t, 9> kSizes = {0,
                                          1,
                                          kFramePayloadBytes - 1,
                                          kFramePayloadBytes,
                                          kFramePayloadBytes + 1,
                                          2 * kFramePayloadBytes,
                                          5 * kFramePayloadBytes + 17,
                                          kMessageBytesMax - 1,
                                          kMessageBytesMax};

// Differs from place to place and from size to size.
std::string Content(size_t bytes) {
  std::string content(bytes, '\0');
  uint32_t state = static_cast<uint32_t>(bytes) + 1;
  for (char& c : content) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return content;
}

class MessageSizeTest : public BusTest {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    reader_ = Connect("reader");
    writer_ = Connect("writer");
  }
  void ExpectUnharmed() {
    EXPECT_EQ(reader_->stats().connections, 1u);
    EXPECT_EQ(writer_->stats().connections, 1u);
    EXPECT_TRUE(writer_->connected());
  }

  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
};

TEST_F(MessageSizeTest, RawMessagesOfEverySizeArriveAsTheyWere) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto handled, reader_->SubscribeRaw("a/*", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(auto pulled, reader_->SubscribeRaw("a/*", Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, writer_->AdvertiseRaw("a/b"));
  // One that is larger than the window waits until those before are consumed.
  std::thread writing([&] {
    for (size_t bytes : kSizes) {
      EXPECT_OK(publisher.Publish(Content(bytes))) << bytes;
    }
  });
  for (size_t bytes : kSizes) {
    const auto message = pulled.Next(kPatience);
    EXPECT_OK(message);
    if (!message.ok()) break;
    EXPECT_EQ(message->payload().size(), bytes);
    EXPECT_TRUE(message->text() == Content(bytes)) << bytes;
  }
  writing.join();
  ASSERT_OK(writer_->Flush(kPatience));
  const std::vector<Message> messages = inbox.Get();
  ASSERT_EQ(messages.size(), kSizes.size());
  for (size_t i = 0; i < kSizes.size(); ++i) {
    EXPECT_TRUE(messages[i].text() == Content(kSizes[i])) << kSizes[i];
    EXPECT_EQ(messages[i].sequence(), i + 1);
  }
  ExpectUnharmed();
}

TEST_F(MessageSizeTest, TypedMessagesOfEverySizeArriveAsTheyWere) {
  ASSERT_OK_AND_ASSIGN(auto pulled,
                       reader_->Subscribe<Sample>("a/*", Patient()));
  ASSERT_OK_AND_ASSIGN(Publisher<Sample> publisher,
                       writer_->Advertise<Sample>("a/b"));
  std::vector<size_t> sent;
  for (size_t bytes : kSizes) {
    // The field's tag and length; only a message of 1 byte there is not.
    size_t overhead = bytes == 0 ? 0 : 2;
    for (size_t rest = bytes; rest >= 128; rest /= 128) ++overhead;
    Sample sample;
    if (bytes > overhead) sample.set_data(Content(bytes - overhead));
    sent.push_back(sample.ByteSizeLong());
    EXPECT_GE(sent.back() + 1, bytes);
    ASSERT_OK(publisher.Publish(sample)) << bytes;
    ASSERT_OK_AND_ASSIGN(const Received<Sample> received,
                         pulled.Next(kPatience));
    EXPECT_EQ(received.message.payload().size(), sent.back());
    EXPECT_TRUE(received.value.data() == sample.data()) << bytes;
  }
  EXPECT_EQ(sent.front(), 0u);
  EXPECT_EQ(sent.back(), kMessageBytesMax);
  ExpectUnharmed();
}

TEST_F(MessageSizeTest, OneByteOverTheLimitIsRefusedAndHarmsNothing) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      reader_->SubscribeRaw("a/*", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher raw, writer_->AdvertiseRaw("a/raw"));
  ASSERT_OK_AND_ASSIGN(Publisher<Sample> typed,
                       writer_->Advertise<Sample>("a/typed"));
  const absl::Status status = raw.Publish(Content(kMessageBytesMax + 1));
  EXPECT_CODE(kInvalidArgument, status);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr(absl::StrCat(kMessageBytesMax)));
  EXPECT_CODE(kInvalidArgument,
              raw.TryPublish(Bytes(Content(kMessageBytesMax + 1))));
  Sample sample;
  sample.set_data(Content(kMessageBytesMax));
  EXPECT_CODE(kInvalidArgument, typed.Publish(sample));
  ASSERT_OK(raw.Publish("fits"));
  ASSERT_OK(writer_->Flush(kPatience));
  ASSERT_EQ(inbox.Texts(), std::vector<std::string>{"fits"});
  EXPECT_EQ(inbox.Get().front().sequence(), 1u);
  ExpectUnharmed();
}

TEST_F(MessageSizeTest, ABrokersOwnLimitCounts) {
  // A broker that sees no client of an earlier one acknowledges soon.
  reader_ = nullptr;
  writer_ = nullptr;
  EXPECT_EQ(broker_.Terminate(), 0);
  broker_.AddArgument("--message-bytes-max");
  broker_.AddArgument("2000");
  broker_.Start();
  auto client = Connect("client");
  ASSERT_OK_AND_ASSIGN(const BrokerInfo info, client->broker());
  EXPECT_EQ(info.message_bytes_max, 2000u);
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  EXPECT_OK(publisher.Publish(Content(2000)));
  EXPECT_CODE(kInvalidArgument, publisher.Publish(Content(2001)));
  EXPECT_OK(client->Flush(kPatience));
}

// Accepted before a broker with a lower limit was there: the broker says no,
// and the application hears of it.
TEST_F(MessageSizeTest, AMessageThatALaterBrokerDoesNotTakeIsToldAsRefused) {
  EventLog log;
  ClientOptions options = Options("early");
  options.on_event = log.Handler();
  auto client = Connect(options);
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, client->AdvertiseRaw("a/b"));
  broker_.Kill();
  ASSERT_TRUE(log.WaitFor(Event::Kind::kDisconnected));
  ASSERT_OK(publisher.Publish(Content(100'000)));
  ASSERT_OK(publisher.Publish("small"));
  broker_.AddArgument("--message-bytes-max");
  broker_.AddArgument("2000");
  broker_.Start();
  ASSERT_TRUE(log.WaitFor(Event::Kind::kRefused));
  const Event refused = log.Of(Event::Kind::kRefused).front();
  EXPECT_CODE(kInvalidArgument, refused.status);
  EXPECT_OK(client->Flush(kPatience));
}

}  // namespace
}  // namespace ipc::test
