// SPDX-License-Identifier: Apache-2.0
//
// Holds the wire in place: every kind of frame is stored as bytes in
// tests/golden/<kind>.bin (or <kind>_<variant>.bin) and is checked both ways.
// A change of the wire shows as a failure here, and as a binary diff once
//
//   IPC_UPDATE_GOLDEN=1 <test program> --gtest_filter='*Golden*'
//
// has written the files again. Do that only together with PROTOCOL.md: other
// people's clients read these bytes.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/strings/ascii.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame.h"
#include "tests/support/control_fields.h"
#include "tests/support/control_samples.h"
#include "tests/support/frame_feed.h"

#ifndef IPC_GOLDEN_DIR
#define IPC_GOLDEN_DIR IPC_SOURCE_DIR "/tests/golden"
#endif

namespace ipc::wire {
namespace {

// -- The fixed frames --

constexpr uint64_t kRequest = 42;

struct Golden {
  std::string name;     // of the file, without .bin
  FrameHeader header;   // as it must stand in the file, but for the size
  std::string payload;  // extension included
};

// The name is enough in a failure; the bytes are in the file.
[[maybe_unused]] void PrintTo(const Golden& golden, std::ostream* stream) {
  *stream << golden.name;
}

std::string NameOf(FrameKind kind) {
  return absl::AsciiStrToLower(KindName(kind));
}

std::string Counting(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

FrameHeader PublishHeader() {
  return {.kind = FrameKind::kPublish,
          .target = 3,
          .sequence = 300,
          .time = 86'400'123'456'789};
}

void AddData(std::vector<Golden>* all) {
  const FrameHeader publish = PublishHeader();
  all->push_back({"publish", publish, Counting(24)});
  all->push_back({"publish_empty", publish, ""});

  FrameHeader resend = publish;
  resend.flags = kFlagResend;
  resend.session = 11;  // the reader that it is for
  all->push_back({"publish_resend", resend, Counting(24)});

  FrameHeader expired = publish;
  expired.flags = kFlagExpired;
  all->push_back({"publish_expired", expired, ""});

  FrameHeader with_descriptors = publish;
  with_descriptors.descriptors = 2;
  all->push_back({"publish_descriptors", with_descriptors, Counting(24)});

  FrameHeader memfd = with_descriptors;
  memfd.flags = kFlagMemfd;
  all->push_back({"publish_memfd", memfd,
                  std::string("\x00\x00\x10\x00\x00\x00\x00\x00", 8)});

  FrameHeader extended = publish;
  extended.extension = 5;
  all->push_back(
      {"publish_extension", extended, "\x01\x02\x03\x04\x05" + Counting(24)});

  // The only fragment that may be short is the last.
  FrameHeader fragment = publish;
  fragment.fragment = 2;
  fragment.last_fragment = 2;
  all->push_back({"publish_last_fragment", fragment, Counting(24)});

  FrameHeader deliver = publish;
  deliver.kind = FrameKind::kDeliver;
  deliver.target = 12;   // topic id
  deliver.session = 77;  // the publisher's
  all->push_back({"deliver", deliver, Counting(24)});
}

void AddHeaderOnly(std::vector<Golden>* all) {
  const std::vector<FrameHeader> headers = {
      {.kind = FrameKind::kAck, .target = 3, .sequence = 300},
      {.kind = FrameKind::kAbort, .target = 12, .session = 77, .sequence = 300},
      {.kind = FrameKind::kSelect, .target = 7},
      {.kind = FrameKind::kGone, .session = 77},
      {.kind = FrameKind::kResumed},
      {.kind = FrameKind::kJoined, .session = 11},
      {.kind = FrameKind::kResendEnd, .session = 11},
      {.kind = FrameKind::kLeave, .session = 11},
      {.kind = FrameKind::kMatches, .target = 3, .sequence = 5},
      {.kind = FrameKind::kClose, .target = 3, .sequence = kRequest},
      {.kind = FrameKind::kUnsubscribe, .target = 7, .sequence = kRequest},
      {.kind = FrameKind::kPing, .sequence = kRequest},
      {.kind = FrameKind::kPong, .sequence = kRequest},
      GapHeader({.topic = 12,
                 .session = 77,
                 .first = 300,
                 .last = 1299,
                 .reason = GapReason::kDepth}),
  };
  for (const FrameHeader& header : headers) {
    all->push_back({NameOf(header.kind), header, ""});
  }
}

template <typename Message>
void AddControl(uint64_t request, std::vector<Golden>* all) {
  all->push_back({NameOf(Message::kKind),
                  {.kind = Message::kKind, .sequence = request},
                  Encode(test::Sample<Message>())});
}

void AddControls(std::vector<Golden>* all) {
  AddControl<Hello>(0, all);
  AddControl<Welcome>(0, all);
  AddControl<Goodbye>(0, all);
  AddControl<Result>(kRequest, all);
  AddControl<Open>(kRequest, all);
  AddControl<Opened>(kRequest, all);
  AddControl<Subscribe>(kRequest, all);
  AddControl<Announce>(0, all);
  AddControl<Join>(0, all);
  AddControl<Resend>(0, all);
  AddControl<Schema>(kRequest, all);
  AddControl<GetSchema>(kRequest, all);
  AddControl<ListTopics>(kRequest, all);
  AddControl<Topics>(kRequest, all);
  AddControl<ListClients>(kRequest, all);
  AddControl<Clients>(kRequest, all);
  AddControl<GetStatus>(kRequest, all);
  AddControl<Status>(kRequest, all);
  AddControl<WatchClients>(kRequest, all);
  AddControl<Presence>(0, all);
  all->push_back({"refused",
                  {.kind = FrameKind::kRefused, .target = 3, .sequence = 300},
                  Encode(test::Sample<Result>())});
}

const std::vector<Golden>& AllGolden() {
  static const std::vector<Golden> kAll = [] {
    std::vector<Golden> made;
    AddData(&made);
    AddHeaderOnly(&made);
    AddControls(&made);
    return made;
  }();
  return kAll;
}

// -- Files --

std::filesystem::path PathOf(const std::string& name) {
  return std::filesystem::path(IPC_GOLDEN_DIR) / (name + ".bin");
}

std::string EncodeGolden(const Golden& golden) {
  std::string bytes;
  AppendFrame(golden.header, golden.payload, &bytes);
  return bytes;
}

bool WriteAllIfAsked() {
  const char* update = std::getenv("IPC_UPDATE_GOLDEN");
  if (update == nullptr || std::string_view(update) != "1") return false;
  for (const Golden& golden : AllGolden()) {
    std::ofstream stream(PathOf(golden.name), std::ios::binary);
    stream << EncodeGolden(golden);
  }
  return true;
}

bool ReadFile(const std::string& name, std::string* bytes) {
  [[maybe_unused]] static const bool kWritten = WriteAllIfAsked();
  std::ifstream stream(PathOf(name), std::ios::binary);
  if (!stream) return false;
  bytes->assign(std::istreambuf_iterator<char>(stream), {});
  return true;
}

class GoldenTest : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(ReadFile(GetParam().name, &bytes_))
        << "cannot read " << PathOf(GetParam().name);
  }

