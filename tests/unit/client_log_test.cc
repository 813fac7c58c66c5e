// SPDX-License-Identifier: Apache-2.0
//
// The publisher's log against a plain list of frames: whatever is appended,
// sent, cut, acknowledged, lost and left out, both have the same frames, and
// the same bytes are to be sent next.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "libipc/core/log.h"
#include "libipc/wire/frame.h"
#include "tests/support/seed.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using wire::FrameKind;

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A log and the list that it is compared with.
class LogPair {
 public:
  explicit LogPair(size_t window_bytes) : log_(window_bytes) {}

  Log& log() { return log_; }
  size_t frames() const { return frames_.size(); }
  size_t live_bytes() const { return Join(0).size(); }
  uint64_t last_sequence(uint32_t channel) { return last_[channel]; }

  bool Append(uint32_t channel, size_t payload_bytes) {
    wire::FrameHeader header{.kind = FrameKind::kPublish,
                             .target = channel,
                             .sequence = last_[channel] + 1,
                             .time = 5};
    std::string payload(payload_bytes, '\0');
    for (char& c : payload) c = static_cast<char>(++filler_);
    if (payload_bytes <= kFramePayloadBytesMax) {
      std::byte* place = log_.TryAppend(header, payload_bytes);
      if (place == nullptr) return false;
      std::memcpy(place, payload.data(), payload_bytes);
    } else {
      std::vector<std::span<std::byte>> parts;
      if (!log_.TryAppendFragments(header, payload_bytes, &parts)) return false;
      size_t done = 0;
      for (std::span<std::byte> part : parts) {
        std::memcpy(part.data(), payload.data() + done, part.size());
        done += part.size();
      }
      EXPECT_EQ(done, payload_bytes);
    }
    AppendToList(header, payload);
    ++last_[channel];
    return true;
  }

  // The socket takes `bytes` of what is to be sent, at most all.
  void Send(size_t bytes) {
    std::string unsent;
    std::vector<std::span<const std::byte>> pieces;
    log_.Unsent(Log::kNoGate, &pieces);
    EXPECT_LE(pieces.size(), 2u);
    for (std::span<const std::byte> piece : pieces) unsent += Text(piece);
    EXPECT_TRUE(unsent == Join(sent_)) << "other bytes are to be sent";
    bytes = std::min(bytes, unsent.size());
    log_.Sent(bytes);
    sent_ += bytes;
  }

  void Acknowledge(uint32_t channel, uint64_t sequence) {
    acknowledged_.resize(std::max<size_t>(acknowledged_.size(), channel + 1));
    acknowledged_[channel] = std::max(acknowledged_[channel], sequence);
    Release();
  }

  void Disconnect() {
    log_.OnDisconnected();
    size_t frame = CutFrame().first;
    // A publication of which anything is missing counts as not sent.
    while (frame > 0 && frame < frames_.size() && Header(frame).fragment != 0) {
      --frame;
    }
    sent_ = 0;
    for (size_t i = 0; i < frame; ++i) sent_ += frames_[i].size();
  }

  // True if there was a frame to leave out.
  bool Skip() {
    const auto [frame, sent] = CutFrame();
    if (sent != 0 || frame == frames_.size()) return false;
    log_.SkipFrame();
    sent_ += frames_[frame].size();
    return true;
  }

  void Check() {
    ASSERT_EQ(log_.empty(), frames_.empty());
    ASSERT_GE(log_.bytes(), live_bytes());
    std::vector<uint64_t> offsets;
    uint64_t at = log_.Normalize(log_.head());
    for (const std::string& frame : frames_) {
      ASSERT_LT(at, log_.tail());
      ASSERT_EQ(log_.HeaderAt(at), test::HeaderOf(frame));
      ASSERT_TRUE(Text(log_.FrameAt(at)) == frame);
      offsets.push_back(at);
      at = log_.Next(at);
    }
    ASSERT_EQ(at, log_.Normalize(log_.tail()));
    CheckCut();
    CheckGate(offsets);
  }

 private:
  void AppendToList(wire::FrameHeader header, const std::string& payload) {
    size_t done = 0;
    const size_t count =
        std::max<size_t>(1, (payload.size() + kFramePayloadBytesMax - 1) /
                                kFramePayloadBytesMax);
    header.last_fragment = static_cast<uint16_t>(count - 1);
    for (size_t i = 0; i < count; ++i) {
      header.fragment = static_cast<uint16_t>(i);
      frames_.push_back(
          test::FrameOf(header, payload.substr(done, kFramePayloadBytesMax)));
      done += kFramePayloadBytesMax;
    }
  }

