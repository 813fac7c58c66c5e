// SPDX-License-Identifier: Apache-2.0
//
// The last publication of each channel that retains it, for readers that come
// later. While the log holds a publication it is found there; this keeps a
// copy of the last one that the log has released, so one message for each
// channel that retains, and nothing for any other.
//
//   kept here ─── in publish order ───> log.head() ... the log ...
//
// Everything kept here was published before everything that is in the log.

#ifndef IPC_LIBIPC_CORE_RETAINED_H_
#define IPC_LIBIPC_CORE_RETAINED_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/base/ids.h"
#include "libipc/core/log.h"
#include "libipc/wire/control.h"

namespace ipc::core {

class Retained {
 public:
  // `channel` retains what it publishes from sequence `from` on, and nothing
  // that was before it.
  void Begin(ChannelNumber channel, uint64_t from);
  void End(ChannelNumber channel);

  // Whether any channel retains.
  bool any() const { return count_ > 0; }
  // Whether publication `sequence` of `channel` may be handed to new readers.
  bool Covers(uint32_t channel, uint64_t sequence) const;
  // When `channel`'s publication that is kept here was published, if it is
  // `sequence`.
  std::optional<int64_t> TimeOf(uint32_t channel, uint64_t sequence) const;

  // Before `log` releases what `acknowledged` (by channel number) covers.
  void Keep(const Log& log, std::span<const uint64_t> acknowledged);

  // How often something was kept: what is kept later has a higher number.
  uint64_t kept() const { return kept_; }
  // Frames of a publication that was kept, one behind the other.
  struct Kept {
    uint64_t number = 0;
    uint64_t end = 0;  // the offset behind it in the log that let it go
    std::string_view frames;
    Descriptors descriptors;
  };
  // Of those with a number above `after`, the first one at or behind what is
  // wanted; its number is 0 if there is none.
  Kept Next(uint64_t after, std::span<const wire::Resend::From> wanted) const;

 private:
  struct Value {
    uint64_t from = 1;
    uint64_t sequence = 0;  // 0: none
    uint64_t number = 0;
    uint64_t end = 0;
    bool whole = false;  // its last fragment is here
    std::string frames;
    Descriptors descriptors;
  };
  const Value* Find(uint32_t channel) const {
    return channel < values_.size() ? values_[channel].get() : nullptr;
  }

  std::vector<std::unique_ptr<Value>> values_;  // by channel number
  size_t count_ = 0;
  uint64_t kept_ = 0;
};

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_RETAINED_H_
