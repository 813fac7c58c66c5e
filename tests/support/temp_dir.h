// SPDX-License-Identifier: Apache-2.0
//
// A private folder (mode 0700) for one test, removed with all that is in it.
// Its path is short, so that a socket's path fits.

#ifndef IPC_TESTS_SUPPORT_TEMP_DIR_H_
#define IPC_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>
#include <string_view>

namespace ipc::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` in it.
  std::string File(std::string_view name) const;
  // Makes a file in it and returns its path.
  std::string Write(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
};

// What is in a file; empty if it cannot be read.
std::string ReadFile(const std::string& path);

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_TEMP_DIR_H_
