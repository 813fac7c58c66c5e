// SPDX-License-Identifier: Apache-2.0
//
// Files to pass with messages, and how many descriptors are open.

#ifndef IPC_TESTS_INTEGRATION_OPEN_FILES_H_
#define IPC_TESTS_INTEGRATION_OPEN_FILES_H_

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ipc/attachments.h"
#include "libipc/net/fd.h"
#include "tests/integration/bus.h"

namespace ipc::test {

// A file of its own with `text` in it.
inline net::Fd FileWith(std::string_view text) {
  net::Fd fd(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(pwrite(fd.get(), text.data(), text.size(), 0),
            static_cast<ssize_t>(text.size()));
  return fd;
}

// All of a short file, wherever its offset is.
inline std::string ReadAll(int fd) {
  std::array<char, 4096> buffer;
  const ssize_t size = pread(fd, buffer.data(), buffer.size(), 0);
  return size < 0 ? "cannot read"
                  : std::string(buffer.data(), static_cast<size_t>(size));
}

// Of this process.
inline size_t OpenDescriptors() {
  std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// The same file, so often.
inline Attachments AttachmentsOf(std::string_view text, size_t count = 1) {
  Attachments attachments;
  const net::Fd file = FileWith(text);
  for (size_t i = 0; i < count; ++i) {
    EXPECT_OK(attachments.AttachFd(file.get()));
  }
  return attachments;
}

// "payload:content" of each message.
inline std::vector<std::string> WithContents(const Inbox& inbox) {
  std::vector<std::string> all;
  for (const Message& message : inbox.Get()) {
    std::string text(message.text());
    for (int fd : message.fds()) absl::StrAppend(&text, ":", ReadAll(fd));
    all.push_back(std::move(text));
  }
  return all;
}

// "1:f1" and so on, of messages that say so.
inline std::vector<std::string> Numbered(int first, int last) {
  std::vector<std::string> all;
  for (int i = first; i <= last; ++i) all.push_back(absl::StrCat(i, ":f", i));
  return all;
}

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_OPEN_FILES_H_