  void Release() {
    log_.Release(Acknowledged());
    while (!frames_.empty() && frames_.front().size() <= sent_) {
      const wire::FrameHeader header = Header(0);
      if (header.sequence > Acknowledged()[header.target]) break;
      sent_ -= frames_.front().size();
      frames_.pop_front();
    }
  }
  std::vector<uint64_t> Acknowledged() {
    acknowledged_.resize(std::max<size_t>(acknowledged_.size(), 10));
    return acknowledged_;
  }

  wire::FrameHeader Header(size_t i) const {
    return test::HeaderOf(frames_[i]);
  }
  // The first frame that is not sent in full, and what is sent of it.
  std::pair<size_t, size_t> CutFrame() const {
    size_t sent = sent_;
    size_t i = 0;
    for (; i < frames_.size() && frames_[i].size() <= sent; ++i) {
      sent -= frames_[i].size();
    }
    return {i, sent};
  }
  std::string Join(size_t from) const {
    std::string all;
    for (const std::string& frame : frames_) all += frame;
    return all.substr(from);
  }

  void CheckCut() {
    const auto [frame, sent] = CutFrame();
    const std::string rest = sent == 0 ? "" : frames_[frame].substr(sent);
    ASSERT_TRUE(Text(log_.CutFrame()) == rest);
    uint64_t end = log_.Normalize(log_.head());
    for (size_t i = 0; i < frame + (sent != 0 ? 1 : 0); ++i) {
      end = log_.Next(end);
    }
    ASSERT_EQ(log_.Normalize(log_.SentFramesEnd()), end);
  }

  // Up to every frame's beginning.
  void CheckGate(const std::vector<uint64_t>& offsets) {
    size_t bytes = 0;
    for (size_t i = 0; i < offsets.size(); ++i) {
      std::string unsent;
      std::vector<std::span<const std::byte>> pieces;
      log_.Unsent(offsets[i], &pieces);
      for (std::span<const std::byte> piece : pieces) {
        ASSERT_FALSE(piece.empty());
        unsent += Text(piece);
      }
      ASSERT_TRUE(unsent ==
                  (bytes <= sent_ ? "" : Join(sent_).substr(0, bytes - sent_)));
      bytes += frames_[i].size();
    }
  }

  Log log_;
  std::deque<std::string> frames_;
  size_t sent_ = 0;  // bytes, from the first frame on
  std::map<uint32_t, uint64_t> last_;
  std::vector<uint64_t> acknowledged_;
  uint8_t filler_ = 0;
};

// -- One thing at a time --

TEST(ClientLogTest, IsEmptyAtFirst) {
  Log log(1000);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(log.bytes(), 0u);
  EXPECT_EQ(log.unsent_bytes(), 0u);
  EXPECT_EQ(log.window_bytes(), 1000u);
  std::vector<std::span<const std::byte>> pieces;
  log.Unsent(Log::kNoGate, &pieces);
  EXPECT_THAT(pieces, IsEmpty());
  log.Release({});
  log.OnDisconnected();
  EXPECT_THAT(log.CutFrame(), IsEmpty());
}

TEST(ClientLogTest, TakesWhatFillsTheWindowExactlyAndNoMore) {
  LogPair pair(200);
  EXPECT_TRUE(pair.Append(1, 60));
  EXPECT_FALSE(pair.Append(1, 61));
  EXPECT_TRUE(pair.Append(1, 60));
  EXPECT_EQ(pair.log().bytes(), 200u);
  EXPECT_FALSE(pair.Append(1, 0));
  pair.Check();
}

TEST(ClientLogTest, WhatIsNotSentIsNotReleased) {
  LogPair pair(500);
  pair.Append(1, 10);
  pair.Append(1, 10);
  pair.Send(50 + 49);
  pair.Acknowledge(1, 2);
  EXPECT_EQ(pair.frames(), 1u);
  pair.Check();
  pair.Send(1);
  pair.Acknowledge(1, 2);
  EXPECT_EQ(pair.frames(), 0u);
  pair.Check();
}

TEST(ClientLogTest, TheOldestUnacknowledgedFrameKeepsWhatIsBehindIt) {
  LogPair pair(500);
  pair.Append(1, 10);
  pair.Append(2, 10);
  pair.Append(2, 10);
  pair.Send(SIZE_MAX);
  pair.Acknowledge(2, 2);
  EXPECT_EQ(pair.frames(), 3u);
  pair.Acknowledge(1, 1);
  EXPECT_EQ(pair.frames(), 0u);
  pair.Check();
}

TEST(ClientLogTest, StartsOverWhenItIsEmpty) {
  LogPair pair(1000);
  for (uint64_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(pair.Append(1, 100));
    EXPECT_EQ(pair.log().head(), 0u);
    pair.Send(SIZE_MAX);
    pair.Acknowledge(1, i);
  }
  pair.Check();
}

