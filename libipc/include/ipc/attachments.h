// SPDX-License-Identifier: Apache-2.0
//
// Descriptors (files, pipes, shared memory, processes) that go with a message.

#ifndef IPC_LIBIPC_INCLUDE_IPC_ATTACHMENTS_H_
#define IPC_LIBIPC_INCLUDE_IPC_ATTACHMENTS_H_

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "ipc/export.h"

namespace ipc {

// Up to 16 descriptors in order. Copies share them; adding one to a copy leaves
// the others as they are. They are closed when the last copy is gone, and the
// last message that was published with them is acknowledged. One object is for
// one thread at a time.
//
//   ipc::Attachments attachments;
//   if (auto status = attachments.AttachFd(file); !status.ok()) return status;
//   return publisher.Publish(message, attachments);
class IPC_EXPORT Attachments {
 public:
  Attachments() = default;

  // As many as a message may have.
  static constexpr size_t kSizeMax = 16;

  // Adds a duplicate of `fd`, which stays the caller's: it may be closed at
  // once. What is published are the same open file, its offset included.
  // Errors: kInvalidArgument if it is not open, a socket of the Unix domain, or
  // a ring of io_uring, which cannot be passed; kResourceExhausted if there are
  // 16 already, or the process has no room for another descriptor.
  absl::Status AttachFd(int fd);

  size_t size() const { return fds().size(); }
  bool empty() const { return fds_ == nullptr; }
  // Borrowed: valid as long as this object or a copy of it is, and unchanged.
  std::span<const int> fds() const {
    return fds_ == nullptr ? std::span<const int>() : *fds_;
  }

  // For the library.
  explicit Attachments(std::shared_ptr<const std::vector<int>> fds)
      : fds_(std::move(fds)) {}
  const std::shared_ptr<const std::vector<int>>& shared() const { return fds_; }

 private:
  std::shared_ptr<const std::vector<int>> fds_;  // null: none; closes them
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_ATTACHMENTS_H_
