// SPDX-License-Identifier: Apache-2.0
//
// The header of a frame: where its fields lie, what each kind is called, and
// for every fault a header that has it beside the nearest ones that have not.

#include "libipc/wire/frame.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace ipc::wire {
namespace {

constexpr uint32_t kU32Max = std::numeric_limits<uint32_t>::max();

FrameFault Check(const FrameHeader& header) {
  return CheckHeader(header, kControlFrameBytesMax);
}

FrameHeader Data(uint32_t payload_bytes) {
  return {.size = kFrameHeaderBytes + payload_bytes,
          .kind = FrameKind::kPublish,
          .target = 1,
          .sequence = 1};
}

// -- Layout --

TEST(FrameHeaderTest, FieldsLieLittleEndianWhereTheTableSays) {
  const FrameHeader header = {.size = 0x04030201,
                              .kind = static_cast<FrameKind>(0x05),
                              .flags = 0x06,
                              .descriptors = 0x07,
                              .reserved = 0x08,
                              .target = 0x0c0b0a09,
                              .session = 0x100f0e0d,
                              .sequence = 0x1817161514131211,
                              .time = 0x201f1e1d1c1b1a19,
                              .extension = 0x24232221,
                              .fragment = 0x2625,
                              .last_fragment = 0x2827};
  std::array<std::byte, kFrameHeaderBytes> bytes;
  StoreHeader(header, bytes.data());
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(std::to_integer<size_t>(bytes[i]), i + 1);
  }
}

TEST(FrameHeaderTest, LoadsWhatWasStoredAtAnyAlignment) {
  const FrameHeader header = {.size = 41,
                              .kind = FrameKind::kDeliver,
                              .target = kU32Max,
                              .sequence = 1,
                              .time = std::numeric_limits<int64_t>::min(),
                              .last_fragment = 0xffff};
  std::array<std::byte, kFrameHeaderBytes + 8> bytes;
  for (size_t offset = 0; offset < 8; ++offset) {
    StoreHeader(header, bytes.data() + offset);
    EXPECT_EQ(LoadHeader(bytes.data() + offset), header);
  }
}

TEST(AppendFrameTest, FillsInTheSizeAndKeepsWhatWasThere) {
  std::string out = "before";
  AppendFrame({.size = 7, .kind = FrameKind::kPublish, .target = 3}, "payload",
              &out);
  ASSERT_EQ(out.size(), 6 + kFrameHeaderBytes + 7);
  EXPECT_EQ(out.substr(0, 6), "before");
  EXPECT_EQ(out.substr(6 + kFrameHeaderBytes), "payload");
  const FrameHeader header =
      LoadHeader(reinterpret_cast<const std::byte*>(out.data() + 6));
  EXPECT_EQ(header, (FrameHeader{.size = kFrameHeaderBytes + 7,
                                 .kind = FrameKind::kPublish,
                                 .target = 3}));
}

TEST(AppendFrameTest, EmptyPayloadGivesTheHeaderAlone) {
  std::string out;
  AppendFrame({.kind = FrameKind::kAck}, "", &out);
  EXPECT_EQ(out.size(), kFrameHeaderBytes);
}

TEST(FrameTest, PayloadBeginsBehindTheExtension) {
  std::string bytes;
  AppendFrame({.kind = FrameKind::kPublish, .extension = 3}, "extpayload",
              &bytes);
  auto* data = reinterpret_cast<std::byte*>(bytes.data());
  const Frame frame = {.header = LoadHeader(data),
                       .bytes = {data, bytes.size()}};
  EXPECT_EQ(frame.text(), "payload");
  EXPECT_EQ(frame.payload().size(), 7u);
}

TEST(FrameTest, PayloadIsEmptyWhenTheExtensionFillsTheFrame) {
  std::string bytes;
  AppendFrame({.kind = FrameKind::kPublish, .extension = 3}, "ext", &bytes);
  auto* data = reinterpret_cast<std::byte*>(bytes.data());
  const Frame frame = {.header = LoadHeader(data),
                       .bytes = {data, bytes.size()}};
  EXPECT_EQ(frame.text(), "");
}

// -- Kinds --