  std::string bytes_;
};

TEST_P(GoldenTest, EncodesToTheStoredBytes) {
  EXPECT_EQ(EncodeGolden(GetParam()), bytes_);
}

TEST_P(GoldenTest, StoredBytesAreOneFrameWithTheSameHeaderAndPayload) {
  FrameReader reader(kControlFrameBytesMax);
  test::Frames frames;
  test::FeedPiece(bytes_, &reader, &frames);
  ASSERT_EQ(FaultText(reader.fault()), FaultText(FrameFault::kNone));
  ASSERT_EQ(frames, test::Frames{bytes_});

  FrameHeader header =
      LoadHeader(reinterpret_cast<const std::byte*>(bytes_.data()));
  EXPECT_EQ(header.size, bytes_.size());
  FrameHeader expected = GetParam().header;
  expected.size = header.size;
  EXPECT_EQ(header, expected);

  std::string again;
  AppendFrame(header, std::string_view(bytes_).substr(kFrameHeaderBytes),
              &again);
  EXPECT_EQ(again, bytes_);
}

TEST_P(GoldenTest, StoredMessageParsesToTheSameValuesAndEncodesToTheSameBytes) {
  const FrameHeader header =
      LoadHeader(reinterpret_cast<const std::byte*>(bytes_.data()));
  const auto payload = std::string_view(bytes_).substr(kFrameHeaderBytes);
  const bool is_control = test::VisitControl(header.kind, [&](auto type) {
    using Message = typename decltype(type)::type;
    Message message;
    ASSERT_TRUE(Parse(payload, &message));
    EXPECT_TRUE(test::Same(message, test::Sample<Message>()));
    EXPECT_EQ(Encode(message), payload);
  });
  EXPECT_EQ(is_control, static_cast<int>(header.kind) >= 32);
}

INSTANTIATE_TEST_SUITE_P(AllFrames, GoldenTest, testing::ValuesIn(AllGolden()),
                         [](const auto& tested) { return tested.param.name; });

// -- The set as a whole --

TEST(GoldenSetTest, EveryKnownKindHasAFileOfItsName) {
  for (int value = 0; value < 256; ++value) {
    const auto kind = static_cast<FrameKind>(value);
    if (!IsKnownKind(kind)) continue;
    std::string bytes;
    ASSERT_TRUE(ReadFile(NameOf(kind), &bytes)) << PathOf(NameOf(kind));
    ASSERT_GE(bytes.size(), kFrameHeaderBytes);
    EXPECT_EQ(LoadHeader(reinterpret_cast<const std::byte*>(bytes.data())).kind,
              kind);
  }
}

TEST(GoldenSetTest, EveryFileIsCheckedByThisTest) {
  std::set<std::string> known;
  for (const Golden& golden : AllGolden()) {
    EXPECT_TRUE(known.insert(golden.name).second) << golden.name;
  }
  for (const auto& entry :
       std::filesystem::directory_iterator(IPC_GOLDEN_DIR)) {
    if (entry.path().extension() != ".bin") continue;
    EXPECT_TRUE(known.contains(entry.path().stem())) << entry.path();
  }
}

TEST(GoldenSetTest, BrokerTurnsPublishIntoDeliverByKindTargetAndSessionAlone) {
  std::string publish;
  std::string deliver;
  ASSERT_TRUE(ReadFile("publish", &publish));
  ASSERT_TRUE(ReadFile("deliver", &deliver));
  ASSERT_EQ(publish.size(), deliver.size());
  for (size_t i = 0; i < publish.size(); ++i) {
    const bool stamped = i == 4 || (i >= 8 && i < 16);
    if (!stamped) {
      EXPECT_EQ(publish[i], deliver[i]) << "byte " << i;
    }
  }
}

}  // namespace

}  // namespace ipc::wire
