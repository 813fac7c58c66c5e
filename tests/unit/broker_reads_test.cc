// SPDX-License-Identifier: Apache-2.0
//
// How a stream is cut into reads changes nothing of what the broker does with
// it, right or wrong: frames that come together are handled in a loop of their
// own, and each must be looked at as if it came alone.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/seed.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::broker {
namespace {

using test::FrameClient;
using wire::FrameKind;

constexpr uint64_t kMessageBytesMax = 100;

BrokerOptions Options() {
  BrokerOptions options;
  options.message_bytes_max = kMessageBytesMax;
  return options;
}

// What the reader got, and how the publisher's connection ended, if it did.
std::vector<std::string> OutcomeOf(const std::vector<std::string>& reads) {
  test::BrokerShell shell(Options());
  FrameClient publisher(&shell, 1);
  FrameClient reader(&shell, 2);
  publisher.Greet();
  reader.Greet();
  publisher.Open(1, "a");
  publisher.Open(2, "b");
  reader.SubscribeBestEffort(1, "a", 1000);
  reader.SubscribeBestEffort(2, "**", 1000);
  reader.Take();
  for (const std::string& read : reads) publisher.Send(read);
  std::vector<std::string> outcome;
  const std::vector<test::Got> got = reader.Take();
  for (uint32_t subscription : {1, 2}) {
    for (const test::Got& frame : got) {
      if (frame.subscription != SubscriptionId{subscription} ||
          frame.header.kind == FrameKind::kSelect) {
        continue;
      }
      // Losses beside each other may be told at once.
      wire::Gap gap{.first = frame.header.sequence,
                    .last = frame.header.sequence};
      if (frame.header.kind == FrameKind::kGap) {
        wire::ParseGap(frame.header, &gap);
      }
      for (uint64_t sequence = gap.first; sequence <= gap.last; ++sequence) {
        outcome.push_back(absl::StrCat(
            subscription, " ", wire::KindName(frame.header.kind), " ",
            frame.header.target, ":", sequence, " ", frame.header.fragment, " ",
            std::string(frame.payload())));
      }
    }
  }
  if (!publisher.is_open()) {
    outcome.push_back(absl::StrCat("ended ", publisher.end()->text));
  }
  return outcome;
}

// Frames of a publisher, most of them right.
std::vector<std::string> DrawFrames(std::mt19937_64* random) {
  std::vector<std::string> frames;
  uint64_t next[] = {0, 1, 1};
  auto below = [random](uint64_t limit) { return (*random)() % limit; };
  for (uint64_t i = 2 + below(12); i > 0; --i) {
    const auto channel = static_cast<uint32_t>(1 + below(8) / 7);
    wire::FrameHeader header{.kind = FrameKind::kPublish,
                             .target = channel,
                             .sequence = next[channel]++};
    std::string payload(below(20), 'p');
    switch (below(40)) {
      case 0:
        header.sequence += 1 + below(2);
        break;
      case 1:
        --header.sequence;
        break;
      case 2:
        header.target = 3;
        break;
      case 3:
        header.last_fragment = 1;  // whose first part is too short
        break;
      case 4:
        header.flags = wire::kFlagResend;
        --next[channel];
        break;
      case 5:
        header.flags = wire::kFlagExpired;
        payload.clear();
        break;
      case 6:
        header.extension = 4;
        payload += "ext!";
        break;
      case 7:
        payload.assign(kMessageBytesMax + 1, 'l');
        break;
      case 8:
        frames.push_back(test::FrameOf({.kind = FrameKind::kPing}));
        break;
      default:
        break;
    }
    frames.push_back(test::FrameOf(header, payload));
  }
  return frames;
}

TEST(BrokerReadsTest, FramesThatComeTogetherAreHandledAsIfTheyCameAlone) {
  std::mt19937_64 random(test::Seed());
  int ended = 0;
  for (int run = 0; run < 3000; ++run) {
    const std::vector<std::string> frames = DrawFrames(&random);
    std::string all;
    for (const std::string& frame : frames) all += frame;
    const std::vector<std::string> alone = OutcomeOf(frames);
    ASSERT_EQ(OutcomeOf({all}), alone) << "run " << run;
    if (!alone.empty() && alone.back().starts_with("ended")) ++ended;
  }
  EXPECT_GT(ended, 100);
}

}  // namespace
}  // namespace ipc::broker
