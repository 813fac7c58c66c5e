// SPDX-License-Identifier: Apache-2.0
//
// One direction of a simulated socket: bytes in order, as many as fit, cut
// short when the connection is. It follows the frames in what is written, to
// tell the checkers which publications went in and came out whole, and to let
// a planted fault drop, change or repeat whole frames.

#ifndef IPC_TESTS_SIM_PIPE_H_
#define IPC_TESTS_SIM_PIPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>

#include "libipc/wire/frame.h"

namespace ipc::sim {

class Pipe {
 public:
  // A frame that a planted fault may change; returns how often it is passed
  // on: 0 drops it, 2 repeats it.
  using Filter =
      std::function<int(wire::FrameHeader* header, std::string* frame)>;
  // The last byte of a frame was written, or was read.
  using Notice = std::function<void(const wire::FrameHeader& header)>;

  void set_capacity(size_t bytes) { capacity_ = bytes; }
  void set_filter(Filter filter) { filter_ = std::move(filter); }
  void set_on_written(Notice notice) { on_written_ = std::move(notice); }
  void set_on_read(Notice notice) { on_read_ = std::move(notice); }

  size_t size() const { return bytes_.size() - begin_; }
  bool empty() const { return size() == 0; }
  size_t room() const { return capacity_ > size() ? capacity_ - size() : 0; }

  // Takes what fits and returns how much.
  size_t Write(std::span<const std::byte> bytes);
  // Moves up to `bytes` to `out` and returns how much.
  size_t Read(size_t bytes, std::byte* out);
  // Loses everything behind the first `keep` bytes that were not read.
  void Truncate(size_t keep);

  // What was written is no stream of frames.
  bool garbled() const { return garbled_; }

 private:
  struct Mark {
    uint64_t end = 0;
    wire::FrameHeader header;
  };

  void Append(std::string_view bytes);
  void ScanHeader();

  size_t capacity_ = 256 * 1024;
  Filter filter_;
  Notice on_written_;
  Notice on_read_;

  std::string held_;  // with a filter: the frame that is being written
  std::string bytes_;
  size_t begin_ = 0;
  uint64_t written_ = 0;
  uint64_t read_ = 0;

  // The frame that is being scanned.
  std::array<std::byte, kFrameHeaderBytes> head_{};
  size_t head_bytes_ = 0;
  uint64_t body_bytes_ = 0;  // still to come
  bool garbled_ = false;
  std::deque<Mark> marks_;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_PIPE_H_
