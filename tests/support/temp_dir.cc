// SPDX-License-Identifier: Apache-2.0
//
// See temp_dir.h.

#include "tests/support/temp_dir.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "gtest/gtest.h"

namespace ipc::test {

TempDir::TempDir() {
  const char* parent = getenv("TMPDIR");
  path_ = std::string(parent == nullptr ? "/tmp" : parent) + "/ipc-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    ADD_FAILURE() << "cannot make a folder " << path_;
  }
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::File(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string TempDir::Write(std::string_view name,
                           std::string_view content) const {
  std::ofstream(File(name), std::ios::binary) << content;
  return File(name);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace ipc::test
