// SPDX-License-Identifier: Apache-2.0
//
// A folder for the files of one measurement, in the system's place for
// temporary files. It is removed at the end, also when that is a signal.

#ifndef IPC_TESTS_BENCH_FOLDER_H_
#define IPC_TESTS_BENCH_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace ipc::bench {

// One at a time.
class TemporaryFolder {
 public:
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Make();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// From now on SIGINT, SIGTERM and SIGHUP remove the folder and end the process,
// with which its children end (process.h). Call it before the first folder is
// made and before any other thread is started.
void RemoveFolderOnSignals();

}  // namespace ipc::bench

#endif  // IPC_TESTS_BENCH_FOLDER_H_
