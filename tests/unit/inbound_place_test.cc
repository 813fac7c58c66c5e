// SPDX-License-Identifier: Apache-2.0
//
// Fragments that are read to their places: the same messages however the
// stream is cut and whatever lies between, and nobody else's memory.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "libipc/core/inbound.h"
#include "tests/support/seed.h"
#include "tests/unit/receiving_test.h"

namespace ipc::core {
namespace {

using test::FrameOf;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::FrameKind;

class InboundPlaceTest : public ReceivingTest {
 protected:
  // The frames of a message of publisher `session`.
  static std::vector<std::string> FramesOf(uint32_t session, uint64_t sequence,
                                           std::string_view payload) {
    std::vector<std::string> frames;
    const size_t last =
        payload.empty() ? 0 : (payload.size() - 1) / kFramePayloadBytesMax;
    for (size_t i = 0; i <= last; ++i) {
      frames.push_back(FrameOf(
          {.kind = FrameKind::kDeliver,
           .target = 7,
           .session = session,
           .sequence = sequence,
           .fragment = static_cast<uint16_t>(i),
           .last_fragment = static_cast<uint16_t>(last)},
          payload.substr(i * kFramePayloadBytesMax, kFramePayloadBytesMax)));
    }
    return frames;
  }
  // One read that brings all of `bytes`, as far as there is room. What it did
  // not bring.
  std::string_view Read(std::string_view bytes, size_t look_ahead) {
    inbound_.FindPlace(&receiving_);
    const std::span<std::byte> place = inbound_.place();
    const size_t placed = std::min(place.size(), bytes.size());
    if (placed != 0) std::memcpy(place.data(), bytes.data(), placed);
    const size_t behind = std::min(look_ahead, bytes.size() - placed);
    const std::span<std::byte> room = inbound_.Room(behind);
    if (behind != 0) std::memcpy(room.data(), bytes.data() + placed, behind);
    inbound_.Filled(placed + behind);
    wire::Frame frame;
    const auto kept = inbound_.TakePlaced(&frame);
    if (kept != nullptr) {
      ++placed_;
      Handle(frame);
    }
    while (inbound_.Next(&frame)) Handle(frame);
    return bytes.substr(placed + behind);
  }
  void Handle(const wire::Frame& frame) {
    if (frame.header.kind == FrameKind::kSelect) {
      receiving_.OnSelect(SubscriptionId{frame.header.target});
      return;
    }
    const auto delivery = receiving_.OnDeliver(frame, now_);
    if (!delivery.has_value()) return;
    payload_ = delivery->payload;
    messages_.emplace_back(
        frame.header.session,
        std::string(reinterpret_cast<const char*>(payload_.data()),
                    payload_.size()));
    receiving_.OnConsumed(*delivery, now_);
  }

