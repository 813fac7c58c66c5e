// SPDX-License-Identifier: Apache-2.0
//
// The broker's end of a client's socket, as core::Publishing sees it: it takes
// as many bytes as a test says and finds the frames in them.

#ifndef IPC_TESTS_UNIT_BROKER_END_H_
#define IPC_TESTS_UNIT_BROKER_END_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libipc/core/publishing.h"
#include "tests/support/frame_feed.h"
#include "tests/unit/frames.h"

namespace ipc::test {

class BrokerEnd {
 public:
  explicit BrokerEnd(core::Publishing* publishing) : publishing_(*publishing) {}

  // Takes `bytes` in all, at most `piece` with one call; returns how many
  // there were.
  size_t Take(size_t bytes, size_t piece = SIZE_MAX) {
    size_t taken = 0;
    while (taken < bytes) {
      std::string sent;
      for (std::span<const std::byte> segment : publishing_.Gather()) {
        EXPECT_FALSE(segment.empty());
        sent.append(reinterpret_cast<const char*>(segment.data()),
                    segment.size());
      }
      if (sent.empty()) break;
      sent.resize(std::min({sent.size(), piece, bytes - taken}));
      publishing_.Sent(sent.size());
      taken += sent.size();
      test::Frames found;
      FeedPiece(sent, &reader_, &found);
      EXPECT_EQ(reader_.fault(), wire::FrameFault::kNone);
      for (std::string& frame : found) {
        const wire::FrameHeader header = HeaderOf(frame);
        frames_.push_back({header, std::move(frame), SubscriptionId{}});
      }
    }
    return taken;
  }
  // The whole frames since the last time.
  std::vector<Got> TakeFrames() { return std::exchange(frames_, {}); }
  // A frame has come in part.
  bool cut() const { return reader_.tail_size() != 0; }

  // Everything that there is, which must end with a frame.
  static std::vector<Got> Drain(core::Publishing* publishing) {
    BrokerEnd end(publishing);
    end.Take(SIZE_MAX);
    EXPECT_FALSE(end.cut());
    return end.TakeFrames();
  }

 private:
  core::Publishing& publishing_;
  wire::FrameReader reader_{kControlFrameBytesMax};
  std::vector<Got> frames_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_UNIT_BROKER_END_H_