// PROTOCOL.md's table; everything else is unknown.
const std::map<int, std::string>& KindNames() {
  static const std::map<int, std::string> kNames = {
      {1, "PUBLISH"},       {2, "DELIVER"},      {3, "ACK"},
      {4, "ABORT"},         {5, "SELECT"},       {6, "GONE"},
      {7, "RESUMED"},       {8, "JOINED"},       {9, "RESEND_END"},
      {10, "LEAVE"},        {11, "MATCHES"},     {12, "CLOSE"},
      {13, "UNSUBSCRIBE"},  {14, "PING"},        {15, "PONG"},
      {16, "GAP"},          {32, "HELLO"},       {33, "WELCOME"},
      {34, "GOODBYE"},      {35, "RESULT"},      {36, "OPEN"},
      {37, "OPENED"},       {38, "SUBSCRIBE"},   {39, "ANNOUNCE"},
      {40, "JOIN"},         {41, "RESEND"},      {42, "SCHEMA"},
      {43, "GET_SCHEMA"},   {44, "LIST_TOPICS"}, {45, "TOPICS"},
      {46, "LIST_CLIENTS"}, {47, "CLIENTS"},     {48, "REFUSED"},
      {49, "GET_STATUS"},   {50, "STATUS"},      {51, "WATCH_CLIENTS"},
      {52, "PRESENCE"},
  };
  return kNames;
}

TEST(FrameKindTest, EachOfThe256ValuesHasItsNameOrItsNumber) {
  std::set<std::string> seen;
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    const auto found = KindNames().find(value);
    const bool known = found != KindNames().end();
    EXPECT_EQ(IsKnownKind(kind), known) << value;
    EXPECT_EQ(KindName(kind),
              known ? found->second : "kind " + std::to_string(value));
    EXPECT_TRUE(seen.insert(KindName(kind)).second) << value;
  }
}

TEST(FrameKindTest, EachOfThe256ValuesIsDataHeaderOnlyOrControl) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    EXPECT_EQ(IsData(kind), value == 1 || value == 2) << value;
    EXPECT_EQ(IsHeaderOnly(kind), value >= 3 && value <= 16) << value;
  }
}

// -- Gaps --

TEST(GapTest, TravelsInAHeader) {
  const Gap gap = {.topic = 12,
                   .session = 77,
                   .first = 300,
                   .last = 1299,
                   .reason = GapReason::kLatest};
  const FrameHeader header = GapHeader(gap);
  EXPECT_EQ(header, (FrameHeader{.kind = FrameKind::kGap,
                                 .target = 12,
                                 .session = 77,
                                 .sequence = 300,
                                 .time = 1299,
                                 .fragment = 6}));
  Gap parsed;
  ASSERT_TRUE(ParseGap(header, &parsed));
  EXPECT_EQ(parsed, gap);
}

TEST(GapTest, ARangeThatIsNoneMeansNothing) {
  Gap gap;
  for (auto [first, last] : std::vector<std::pair<uint64_t, int64_t>>{
           {0, 5}, {0, 0}, {6, 5}, {1, 0}, {1, -1}, {UINT64_MAX, INT64_MAX}}) {
    EXPECT_FALSE(ParseGap(
        {.kind = FrameKind::kGap, .sequence = first, .time = last}, &gap))
        << first << " to " << last;
  }
  EXPECT_TRUE(ParseGap(
      {.kind = FrameKind::kGap, .sequence = 1, .time = INT64_MAX}, &gap));
}

TEST(GapTest, AReasonOfALaterVersionIsUnspecified) {
  for (int number = 0; number < 65536; ++number) {
    EXPECT_EQ(static_cast<int>(GapReasonOf(static_cast<uint16_t>(number))),
              number <= 6 ? number : 0);
  }
}

// -- Faults --

TEST(CheckHeaderTest, PlainFramesOfEveryKindAreInOrder) {
  for (int value = 0; value < 256; ++value) {
    EXPECT_EQ(Check({.kind = static_cast<FrameKind>(value)}), FrameFault::kNone)
        << value << ": unknown kinds pass too";
  }
}

TEST(CheckHeaderTest, SizeBelowTheHeaderIsAFaultOfEveryKind) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    for (uint32_t size : {0u, 1u, 39u}) {
      EXPECT_EQ(Check({.size = size, .kind = kind}),
                FrameFault::kSizeBelowHeader);
    }
    EXPECT_EQ(Check({.size = 40, .kind = kind}), FrameFault::kNone);
  }
}

