// SPDX-License-Identifier: Apache-2.0
//
// Writing a whole file.

#ifndef IPC_TESTS_BENCH_FILE_H_
#define IPC_TESTS_BENCH_FILE_H_

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ipc::bench {

// Errors: kInternal.
inline absl::Status WriteFile(const std::string& path,
                              const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? absl::OkStatus()
              : absl::InternalError(absl::StrCat("cannot write ", path));
}

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_FILE_H_
