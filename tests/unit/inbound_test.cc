// SPDX-License-Identifier: Apache-2.0
//
// The client's read buffer: the same frames however the stream is cut, and
// what a handler holds on to stays while it runs.

#include "libipc/core/inbound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/frame_feed.h"
#include "tests/support/seed.h"
#include "tests/unit/frames.h"

namespace ipc::core {
namespace {

using test::FrameOf;
using test::Frames;
using wire::FrameKind;

// One read of a socket; room for exactly so much was asked for.
void Read(Inbound* inbound, std::string_view bytes) {
  std::span<std::byte> room = inbound->Room(bytes.size());
  ASSERT_GE(room.size(), bytes.size());
  if (!bytes.empty()) std::memcpy(room.data(), bytes.data(), bytes.size());
  inbound->Filled(bytes.size());
}

void TakeAll(Inbound* inbound, Frames* frames) {
  wire::Frame frame;
  while (inbound->Next(&frame)) {
    EXPECT_EQ(frame.header.size, frame.bytes.size());
    frames->push_back(test::ToString(frame));
  }
}

Frames SampleFrames() {
  return {FrameOf({.kind = FrameKind::kWelcome}, "welcome"),
          FrameOf({.kind = FrameKind::kAck, .sequence = 3}),
          FrameOf({.kind = FrameKind::kDeliver, .extension = 2}, "xxdata"),
          FrameOf({.kind = static_cast<FrameKind>(99)}, "unknown"),
          FrameOf({.kind = FrameKind::kDeliver})};
}

std::string Join(const Frames& frames) {
  std::string all;
  for (const std::string& frame : frames) all += frame;
  return all;
}

TEST(InboundTest, HasNothingAtFirst) {
  Inbound inbound;
  wire::Frame frame;
  EXPECT_FALSE(inbound.Next(&frame));
  EXPECT_EQ(inbound.fault(), wire::FrameFault::kNone);
}

TEST(InboundTest, FindsTheSameFramesInEveryThreePieces) {
  const Frames expected = SampleFrames();
  const std::string stream = Join(expected);
  for (size_t first = 0; first <= stream.size(); ++first) {
    for (size_t second = first; second <= stream.size(); ++second) {
      Inbound inbound;
      Frames frames;
      Read(&inbound, stream.substr(0, first));
      TakeAll(&inbound, &frames);
      Read(&inbound, stream.substr(first, second - first));
      TakeAll(&inbound, &frames);
      Read(&inbound, stream.substr(second));
      TakeAll(&inbound, &frames);
      ASSERT_EQ(frames, expected) << first << " " << second;
    }
  }
}

TEST(InboundTest, FramesMayBeTakenLaterThanTheyCome) {
  const Frames expected = SampleFrames();
  Inbound inbound;
  for (char byte : Join(expected)) Read(&inbound, std::string_view(&byte, 1));
  Frames frames;
  TakeAll(&inbound, &frames);
  EXPECT_EQ(frames, expected);
}

TEST(InboundTest, TakesTheLargestFrames) {
  const std::string control(kControlFrameBytesMax - kFrameHeaderBytes, 'c');
  const Frames expected = {
      FrameOf({.kind = FrameKind::kDeliver}),
      FrameOf({.kind = FrameKind::kSchema}, control),
      FrameOf({.kind = FrameKind::kDeliver, .last_fragment = 1},
              std::string(kFramePayloadBytesMax, 'd'))};
  const std::string stream = Join(expected);
  Inbound inbound;
  Frames frames;
  for (size_t at = 0; at < stream.size(); at += 100'000) {
    Read(&inbound, std::string_view(stream).substr(at, 100'000));
    TakeAll(&inbound, &frames);
  }
  EXPECT_TRUE(frames == expected);
}

TEST(InboundTest, FindsTheSameFramesInRandomPieces) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  Frames expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(FrameOf({.kind = FrameKind::kDeliver},
                               std::string(random() % 5000, 'd')));
  }
  const std::string stream = Join(expected);
  Inbound inbound;
  Frames frames;
  for (size_t at = 0; at < stream.size();) {
    const size_t size =
        std::min<size_t>(1 + random() % 20'000, stream.size() - at);
    Read(&inbound, std::string_view(stream).substr(at, size));
    at += size;
    if (random() % 2 == 0) TakeAll(&inbound, &frames);
    if (random() % 10 == 0) inbound.Park();
    if (random() % 10 == 0) inbound.Unpark();
  }
  TakeAll(&inbound, &frames);
  EXPECT_TRUE(frames == expected);
}

// -- Faults --

TEST(InboundTest, AFaultEndsTheStream) {
  Inbound inbound;
  Frames frames;
  std::string bad = FrameOf({.kind = FrameKind::kAck});
  bad[7] = 1;
  Read(&inbound, SampleFrames()[0] + bad + SampleFrames()[1]);
  TakeAll(&inbound, &frames);
  EXPECT_EQ(frames, Frames({SampleFrames()[0]}));
  EXPECT_EQ(inbound.fault(), wire::FrameFault::kReservedNotZero);
  Read(&inbound, SampleFrames()[1]);
  TakeAll(&inbound, &frames);
  EXPECT_EQ(frames.size(), 1u);
}

TEST(InboundTest, AFaultIsSeenBeforeTheFrameIsWhole) {
  Inbound inbound;
  wire::Frame frame;
  std::string header(kFrameHeaderBytes, '\0');
  wire::StoreHeader(
      {.size = kControlFrameBytesMax + 1, .kind = FrameKind::kSchema},
      reinterpret_cast<std::byte*>(header.data()));
  Read(&inbound, header);
  EXPECT_FALSE(inbound.Next(&frame));
  EXPECT_EQ(inbound.fault(), wire::FrameFault::kSizeAboveLimit);
}

TEST(InboundTest, ResetForgetsBytesAndFault) {
  Inbound inbound;
  Frames frames;
  Read(&inbound, std::string(kFrameHeaderBytes, '\xff'));
  TakeAll(&inbound, &frames);
  EXPECT_NE(inbound.fault(), wire::FrameFault::kNone);
  inbound.Reset();
  EXPECT_EQ(inbound.fault(), wire::FrameFault::kNone);
  Read(&inbound, SampleFrames()[0].substr(0, 20));
  inbound.Reset();
  Read(&inbound, SampleFrames()[1]);
  TakeAll(&inbound, &frames);
  EXPECT_EQ(frames, Frames({SampleFrames()[1]}));
}

// -- Parking --

TEST(InboundTest, AParkedFrameStaysWhileMoreIsRead) {
  Inbound inbound;
  const Frames samples = SampleFrames();
  Read(&inbound, samples[0] + samples[1] + samples[2].substr(0, 10));
  wire::Frame held;
  ASSERT_TRUE(inbound.Next(&held));
  inbound.Park();
  Frames frames;
  Read(&inbound, samples[2].substr(10));
  TakeAll(&inbound, &frames);
  for (int i = 0; i < 10; ++i) {
    Read(&inbound, std::string(300'000, '\xee').replace(0, 40, samples[1]));
  }
  EXPECT_EQ(test::ToString(held), samples[0]);
  inbound.Unpark();
  EXPECT_EQ(frames, Frames({samples[1], samples[2]}));
}

TEST(InboundTest, AParkedFrameOutlivesTheConnection) {
  Inbound inbound;
  const Frames samples = SampleFrames();
  Read(&inbound, samples[0] + samples[1]);
  wire::Frame held;
  ASSERT_TRUE(inbound.Next(&held));
  inbound.Reset();
  Frames frames;
  Read(&inbound, samples[2]);
  TakeAll(&inbound, &frames);
  EXPECT_EQ(test::ToString(held), samples[0]);
  EXPECT_EQ(frames, Frames({samples[2]}));
  inbound.Unpark();
}

TEST(InboundTest, SeveralBuffersMayBeParked) {
  Inbound inbound;
  const Frames samples = SampleFrames();
  std::vector<wire::Frame> held(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    Read(&inbound, samples[i]);
    ASSERT_TRUE(inbound.Next(&held[i]));
    inbound.Park();
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_EQ(test::ToString(held[i]), samples[i]);
  }
  inbound.Unpark();
}

}  // namespace
}  // namespace ipc::core