TEST(CheckHeaderTest, DataPayloadMayReachItsLimitAndNoMore) {
  EXPECT_EQ(Check(Data(0)), FrameFault::kNone);
  EXPECT_EQ(Check(Data(1)), FrameFault::kNone);
  EXPECT_EQ(Check(Data(kFramePayloadBytesMax)), FrameFault::kNone);
  EXPECT_EQ(Check(Data(kFramePayloadBytesMax + 1)),
            FrameFault::kSizeAboveLimit);
  EXPECT_EQ(Check(Data(kU32Max - kFrameHeaderBytes)),
            FrameFault::kSizeAboveLimit);
}

TEST(CheckHeaderTest, ExtensionDoesNotCountAsPayload) {
  FrameHeader header = Data(kFramePayloadBytesMax + kFrameExtensionBytesMax);
  EXPECT_EQ(header.size, kDataFrameBytesMax);
  header.extension = kFrameExtensionBytesMax;
  EXPECT_EQ(Check(header), FrameFault::kNone);
  header.extension = kFrameExtensionBytesMax - 1;
  EXPECT_EQ(Check(header), FrameFault::kSizeAboveLimit);
  header.extension = kFrameExtensionBytesMax;
  ++header.size;
  EXPECT_EQ(Check(header), FrameFault::kSizeAboveLimit);
}

TEST(CheckHeaderTest, ControlFrameMayReachTheLimitItWasGivenAndNoMore) {
  for (uint32_t limit : {kHandshakeFrameBytesMax, kControlFrameBytesMax}) {
    for (FrameKind kind : {FrameKind::kHello, FrameKind::kRefused,
                           static_cast<FrameKind>(200)}) {
      FrameHeader header = {.size = limit, .kind = kind};
      EXPECT_EQ(CheckHeader(header, limit), FrameFault::kNone);
      header.size = limit + 1;
      EXPECT_EQ(CheckHeader(header, limit), FrameFault::kSizeAboveLimit);
      header.size = kU32Max;
      EXPECT_EQ(CheckHeader(header, limit), FrameFault::kSizeAboveLimit);
    }
  }
}

TEST(CheckHeaderTest, NoFrameIsAboveTheHandshakesLimitDataNeither) {
  FrameHeader header = Data(kHandshakeFrameBytesMax - kFrameHeaderBytes);
  EXPECT_EQ(CheckHeader(header, kHandshakeFrameBytesMax), FrameFault::kNone);
  ++header.size;
  EXPECT_EQ(CheckHeader(header, kHandshakeFrameBytesMax),
            FrameFault::kSizeAboveLimit);
  header.kind = FrameKind::kDeliver;
  EXPECT_EQ(CheckHeader(header, kHandshakeFrameBytesMax),
            FrameFault::kSizeAboveLimit);
}

TEST(CheckHeaderTest, AnExpiredPublicationIsAHeaderAlone) {
  for (uint8_t flags : {kFlagExpired, uint8_t{kFlagExpired | kFlagResend}}) {
    FrameHeader header = Data(0);
    header.flags = flags;
    EXPECT_EQ(Check(header), FrameFault::kNone);
    header.size += 1;
    EXPECT_EQ(Check(header), FrameFault::kExpiredNotEmpty);
    header.extension = 1;
    EXPECT_EQ(Check(header), FrameFault::kExpiredNotEmpty);
    header = Data(0);
    header.flags = flags;
    header.fragment = header.last_fragment = 1;
    EXPECT_EQ(Check(header), FrameFault::kExpiredNotEmpty);
    header.fragment = 0;
    EXPECT_EQ(Check(header), FrameFault::kExpiredNotEmpty);
  }
}

TEST(CheckHeaderTest, ThereAreThreeFlags) {
  for (FrameKind kind :
       {FrameKind::kPublish, FrameKind::kAck, FrameKind::kHello}) {
    for (int flags = 0; flags < 256; ++flags) {
      const FrameHeader header = {.kind = kind,
                                  .flags = static_cast<uint8_t>(flags)};
      EXPECT_EQ(Check(header), flags <= 3   ? FrameFault::kNone
                               : flags <= 7 ? FrameFault::kMemfdNotAlone
                                            : FrameFault::kUnknownFlags)
          << flags;
    }
  }
}

