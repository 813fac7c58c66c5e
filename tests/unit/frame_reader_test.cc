// SPDX-License-Identifier: Apache-2.0
//
// The frame reader finds the same frames however the stream is cut. The frames
// are known beforehand (they were written one by one), so what is found is
// compared with what was put in, not with another run of the reader.

#include "libipc/wire/frame_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "libipc/wire/frame.h"
#include "tests/support/frame_feed.h"
#include "tests/support/seed.h"

namespace ipc::wire {
namespace {

using test::FeedPiece;
using test::Frames;

std::string MakeFrame(FrameHeader header, std::string_view payload = "") {
  std::string frame;
  AppendFrame(header, payload, &frame);
  return frame;
}

// A header that claims `size`, whatever comes behind it.
std::string HeaderOf(FrameHeader header) {
  std::string bytes(kFrameHeaderBytes, '\0');
  StoreHeader(header, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

// One frame of every kind, known or not, with payloads of different sizes.
Frames FramesOfAllKinds() {
  Frames frames;
  for (int value = 0; value < 256; value += value < 60 ? 1 : 65) {
    const auto kind = static_cast<FrameKind>(value);
    const std::string payload(static_cast<size_t>(value) % 7, 'p');
    frames.push_back(
        MakeFrame({.kind = kind, .sequence = static_cast<uint64_t>(value)},
                  IsHeaderOnly(kind) ? "" : payload));
  }
  frames.push_back(
      MakeFrame({.kind = FrameKind::kPublish, .extension = 2}, "xxpayload"));
  frames.push_back(MakeFrame(
      {.kind = FrameKind::kDeliver, .fragment = 3, .last_fragment = 3}, "end"));
  return frames;
}

Frames LargestFrames() {
  const std::string payload(kFramePayloadBytesMax, 'd');
  const std::string extension(kFrameExtensionBytesMax, 'x');
  const std::string control(kControlFrameBytesMax - kFrameHeaderBytes, 'c');
  return {MakeFrame({.kind = FrameKind::kPublish, .last_fragment = 1}, payload),
          MakeFrame({.kind = FrameKind::kAck}),
          MakeFrame({.kind = FrameKind::kDeliver,
                     .extension = kFrameExtensionBytesMax},
                    extension + payload),
          MakeFrame({.kind = FrameKind::kSchema}, control),
          MakeFrame({.kind = FrameKind::kPublish}, "small")};
}

std::string Join(const Frames& frames) { return absl::StrJoin(frames, ""); }

// Feeds `stream` cut at `cuts` (ascending) and checks the tail after each.
Frames FeedCut(std::string_view stream, const std::vector<size_t>& cuts,
               FrameReader* reader) {
  Frames frames;
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t end = i < cuts.size() ? cuts[i] : stream.size();
    FeedPiece(stream.substr(begin, end - begin), reader, &frames);
    EXPECT_TRUE(test::TailIsExact(stream.substr(0, end), frames, *reader))
        << "after " << end << " bytes";
    begin = end;
  }
  return frames;
}

// -- Any split gives the same frames --

TEST(FrameReaderTest, FindsAllFramesOfOnePiece) {
  const Frames frames = FramesOfAllKinds();
  FrameReader reader(kControlFrameBytesMax);
  EXPECT_EQ(FeedCut(Join(frames), {}, &reader), frames);
  EXPECT_EQ(reader.fault(), FrameFault::kNone);
  EXPECT_EQ(reader.tail_size(), 0u);
}

TEST(FrameReaderTest, FindsTheSameFramesByteByByte) {
  const Frames frames = FramesOfAllKinds();
  const std::string stream = Join(frames);
  std::vector<size_t> cuts(stream.size() - 1);
  for (size_t i = 0; i < cuts.size(); ++i) cuts[i] = i + 1;
  FrameReader reader(kControlFrameBytesMax);
  EXPECT_EQ(FeedCut(stream, cuts, &reader), frames);
}

TEST(FrameReaderTest, FindsTheSameFramesInEveryTwoWaySplit) {
  const Frames frames = FramesOfAllKinds();
  const std::string stream = Join(frames);
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameReader reader(kControlFrameBytesMax);
    ASSERT_EQ(FeedCut(stream, {cut}, &reader), frames) << "cut at " << cut;
  }
}

TEST(FrameReaderTest, FindsTheSameFramesInEveryThreeWaySplitOfThree) {
  const Frames frames = {
      MakeFrame({.kind = FrameKind::kHello}, "hello"),
      MakeFrame({.kind = FrameKind::kAck, .sequence = 5}),
      MakeFrame({.kind = FrameKind::kPublish, .extension = 1}, "xpayload")};
  const std::string stream = Join(frames);
  for (size_t first = 0; first <= stream.size(); ++first) {
    for (size_t second = first; second <= stream.size(); ++second) {
      FrameReader reader(kControlFrameBytesMax);
      ASSERT_EQ(FeedCut(stream, {first, second}, &reader), frames)
          << "cut at " << first << " and " << second;
    }
  }
}

TEST(FrameReaderTest, FindsTheSameFramesInRandomSplits) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  Frames frames = FramesOfAllKinds();
  for (std::string& frame : LargestFrames()) {
    frames.push_back(std::move(frame));
  }
  for (int round = 0; round < 50; ++round) {
    std::shuffle(frames.begin(), frames.end(), random);
    const std::string stream = Join(frames);
    std::vector<size_t> cuts(1 + random() % 40);
    for (size_t& cut : cuts) cut = random() % (stream.size() + 1);
    std::sort(cuts.begin(), cuts.end());
    FrameReader reader(kControlFrameBytesMax);
    ASSERT_EQ(FeedCut(stream, cuts, &reader), frames) << "round " << round;
  }
}

TEST(FrameReaderTest, EmptyReadsChangeNothing) {
  const Frames frames = FramesOfAllKinds();
  const std::string stream = Join(frames);
  FrameReader reader(kControlFrameBytesMax);
  EXPECT_EQ(FeedCut(stream, {0, 0, 10, 10, 10, 45, 45}, &reader), frames);
}

TEST(FrameReaderTest, FramesLieInTheCallersBufferAndMayBeChangedThere) {
  const std::string stream =
      MakeFrame({.kind = FrameKind::kPublish, .target = 1}, "abc");
  std::vector<std::byte> buffer(stream.size());
  std::memcpy(buffer.data(), stream.data(), stream.size());
  FrameReader reader(kControlFrameBytesMax);
  reader.Begin(buffer);
  Frame frame;
  ASSERT_TRUE(reader.Next(&frame));
  EXPECT_EQ(frame.bytes.data(), buffer.data());
  frame.header.kind = FrameKind::kDeliver;
  StoreHeader(frame.header, frame.bytes.data());
  EXPECT_EQ(LoadHeader(buffer.data()).kind, FrameKind::kDeliver);
  EXPECT_FALSE(reader.Next(&frame));
  reader.End();
}

// -- The tail --

TEST(FrameReaderTest, IdleReaderKeepsNothing) {
  FrameReader reader(kControlFrameBytesMax);
  Frames frames;
  FeedPiece(MakeFrame({.kind = FrameKind::kPing}), &reader, &frames);
  EXPECT_EQ(reader.tail_size(), 0u);
  FeedPiece("", &reader, &frames);
  EXPECT_EQ(reader.tail_size(), 0u);
}

TEST(FrameReaderTest, TailIsAtMostTheLargestFrameButOneByte) {
  const std::string control = LargestFrames()[3];
  FrameReader reader(kControlFrameBytesMax);
  Frames frames;
  FeedPiece(std::string_view(control).substr(0, control.size() - 1), &reader,
            &frames);
  EXPECT_EQ(reader.tail_size(), kControlFrameBytesMax - 1);
  FeedPiece(control.substr(control.size() - 1), &reader, &frames);
  EXPECT_EQ(reader.tail_size(), 0u);
  EXPECT_EQ(frames, Frames{control});
}

// What a hostile peer can make us copy: each byte a bounded number of times.
TEST(FrameReaderTest, AFrameInManyPiecesIsPutIntoTheBufferOnce) {
  constexpr std::byte kUntouched{0xee};
  const std::string frame =
      MakeFrame({.kind = FrameKind::kSchema}, std::string(256 * 1024, 's'));
  std::vector<std::byte> buffer(frame.size());
  FrameReader reader(kControlFrameBytesMax);
  Frames found;
  size_t placements = 0;
  size_t moves = 0;
  for (const char byte : frame) {
    const std::byte* const before = reader.tail().data();
    const size_t kept = reader.tail_size();
    buffer[0] = kUntouched;
    buffer[kept] = static_cast<std::byte>(byte);
    reader.Begin(std::span(buffer).first(kept + 1));
    if (kept > 0 && buffer[0] != kUntouched) ++placements;
    Frame next;
    while (reader.Next(&next)) found.push_back(test::ToString(next));
    reader.End();
    if (reader.tail().data() != before) ++moves;
  }
  EXPECT_EQ(found, Frames{frame});
  // Until the size is known, and when all of it is there.
  EXPECT_LE(placements, kFrameHeaderBytes + 1);
  EXPECT_LE(moves, kFrameHeaderBytes + 20);
}

TEST(FrameReaderTest, WhatFollowsAFrameInPiecesIsFoundInTheSameRead) {
  const Frames frames = {
      MakeFrame({.kind = FrameKind::kSchema}, std::string(1000, 's')),
      MakeFrame({.kind = FrameKind::kPing}),
      MakeFrame({.kind = FrameKind::kPublish}, "more")};
  const std::string stream = Join(frames);
  FrameReader reader(kControlFrameBytesMax);
  EXPECT_EQ(FeedCut(stream, {100, 101, 500, 900, stream.size() - 3}, &reader),
            frames);
}

TEST(FrameReaderTest, NobodyMakesItKeepMoreThanTheHandshakesLimit) {
  for (int value = 0; value < 256; ++value) {
    FrameReader reader(kHandshakeFrameBytesMax);
    Frames frames;
    const std::string header =
        HeaderOf({.size = kHandshakeFrameBytesMax + 1,
                  .kind = static_cast<FrameKind>(value)});
    FeedPiece(header + std::string(1000, 'x'), &reader, &frames);
    EXPECT_NE(reader.fault(), FrameFault::kNone) << value;
    EXPECT_EQ(reader.tail_size(), 0u) << value;
  }
}

TEST(FrameReaderTest, FaultIsSeenWithTheHeaderNotWithTheWholeFrame) {
  FrameReader reader(kControlFrameBytesMax);
  Frames frames;
  const std::string header =
      HeaderOf({.size = kControlFrameBytesMax + 1, .kind = FrameKind::kSchema});
  FeedPiece(header.substr(0, 39), &reader, &frames);
  EXPECT_EQ(reader.fault(), FrameFault::kNone);
  EXPECT_EQ(reader.tail_size(), 39u);
  FeedPiece(header.substr(39), &reader, &frames);
  EXPECT_EQ(reader.fault(), FrameFault::kSizeAboveLimit);
}

// -- Limits and faults --

TEST(FrameReaderTest, LimitMayBeRaisedBetweenTwoFramesOfOneRead) {
  const std::string hello = MakeFrame({.kind = FrameKind::kHello}, "hello");
  const std::string large = MakeFrame(
      {.kind = FrameKind::kSchema}, std::string(kHandshakeFrameBytesMax, 's'));
  const std::string stream = hello + large;
  std::vector<std::byte> buffer(stream.size());
  std::memcpy(buffer.data(), stream.data(), stream.size());
  FrameReader reader(kHandshakeFrameBytesMax);
  reader.Begin(buffer);
  Frame frame;
  ASSERT_TRUE(reader.Next(&frame));
  EXPECT_EQ(test::ToString(frame), hello);
  reader.set_control_bytes_max(kControlFrameBytesMax);
  ASSERT_TRUE(reader.Next(&frame));
  EXPECT_EQ(test::ToString(frame), large);
  reader.End();
  EXPECT_EQ(reader.fault(), FrameFault::kNone);
}

// A header for each fault.
std::vector<std::pair<FrameFault, FrameHeader>> FaultyHeaders() {
  const FrameKind data = FrameKind::kPublish;
  return {
      {FrameFault::kSizeBelowHeader, {.size = 39, .kind = data}},
      {FrameFault::kSizeAboveLimit,
       {.size = kControlFrameBytesMax + 1, .kind = FrameKind::kHello}},
      {FrameFault::kUnknownFlags, {.kind = data, .flags = 8}},
      {FrameFault::kExpiredNotEmpty, {.size = 41, .kind = data, .flags = 2}},
      {FrameFault::kReservedNotZero, {.kind = data, .reserved = 1}},
      {FrameFault::kExtensionBeyondFrame, {.kind = data, .extension = 1}},
      {FrameFault::kExtensionAboveLimit,
       {.size = 4000, .kind = data, .extension = kFrameExtensionBytesMax + 1}},
      {FrameFault::kFragmentBeyondLast, {.kind = data, .fragment = 1}},
      {FrameFault::kFragmentNotFull, {.kind = data, .last_fragment = 1}},
      {FrameFault::kDescriptorsNotAllowed,
       {.kind = FrameKind::kPing, .descriptors = 1}},
      {FrameFault::kDescriptorsAboveLimit, {.kind = data, .descriptors = 17}},
      {FrameFault::kPayloadNotAllowed, {.size = 41, .kind = FrameKind::kAck}},
  };
}

TEST(FrameReaderTest, FramesBeforeAFaultAreFoundAndNoneAfterInEverySplit) {
  const std::string good = MakeFrame({.kind = FrameKind::kPing});
  const std::string more = MakeFrame({.kind = FrameKind::kPublish}, "more");
  for (const auto& [fault, header] : FaultyHeaders()) {
    const std::string stream = Join({good, more, HeaderOf(header), good, more});
    for (size_t cut = 0; cut <= stream.size(); ++cut) {
      FrameReader reader(kControlFrameBytesMax);
      ASSERT_EQ(FeedCut(stream, {cut}, &reader), (Frames{good, more}))
          << FaultText(fault) << ", cut at " << cut;
      ASSERT_EQ(reader.fault(), fault);
    }
  }
}

TEST(FrameReaderTest, FaultStaysWhateverComesAfterIt) {
  for (const auto& [fault, header] : FaultyHeaders()) {
    FrameReader reader(kControlFrameBytesMax);
    Frames frames;
    FeedPiece(HeaderOf(header), &reader, &frames);
    EXPECT_EQ(reader.fault(), fault);
    for (const std::string& frame : FramesOfAllKinds()) {
      FeedPiece(frame, &reader, &frames);
    }
    EXPECT_EQ(reader.fault(), fault);
    EXPECT_EQ(reader.tail_size(), 0u);
    EXPECT_TRUE(frames.empty());
  }
}

TEST(FrameReaderTest, ResetForgetsFaultAndTail) {
  const std::string ping = MakeFrame({.kind = FrameKind::kPing});
  FrameReader reader(kControlFrameBytesMax);
  Frames frames;
  FeedPiece(HeaderOf({.size = 0}), &reader, &frames);
  ASSERT_EQ(reader.fault(), FrameFault::kSizeBelowHeader);
  reader.Reset();
  EXPECT_EQ(reader.fault(), FrameFault::kNone);

  FeedPiece(ping.substr(0, 13), &reader, &frames);
  ASSERT_EQ(reader.tail_size(), 13u);
  reader.Reset();
  EXPECT_EQ(reader.tail_size(), 0u);

  FeedPiece(ping, &reader, &frames);
  EXPECT_EQ(frames, Frames{ping});
}

TEST(FrameReaderTest, ResetKeepsTheLimit) {
  FrameReader reader(kHandshakeFrameBytesMax);
  reader.Reset();
  Frames frames;
  FeedPiece(HeaderOf({.size = kHandshakeFrameBytesMax + 1,
                      .kind = FrameKind::kHello}),
            &reader, &frames);
  EXPECT_EQ(reader.fault(), FrameFault::kSizeAboveLimit);
}

}  // namespace
}  // namespace ipc::wire
