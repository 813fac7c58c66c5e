// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that have come on a connection and belong to no frame yet. The
// descriptors of a frame are passed by one call, beside its first byte, and
// that call may not pass any others: so what comes is a list of batches, and a
// frame that has descriptors takes the oldest.

#ifndef IPC_LIBIPC_WIRE_PASSED_DESCRIPTORS_H_
#define IPC_LIBIPC_WIRE_PASSED_DESCRIPTORS_H_

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "libipc/base/descriptors.h"
#include "libipc/wire/frame.h"

namespace ipc::wire {

class PassedDescriptors {
 public:
  bool empty() const { return batches_.empty(); }
  void Add(Descriptors batch) { batches_.push_back(std::move(batch)); }
  void Clear() { batches_.clear(); }

  // Those of a frame that says to have so many (1 or more). Null: other ones
  // were passed, or none.
  Descriptors Take(size_t count) {
    if (empty() || batches_.front()->size() != count) return nullptr;
    Descriptors taken = std::move(batches_.front());
    batches_.erase(batches_.begin());
    return taken;
  }

  // Whether all that is left can belong to the frame of which `tail` is the
  // beginning, when all whole frames have taken theirs.
  bool MayBelongTo(std::span<const std::byte> tail) const {
    if (empty()) return true;
    if (batches_.size() > 1 || tail.empty()) return false;
    return tail.size() < kFrameHeaderBytes ||
           LoadHeader(tail.data()).descriptors == batches_.front()->size();
  }

 private:
  // A vector, because an idle connection holds no memory.
  std::vector<Descriptors> batches_;
};

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_PASSED_DESCRIPTORS_H_