  Inbound inbound_;
  std::vector<std::pair<uint32_t, std::string>>
      messages_;                        // publisher, payload
  std::span<const std::byte> payload_;  // of the last
  size_t placed_ = 0;
};

TEST_F(InboundPlaceTest, TheBytesAreReadToWhereTheMessageIs) {
  const std::vector<std::string> frames = FramesOf(3, 1, Full('a') + Full('b'));
  Read(frames[0] + frames[1].substr(0, 50), 100'000);
  inbound_.FindPlace(&receiving_);
  const std::byte* const place = inbound_.place().data();
  EXPECT_EQ(inbound_.place().size(), frames[1].size() - 50);
  Read(frames[1].substr(50), 0);
  EXPECT_EQ(placed_, 1u);
  EXPECT_TRUE(inbound_.place().empty());
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_TRUE(messages_[0].second == Full('a') + Full('b'));
  EXPECT_EQ(payload_.data() + kFramePayloadBytesMax + 10, place);
}

TEST_F(InboundPlaceTest, SmallReadsBehindKeepItSo) {
  std::string stream;
  for (uint64_t i = 1; i <= 10; ++i) {
    for (const std::string& frame : FramesOf(3, i, Full('a') + Full('b'))) {
      stream += frame;
    }
  }
  std::string_view rest = Read(stream, 512);
  while (!rest.empty()) rest = Read(rest, 512);
  EXPECT_EQ(messages_.size(), 10u);
  EXPECT_EQ(placed_, 20u);
}

TEST_F(InboundPlaceTest, HoweverTheStreamIsCutTheMessagesAreTheSame) {
  SCOPED_TRACE(test::SeedNote());
  std::mt19937_64 random(test::Seed());
  constexpr uint32_t kPublishers = 3;
  Receiving::Subscription* other = Add("a/b");
  std::map<uint32_t, std::vector<std::string>> expected;
  std::map<uint32_t, std::vector<std::string>> waiting;
  for (uint32_t session = 1; session <= kPublishers; ++session) {
    Announce(7, session, static_cast<uint8_t>(session));
    for (uint64_t i = 1; i <= 20; ++i) {
      std::string payload(
          random() % 4 == 0 ? random() % 300'000 : random() % 3000,
          static_cast<char>('a' + i));
      for (std::string& frame : FramesOf(session, i, payload)) {
        waiting[session].push_back(std::move(frame));
      }
      expected[session].push_back(std::move(payload));
    }
  }
  // Frame by frame of one publisher or another, with SELECTs between, behind
  // which nothing is for this subscription until the next.
  std::string stream;
  while (!waiting.empty()) {
    auto from =
        std::next(waiting.begin(), static_cast<int>(random() % waiting.size()));
    stream += from->second.front();
    from->second.erase(from->second.begin());
    if (from->second.empty()) waiting.erase(from);
    if (random() % 5 != 0) continue;
    for (SubscriptionId id : {other->id, subscription_->id}) {
      stream += FrameOf({.kind = FrameKind::kSelect, .target = ToNumber(id)});
    }
  }
  for (std::string_view rest = stream; !rest.empty();) {
    const size_t size = std::min<size_t>(1 + random() % 100'000, rest.size());
    const size_t look_ahead = random() % 3 == 0 ? 200'000 : 1 + random() % 512;
    const std::string_view piece = rest.substr(0, size);
    rest = rest.substr(size - Read(piece, look_ahead).size());
  }
  std::map<uint32_t, std::vector<std::string>> seen;
  for (auto& [session, payload] : messages_) seen[session].push_back(payload);
  EXPECT_TRUE(seen == expected);
  EXPECT_GT(placed_, 0u);
}

TEST_F(InboundPlaceTest, OnlyTheNextFragmentOfAMessageHasAPlace) {
  const std::vector<std::string> first = FramesOf(3, 1, Full('a') + "end");
  for (const std::string& frame : first) Read(frame, 100'000);
  ASSERT_EQ(messages_.size(), 1u);
  const std::string payload = Full('a') + Full('b') + "end";
  const auto frames = FramesOf(3, 2, payload);
  const auto place_of = [&](const wire::FrameHeader& header) {
    return receiving_.AssemblyFor(header);
  };
  const wire::FrameHeader begin = test::HeaderOf(frames[0]);
  EXPECT_NE(place_of(begin), nullptr);
  wire::FrameHeader header = test::HeaderOf(first[0]);
  EXPECT_EQ(place_of(header), nullptr) << "it has been received";
  header = test::HeaderOf(frames[1]);
  EXPECT_EQ(place_of(header), nullptr) << "the one before it has not come";
  header = begin;
  header.session = 99;
  EXPECT_EQ(place_of(header), nullptr) << "nobody is known by that number";
  header = begin;
  header.extension = 1;
  EXPECT_EQ(place_of(header), nullptr) << "the payload does not come next";
  header = begin;
  header.descriptors = 1;
  EXPECT_EQ(place_of(header), nullptr) << "they have to be taken";
  header = begin;
  header.kind = FrameKind::kPublish;
  EXPECT_EQ(place_of(header), nullptr) << "a broker sends none";
  header = begin;
  header.last_fragment = 0;
  EXPECT_EQ(place_of(header), nullptr) << "a whole one is handed out in place";
  receiving_.OnSelect(SubscriptionId{999});
  EXPECT_EQ(place_of(begin), nullptr) << "the subscription is gone";
}

TEST_F(InboundPlaceTest, ASubscriptionMayGoWhileAFragmentComes) {
  const std::vector<std::string> frames = FramesOf(3, 1, Full('a') + "end");
  Read(frames[0].substr(0, 1000), 1000);
  Read(frames[0].substr(1000, 1000), 0);
  receiving_.Remove(subscription_->id);
  Read(frames[0].substr(2000), 0);
  EXPECT_EQ(placed_, 1u);
  Read(frames[1], 1000);
  EXPECT_THAT(messages_, IsEmpty());
  subscription_ = Add("a/*");
  Read(FrameOf({.kind = FrameKind::kSelect,
                .target = ToNumber(subscription_->id)}) +
           FramesOf(3, 2, "next")[0],
       1000);
  EXPECT_THAT(messages_, ElementsAre(std::pair(3u, std::string("next"))));
}

TEST_F(InboundPlaceTest, AConnectionMayGoWhileAFragmentComes) {
  const std::vector<std::string> frames = FramesOf(3, 1, Full('a') + "end");
  Read(frames[0].substr(0, 1000), 1000);
  Read(frames[0].substr(1000, 1000), 0);
  inbound_.Reset();
  EXPECT_TRUE(inbound_.place().empty());
  receiving_.OnDisconnected();
  Announce(7, 3);
  receiving_.OnSelect(subscription_->id);
  for (const std::string& frame : frames) Read(frame, 100'000);
  EXPECT_EQ(placed_, 0u);
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_TRUE(messages_[0].second == Full('a') + "end");
}

// Whoever has been handed a message takes its memory away for so long.
TEST_F(InboundPlaceTest, AMessageThatIsStillReadIsNotWrittenOver) {
  const std::vector<std::string> first = FramesOf(3, 1, Full('a') + Full('b'));
  for (const std::string& frame : first) Read(frame, 100'000);
  ASSERT_EQ(messages_.size(), 1u);
  const std::shared_ptr<Assembly> held =
      std::exchange(receiving_.last_stream()->assembly, nullptr);
  const std::vector<std::string> second = FramesOf(3, 2, Full('c') + Full('d'));
  Read(second[0].substr(0, 100), 100);
  Read(second[0].substr(100) + second[1], 100'000);
  EXPECT_EQ(placed_, 1u);
  ASSERT_EQ(messages_.size(), 2u);
  EXPECT_TRUE(messages_[1].second == Full('c') + Full('d'));
  const std::span<const std::byte> bytes = held->bytes();
  EXPECT_TRUE(std::string(reinterpret_cast<const char*>(bytes.data()),
                          bytes.size()) == Full('a') + Full('b'));
}

}  // namespace
}  // namespace ipc::core