TEST(ClientLogTest, ALostConnectionSendsTheCutFrameAgain) {
  for (size_t sent = 0; sent <= 150; ++sent) {
    LogPair pair(500);
    pair.Append(1, 10);
    pair.Append(1, 10);
    pair.Append(1, 10);
    pair.Send(sent);
    pair.Disconnect();
    pair.Check();
    EXPECT_EQ(pair.log().unsent_bytes(), 150 - sent / 50 * 50);
    pair.Send(SIZE_MAX);
  }
}

TEST(ClientLogTest, ALostConnectionSendsACutPublicationAgainInFull) {
  const size_t fragment = kFrameHeaderBytes + kFramePayloadBytesMax;
  for (size_t sent :
       {size_t{0}, size_t{50}, 50 + fragment - 1, 50 + fragment,
        50 + fragment + 1, 50 + 2 * fragment, 50 + 2 * fragment + 49}) {
    LogPair pair(1 << 20);
    pair.Append(1, 10);
    pair.Append(1, 2 * kFramePayloadBytesMax + 10);
    pair.Send(sent);
    pair.Disconnect();
    pair.Check();
    EXPECT_EQ(pair.log().unsent_bytes(),
              2 * fragment + 50 + (sent < 50 ? 50 : 0))
        << sent;
  }
}

TEST(ClientLogTest, AFrameMayBeLeftOut) {
  LogPair pair(500);
  pair.Append(1, 10);
  pair.Append(2, 20);
  pair.Append(1, 30);
  EXPECT_TRUE(pair.Skip());
  pair.Check();
  pair.Send(60);
  EXPECT_TRUE(pair.Skip());
  pair.Check();
  EXPECT_FALSE(pair.Skip());
  pair.Acknowledge(1, 2);
  pair.Acknowledge(2, 1);
  EXPECT_EQ(pair.frames(), 0u);
}

// -- Where the ring wraps --

void WrapAt(size_t window, size_t first, size_t second) {
  LogPair pair(window);
  ASSERT_TRUE(pair.Append(1, first));
  const bool two = pair.Append(1, second);
  pair.Send(SIZE_MAX);
  pair.Acknowledge(1, 1);
  for (size_t third : {0, 1, 40, 100}) pair.Append(1, third);
  ASSERT_NO_FATAL_FAILURE(pair.Check());
  pair.Send(kFrameHeaderBytes + 1);
  pair.Disconnect();
  ASSERT_NO_FATAL_FAILURE(pair.Check());
  pair.Send(SIZE_MAX);
  pair.Acknowledge(1, two ? 2 : 1);
  for (size_t third : {0, 1, 40, 100}) pair.Append(1, third);
  pair.Send(SIZE_MAX);
  ASSERT_NO_FATAL_FAILURE(pair.Check());
  pair.Acknowledge(1, pair.last_sequence(1));
  ASSERT_EQ(pair.frames(), 0u);
}

TEST(ClientLogTest, WrapsAtEveryPosition) {
  for (size_t window : {256, 290}) {
    for (size_t first = 0; first + kFrameHeaderBytes <= window; first += 3) {
      for (size_t second = 0; second + kFrameHeaderBytes <= window; ++second) {
        ASSERT_NO_FATAL_FAILURE(WrapAt(window, first, second))
            << window << " " << first << " " << second;
      }
    }
  }
}

TEST(ClientLogTest, SendsOverTheWrapInPiecesOfEverySize) {
  for (size_t piece = 1; piece <= 260; ++piece) {
    LogPair pair(256);
    uint64_t acknowledged = 0;
    for (size_t i = 0; i < 40; ++i) {
      while (pair.Append(1, i * 7 % 60)) {
      }
      pair.Send(piece);
      ASSERT_NO_FATAL_FAILURE(pair.Check()) << piece;
      if (pair.last_sequence(1) > acknowledged + 2) {
        pair.Acknowledge(1, ++acknowledged);
      }
    }
  }
}

