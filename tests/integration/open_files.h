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

#include "gtest/gtest.h"
#include "libipc/net/fd.h"

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

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_OPEN_FILES_H_