TEST(CheckHeaderTest, AMemfdStandsForThePayloadByItsSizeAlone) {
  FrameHeader header = Data(8);
  header.flags = kFlagMemfd;
  EXPECT_EQ(Check(header), FrameFault::kMemfdNotAlone);
  header.descriptors = 1;
  EXPECT_EQ(Check(header), FrameFault::kNone);
  header.flags |= kFlagResend;
  EXPECT_EQ(Check(header), FrameFault::kNone);
  header.flags |= kFlagExpired;
  EXPECT_NE(Check(header), FrameFault::kNone);
  for (uint32_t size : {0u, 7u, 9u, 65536u}) {
    FrameHeader other = Data(size);
    other.flags = kFlagMemfd;
    other.descriptors = 1;
    EXPECT_EQ(Check(other), FrameFault::kMemfdNotAlone) << size;
  }
}

TEST(CheckHeaderTest, ReservedByteIsZero) {
  for (int value = 1; value < 256; ++value) {
    const auto byte = static_cast<uint8_t>(value);
    FrameHeader header = Data(0);
    header.reserved = byte;
    EXPECT_EQ(Check(header), FrameFault::kReservedNotZero);
    EXPECT_EQ(Check({.kind = FrameKind::kHello, .reserved = byte}),
              FrameFault::kReservedNotZero);
  }
}

TEST(CheckHeaderTest, AFirstFragmentOfDataMayHave16Descriptors) {
  for (int value = 1; value < 256; ++value) {
    const auto count = static_cast<uint8_t>(value);
    const FrameFault of_first = count <= kDescriptorsPerMessageMax
                                    ? FrameFault::kNone
                                    : FrameFault::kDescriptorsAboveLimit;
    FrameHeader header = Data(0);
    header.descriptors = count;
    EXPECT_EQ(Check(header), of_first);
    header.flags = kFlagResend;
    EXPECT_EQ(Check(header), of_first);
    header.flags = kFlagExpired;
    EXPECT_EQ(Check(header), FrameFault::kDescriptorsNotAllowed);
    header.flags = 0;
    header.fragment = header.last_fragment = 1;
    EXPECT_EQ(Check(header), FrameFault::kDescriptorsNotAllowed);
    EXPECT_EQ(Check({.kind = FrameKind::kHello, .descriptors = count}),
              FrameFault::kDescriptorsNotAllowed);
  }
}

TEST(CheckHeaderTest, ExtensionEndsWithinTheFrame) {
  for (FrameKind kind : {FrameKind::kPublish, FrameKind::kHello}) {
    FrameHeader header = {
        .size = kFrameHeaderBytes + 10, .kind = kind, .extension = 10};
    EXPECT_EQ(Check(header), FrameFault::kNone);
    // The last ones would wrap to something small when added to the header.
    for (uint32_t extension : {11u, 50u, kU32Max - 39, kU32Max - 40, kU32Max}) {
      header.extension = extension;
      EXPECT_EQ(Check(header), FrameFault::kExtensionBeyondFrame) << extension;
    }
    EXPECT_EQ(Check({.kind = kind, .extension = 1}),
              FrameFault::kExtensionBeyondFrame);
  }
}

TEST(CheckHeaderTest, ExtensionMayReachItsLimitAndNoMore) {
  for (FrameKind kind : {FrameKind::kPublish, FrameKind::kHello}) {
    FrameHeader header = {.size = kFrameHeaderBytes + 5000,
                          .kind = kind,
                          .extension = kFrameExtensionBytesMax};
    EXPECT_EQ(Check(header), FrameFault::kNone);
    for (uint32_t extension : {kFrameExtensionBytesMax + 1, 5000u}) {
      header.extension = extension;
      EXPECT_EQ(Check(header), FrameFault::kExtensionAboveLimit);
    }
  }
}