TEST(ClientLogTest, AFailedAppendOfFragmentsChangesNothing) {
  for (size_t window : {size_t{4} << 16, size_t{300'000}}) {
    LogPair pair(window);
    uint64_t acknowledged = 0;
    for (size_t i = 0; i < 60; ++i) {
      const size_t fragments = 1 + i % 3;
      while (pair.Append(1, fragments * kFramePayloadBytesMax + 7 * i)) {
      }
      ASSERT_NO_FATAL_FAILURE(pair.Check()) << i;
      pair.Append(1, 1000 * i);
      ASSERT_NO_FATAL_FAILURE(pair.Check()) << i;
      pair.Send(SIZE_MAX);
      pair.Acknowledge(1, ++acknowledged);
      ASSERT_NO_FATAL_FAILURE(pair.Check()) << i;
    }
  }
}

// -- Larger than the window --

TEST(ClientLogTest, ALargePublicationIsTakenWhenTheLogIsEmpty) {
  LogPair pair(kFramePayloadBytesMax);
  ASSERT_TRUE(pair.Append(1, 10));
  EXPECT_FALSE(pair.Append(1, 3 * kFramePayloadBytesMax + 7));
  pair.Send(SIZE_MAX);
  EXPECT_FALSE(pair.Append(1, 3 * kFramePayloadBytesMax + 7));
  pair.Acknowledge(1, 1);
  ASSERT_TRUE(pair.Append(1, 3 * kFramePayloadBytesMax + 7));
  EXPECT_EQ(pair.frames(), 4u);
  pair.Check();
  EXPECT_FALSE(pair.Append(1, 0));
  pair.Send(100'000);
  pair.Disconnect();
  pair.Check();
  pair.Send(SIZE_MAX);
  EXPECT_FALSE(pair.Append(1, 0));
  pair.Acknowledge(1, 2);
  // The window is what it was.
  EXPECT_TRUE(pair.Append(1, kFramePayloadBytesMax - kFrameHeaderBytes));
  EXPECT_FALSE(pair.Append(1, 0));
  pair.Check();
}

TEST(ClientLogTest, FragmentsAreNumberedAndAllButTheLastAreFull) {
  Log log(1 << 20);
  std::vector<std::span<std::byte>> parts;
  ASSERT_TRUE(log.TryAppendFragments({.kind = FrameKind::kPublish},
                                     2 * kFramePayloadBytesMax, &parts));
  EXPECT_THAT(parts, SizeIs(2));
  ASSERT_TRUE(log.TryAppendFragments({.kind = FrameKind::kPublish},
                                     2 * kFramePayloadBytesMax + 1, &parts));
  EXPECT_THAT(parts, SizeIs(3));
  EXPECT_EQ(parts[0].size(), kFramePayloadBytesMax);
  EXPECT_EQ(parts[1].size(), kFramePayloadBytesMax);
  EXPECT_EQ(parts[2].size(), 1u);
  uint64_t at = log.Next(log.Next(log.head()));
  for (uint16_t i = 0; i < 3; ++i, at = log.Next(at)) {
    EXPECT_EQ(log.HeaderAt(at).fragment, i);
    EXPECT_EQ(log.HeaderAt(at).last_fragment, 2u);
  }
}

// -- Anything, with a seed --

void Act(std::mt19937_64* random, size_t window, LogPair* pair) {
  const uint32_t channel = 1 + static_cast<uint32_t>((*random)() % 3);
  switch ((*random)() % 10) {
    case 0:
    case 1:
    case 2:
    case 3: {
      size_t payload = (*random)() % (window / 4);
      if ((*random)() % 40 == 0) payload = (*random)() % (2 * window);
      const uint64_t before = pair->log().bytes();
      const bool taken = pair->Append(channel, payload);
      if (taken) break;
      // Not without reason: nothing is refused that fits beside what is there
      // and the hole that it may leave at the end of a lap.
      ASSERT_FALSE(before == 0 && payload <= window / 4);
      if (payload > kFramePayloadBytesMax) break;
      ASSERT_GT(before + 2 * (payload + kFrameHeaderBytes), window);
      break;
    }
    case 4:
    case 5:
      pair->Send((*random)() % window);
      break;
    case 6:
      pair->Send(SIZE_MAX);
      break;
    case 7:
      pair->Acknowledge(channel,
                        (*random)() % (pair->last_sequence(channel) + 1));
      break;
    case 8:
      for (uint32_t i = 1; i <= 3; ++i) {
        pair->Acknowledge(i, pair->last_sequence(i));
      }
      break;
    case 9:
      if ((*random)() % 4 == 0) pair->Disconnect();
      if ((*random)() % 8 == 0) pair->Skip();
      break;
  }
}

TEST(ClientLogTest, AgreesWithAListOnRandomScripts) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int script = 0; script < 300; ++script) {
    const size_t window = 200 + random() % 3000;
    LogPair pair(window);
    for (int step = 0; step < 300; ++step) {
      ASSERT_NO_FATAL_FAILURE(Act(&random, window, &pair))
          << "script " << script << " step " << step;
      ASSERT_NO_FATAL_FAILURE(pair.Check())
          << "script " << script << " step " << step;
    }
  }
}

TEST(ClientLogTest, AgreesWithAListOnRandomScriptsWithFragments) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  for (int script = 0; script < 20; ++script) {
    const size_t window = 200'000 + random() % 500'000;
    LogPair pair(window);
    for (int step = 0; step < 100; ++step) {
      ASSERT_NO_FATAL_FAILURE(Act(&random, window, &pair))
          << "script " << script << " step " << step;
      ASSERT_NO_FATAL_FAILURE(pair.Check())
          << "script " << script << " step " << step;
    }
  }
}

}  // namespace
}  // namespace ipc::core
