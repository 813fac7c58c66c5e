// SPDX-License-Identifier: Apache-2.0
//
// The other end of an Outbox.

#ifndef IPC_TESTS_UNIT_OUTBOX_RECEIVER_H_
#define IPC_TESTS_UNIT_OUTBOX_RECEIVER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libipc/wire/frame.h"
#include "tests/unit/frames.h"

namespace ipc::broker {

// Takes bytes as they come, and sorts the frames in them by lane.
class OutboxReceiver {
 public:
  void Take(std::string_view bytes) {
    stream_ += bytes;
    while (stream_.size() >= kFrameHeaderBytes) {
      const wire::FrameHeader header = test::HeaderOf(stream_);
      ASSERT_EQ(wire::CheckHeader(header, kControlFrameBytesMax),
                wire::FrameFault::kNone);
      if (stream_.size() < header.size) break;
      TakeFrame(header, stream_.substr(0, header.size));
      stream_.erase(0, header.size);
    }
  }

  // A cut frame is still to come.
  bool cut() const { return !stream_.empty(); }
  const std::vector<std::string>& control() const { return control_; }
  std::vector<std::string>& lane(uint32_t id) { return lanes_[id]; }
  // Messages that were told to be missing.
  uint64_t missing(uint32_t id) { return missing_[id]; }
  // All frames but SELECT as they came: "lane:sequence", "lane:first-last" of a
  // GAP, and "c" of control.
  const std::vector<std::string>& order() const { return order_; }
  int selects() const { return selects_; }

 private:
  void TakeFrame(const wire::FrameHeader& header, std::string frame) {
    if (header.kind == wire::FrameKind::kSelect) {
      EXPECT_NE(header.target, selected_) << "a SELECT for nothing";
      selected_ = header.target;
      ++selects_;
    } else if (header.kind == wire::FrameKind::kPong) {
      control_.push_back(std::move(frame));
      order_.push_back("c");
    } else if (header.kind == wire::FrameKind::kGap) {
      // Of the lane's one stream, so that nothing is told twice.
      EXPECT_GT(header.sequence, missing_until_[selected_]);
      missing_until_[selected_] = static_cast<uint64_t>(header.time);
      missing_[selected_] += missing_until_[selected_] - header.sequence + 1;
      order_.push_back(std::to_string(selected_) + ":" +
                       std::to_string(header.sequence) + "-" +
                       std::to_string(header.time));
    } else {
      lanes_[selected_].push_back(std::move(frame));
      order_.push_back(std::to_string(selected_) + ":" +
                       std::to_string(header.sequence));
    }
  }

  std::string stream_;
  uint32_t selected_ = 0;
  int selects_ = 0;
  std::vector<std::string> control_;
  std::map<uint32_t, std::vector<std::string>> lanes_;
  std::map<uint32_t, uint64_t> missing_;
  std::map<uint32_t, uint64_t> missing_until_;
  std::vector<std::string> order_;
};

}  // namespace ipc::broker

#endif  // IPC_TESTS_UNIT_OUTBOX_RECEIVER_H_