TEST(CheckHeaderTest, FragmentIndexIsAtMostTheLast) {
  struct Case {
    uint16_t fragment;
    uint16_t last;
    FrameFault fault;
  };
  const FrameFault beyond = FrameFault::kFragmentBeyondLast;
  const std::vector<Case> cases = {
      {0, 0, FrameFault::kNone},
      {1, 0, beyond},
      {0xffff, 0, beyond},
      {0, 1, FrameFault::kNone},
      {1, 1, FrameFault::kNone},
      {2, 1, beyond},
      {0xfffe, 0xffff, FrameFault::kNone},
      {0xffff, 0xffff, FrameFault::kNone},
      {0xffff, 0xfffe, beyond},
  };
  for (const Case& c : cases) {
    FrameHeader header = Data(kFramePayloadBytesMax);
    header.fragment = c.fragment;
    header.last_fragment = c.last;
    EXPECT_EQ(Check(header), c.fault) << c.fragment << " of " << c.last;
  }
}

TEST(CheckHeaderTest, OnlyTheLastFragmentMayBeShort) {
  for (uint32_t payload :
       {0u, 1u, kFramePayloadBytesMax - 1, kFramePayloadBytesMax}) {
    const bool full = payload == kFramePayloadBytesMax;
    FrameHeader header = Data(payload);
    header.last_fragment = 2;
    for (uint16_t fragment : {uint16_t{0}, uint16_t{1}}) {
      header.fragment = fragment;
      EXPECT_EQ(Check(header),
                full ? FrameFault::kNone : FrameFault::kFragmentNotFull);
    }
    header.fragment = 2;
    EXPECT_EQ(Check(header), FrameFault::kNone);
  }
}

TEST(CheckHeaderTest, FragmentIsFullBesideItsExtension) {
  FrameHeader header = Data(kFramePayloadBytesMax + 8);
  header.extension = 8;
  header.last_fragment = 1;
  EXPECT_EQ(Check(header), FrameFault::kNone);
  header.size -= 8;
  EXPECT_EQ(Check(header), FrameFault::kFragmentNotFull)
      << "the extension does not fill a fragment";
}

TEST(CheckHeaderTest, KindsWithAHeaderOnlyHaveNothingBehindIt) {
  for (int value = 3; value <= 16; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    EXPECT_EQ(Check({.size = 40, .kind = kind}), FrameFault::kNone);
    for (uint32_t size : {41u, 1000u, kControlFrameBytesMax}) {
      EXPECT_EQ(Check({.size = size, .kind = kind}),
                FrameFault::kPayloadNotAllowed);
    }
    EXPECT_EQ(Check({.size = 41, .kind = kind, .extension = 1}),
              FrameFault::kPayloadNotAllowed);
  }
  for (int value : {0, 17, 31, 32, 48, 49, 255}) {
    EXPECT_EQ(Check({.size = 41, .kind = static_cast<FrameKind>(value)}),
              FrameFault::kNone)
        << value;
  }
}

TEST(CheckHeaderTest, FieldsThatOnlyTheSessionCanJudgeAreLeftToIt) {
  EXPECT_EQ(Check({.kind = FrameKind::kAck,
                   .target = kU32Max,
                   .session = kU32Max,
                   .sequence = std::numeric_limits<uint64_t>::max(),
                   .time = std::numeric_limits<int64_t>::min()}),
            FrameFault::kNone);
}

TEST(FaultTextTest, EveryFaultHasATextOfItsOwn) {
  std::set<std::string> texts;
  const int last = static_cast<int>(FrameFault::kMemfdNotAlone);
  for (int value = 0; value <= last; ++value) {
    const std::string text(FaultText(static_cast<FrameFault>(value)));
    EXPECT_NE(text, "unknown fault");
    EXPECT_TRUE(texts.insert(text).second) << text;
  }
  EXPECT_EQ(FaultText(static_cast<FrameFault>(last + 1)), "unknown fault")
      << "a fault was added: test it here";
}

TEST(FaultTextTest, NumbersInTheTextsAreTheLimits) {
  auto contains = [](FrameFault fault, uint32_t number) {
    return FaultText(fault).find(std::to_string(number)) !=
           std::string_view::npos;
  };
  EXPECT_TRUE(contains(FrameFault::kSizeBelowHeader, kFrameHeaderBytes));
  EXPECT_TRUE(
      contains(FrameFault::kExtensionAboveLimit, kFrameExtensionBytesMax));
  EXPECT_TRUE(contains(FrameFault::kFragmentNotFull, kFramePayloadBytesMax));
}

}  // namespace
}  // namespace ipc::wire
