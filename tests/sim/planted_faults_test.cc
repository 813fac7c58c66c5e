// SPDX-License-Identifier: Apache-2.0
//
// The checks are worth what they catch: in each test here the sockets do
// something that a faulty broker or client would, and random runs must show it
// under the right name. No product code takes part in the deceit.

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libipc/wire/control.h"
#include "tests/sim/chaos.h"

namespace ipc::sim {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;
using wire::FrameHeader;
using wire::FrameKind;

// Of the runs with the fault, the first that fails must fail like this. Only
// getting stuck says too little: then a later run must show it.
constexpr uint64_t kSeedsMax = 400;

using FrameFault = std::function<int(Direction direction, FrameHeader* header,
                                     std::string* frame)>;

template <typename Matcher>
void ExpectCaught(const std::function<FrameFault()>& make_fault,
                  const Matcher& like, bool stalls = false) {
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    FrameFault fault = make_fault();
    ChaosResult result =
        RunChaos({.seed = seed,
                  .fault =
                      [&fault](int, Direction direction, FrameHeader* header,
                               std::string* frame) {
                        return fault(direction, header, frame);
                      },
                  .stalls = stalls});
    if (result.failure.empty()) continue;
    const bool stuck = result.failure == "no progress";
    if (stuck && !testing::Value(result.failure, like)) continue;
    EXPECT_THAT(result.failure, like) << "seed " << seed;
    return;
  }
  ADD_FAILURE() << "not one of " << kSeedsMax << " runs shows it";
}

// A fault of every so-maniest frame of one kind in one direction.
template <typename Do>
std::function<FrameFault()> Every(int nth, Direction where, FrameKind kind,
                                  Do fault) {
  return [=] {
    return [=, count = 0](Direction direction, FrameHeader* header,
                          std::string* frame) mutable {
      if (direction != where || header->kind != kind) return 1;
      if (++count % nth != 0) return 1;
      return fault(header, frame);
    };
  };
}

int Drop(FrameHeader*, std::string*) { return 0; }

void Append(const FrameHeader& header, std::string* frame) {
  wire::AppendFrame(header, "", frame);
}

TEST(PlantedFaultsTest, ALostDeliverIsCaught) {
  ExpectCaught(Every(100, Direction::kDown, FrameKind::kDeliver, Drop),
               AnyOf(StartsWith("gap: "), StartsWith("loss: ")));
}

TEST(PlantedFaultsTest, ALostGapIsCaught) {
  ExpectCaught(Every(5, Direction::kDown, FrameKind::kGap, Drop),
               StartsWith("gap: "));
}

TEST(PlantedFaultsTest, AReaderSetAsideWithoutANoticeIsCaught) {
  ExpectCaught(
      Every(1, Direction::kDown, FrameKind::kGap,
            [](FrameHeader* header, std::string*) {
              return header->fragment ==
                             static_cast<uint16_t>(wire::GapReason::kStalled)
                         ? 0
                         : 1;
            }),
      AnyOf(StartsWith("gap: "), StartsWith("loss: ")), /*stalls=*/true);
}

TEST(PlantedFaultsTest, AnExpiredPublicationWithoutANoticeIsCaught) {
  ExpectCaught(Every(1, Direction::kDown, FrameKind::kGap,
                     [](FrameHeader* header, std::string*) {
                       return header->fragment == static_cast<uint16_t>(
                                                      wire::GapReason::kExpired)
                                  ? 0
                                  : 1;
                     }),
               AnyOf(StartsWith("gap: "), StartsWith("loss: ")));
}

TEST(PlantedFaultsTest, APublicationThatExpiresTooEarlyIsCaught) {
  ExpectCaught(Every(20, Direction::kUp, FrameKind::kPublish,
                     [](FrameHeader* header, std::string* frame) {
                       if (header->last_fragment != 0) return 1;
                       header->flags |= wire::kFlagExpired;
                       header->size = kFrameHeaderBytes;
                       frame->resize(kFrameHeaderBytes);
                       return 1;
                     }),
               StartsWith("age: "));
}

TEST(PlantedFaultsTest, AGapThatNamesOneTooFewIsCaught) {
  for (bool at_the_end : {false, true}) {
    ExpectCaught(Every(1, Direction::kDown, FrameKind::kGap,
                       [at_the_end](FrameHeader* header, std::string*) {
                         const auto last = static_cast<uint64_t>(header->time);
                         if (header->sequence == last) return 1;
                         if (at_the_end) {
                           --header->time;
                         } else {
                           ++header->sequence;
                         }
                         return 1;
                       }),
                 AnyOf(StartsWith("gap: "), StartsWith("loss: ")));
  }
}

TEST(PlantedFaultsTest, AGapThatNamesOneTooManyIsCaught) {
  ExpectCaught(Every(1, Direction::kDown, FrameKind::kGap,
                     [](FrameHeader* header, std::string*) {
                       ++header->time;
                       return 1;
                     }),
               AnyOf(StartsWith("gap: "), StartsWith("loss: ")));
}

TEST(PlantedFaultsTest, AGapForAWrongReasonIsCaught) {
  ExpectCaught(Every(1, Direction::kDown, FrameKind::kGap,
                     [](FrameHeader* header, std::string*) {
                       header->fragment =
                           static_cast<uint16_t>(wire::GapReason::kRefused);
                       return 1;
                     }),
               StartsWith("gap: "));
}

TEST(PlantedFaultsTest, ALostPublishIsCaught) {
  ExpectCaught(
      Every(100, Direction::kUp, FrameKind::kPublish, Drop),
      AnyOf(StartsWith("gap: "), StartsWith("loss: "), HasSubstr("violation")));
}

TEST(PlantedFaultsTest, ALostAcknowledgementIsCaught) {
  auto drop_all = Every(1, Direction::kUp, FrameKind::kAck, Drop);
  ExpectCaught(drop_all, AnyOf(StartsWith("no progress")));
}

TEST(PlantedFaultsTest, AnAcknowledgementBeforeConsumptionIsCaught) {
  // The broker acknowledges whatever has left it.
  ExpectCaught(
      [] {
        auto sent = std::make_shared<std::map<uint32_t, uint64_t>>();
        return [sent](Direction direction, FrameHeader* header, std::string*) {
          bool whole = header->fragment == header->last_fragment;
          if (direction == Direction::kUp && whole &&
              header->kind == FrameKind::kPublish) {
            (*sent)[header->target] = header->sequence;
          }
          if (direction == Direction::kDown &&
              header->kind == FrameKind::kAck) {
            header->sequence =
                std::max(header->sequence, (*sent)[header->target]);
          }
          return 1;
        };
      },
      // What was not sent and is acknowledged is taken for refused.
      AnyOf(StartsWith("loss: "), StartsWith("gap: "), HasSubstr("violation")));
}

TEST(PlantedFaultsTest, ASubscriberThatAcknowledgesTooMuchIsCaught) {
  ExpectCaught(Every(1, Direction::kUp, FrameKind::kAck,
                     [](FrameHeader* header, std::string*) {
                       header->sequence += 3;
                       return 1;
                     }),
               AnyOf(StartsWith("loss: "), StartsWith("gap: ")));
}

TEST(PlantedFaultsTest, ASkippedResendIsCaught) {
  ExpectCaught(
      [] {
        return [](Direction direction, FrameHeader* header, std::string*) {
          return direction == Direction::kUp && header->flags != 0 ? 0 : 1;
        };
      },
      AnyOf(StartsWith("loss: "), StartsWith("gap: "),
            StartsWith("last value: ")));
}

TEST(PlantedFaultsTest, ASwallowedEndOfResendIsCaught) {
  ExpectCaught(Every(2, Direction::kUp, FrameKind::kResendEnd, Drop),
               AnyOf(StartsWith("no progress"), StartsWith("loss: ")));
}

TEST(PlantedFaultsTest, ASwallowedRequestForAResendIsCaught) {
  ExpectCaught(Every(2, Direction::kDown, FrameKind::kResend, Drop),
               AnyOf(StartsWith("no progress"), StartsWith("loss: ")));
}

TEST(PlantedFaultsTest, ASwallowedConfirmationIsCaught) {
  ExpectCaught(
      Every(2, Direction::kDown, FrameKind::kResult, Drop),
      AnyOf(StartsWith("no progress"), HasSubstr("was never confirmed")));
}

TEST(PlantedFaultsTest, AConfirmationBeforeThePublishersKnowIsCaught) {
  // The broker confirms whatever is asked for, at once.
  ExpectCaught(
      [] {
        auto pending = std::make_shared<std::vector<uint64_t>>();
        return [pending](Direction direction, FrameHeader* header,
                         std::string* frame) {
          if (direction == Direction::kDown &&
              header->kind == FrameKind::kWelcome) {
            for (uint32_t id = 1; id <= 4; ++id) {
              wire::AppendControl(wire::Result{}, id, frame);
            }
          }
          return 1;
        };
      },
      StartsWith("loss: "));
}

TEST(PlantedFaultsTest, AChangedByteIsCaught) {
  ExpectCaught(Every(100, Direction::kDown, FrameKind::kDeliver,
                     [](FrameHeader*, std::string* frame) {
                       if (frame->size() > kFrameHeaderBytes) ++frame->back();
                       return 1;
                     }),
               HasSubstr("with another content"));
}

TEST(PlantedFaultsTest, AFrameOfAnotherChannelIsCaught) {
  ExpectCaught(
      Every(100, Direction::kDown, FrameKind::kDeliver,
            [](FrameHeader* header, std::string*) {
              header->target = header->target == 1 ? 2 : 1;
              return 1;
            }),
      AnyOf(HasSubstr("which nobody published"),
            HasSubstr("with another content"), HasSubstr(" as "),
            StartsWith("gap: "), StartsWith("loss: "), StartsWith("order: ")));
}

TEST(PlantedFaultsTest, AReaderThatForgetsIsCaught) {
  // GONE of a publisher that lives.
  ExpectCaught(
      Every(20, Direction::kDown, FrameKind::kDeliver,
            [](FrameHeader* header, std::string* frame) {
              if (header->last_fragment != 0) return 1;
              Append({.kind = FrameKind::kGone, .session = header->session},
                     frame);
              return 1;
            }),
      AnyOf(StartsWith("duplicate: "), StartsWith("gap: ")));
}

TEST(PlantedFaultsTest, ExchangedMessagesAreCaught) {
  // A DELIVER waits for the next of the same publisher on another topic.
  ExpectCaught(
      [] {
        auto held = std::make_shared<std::string>();
        return [held](Direction direction, FrameHeader* header,
                      std::string* frame) {
          if (direction != Direction::kDown ||
              header->kind != FrameKind::kDeliver ||
              header->last_fragment != 0) {
            if (direction == Direction::kDown && !held->empty()) {
              // Nothing else may pass it: SELECT would change its meaning.
              std::string both = std::exchange(*held, "") + *frame;
              *header = wire::LoadHeader(
                  reinterpret_cast<const std::byte*>(both.data()));
              *frame = both;
            }
            return 1;
          }
          if (held->empty()) {
            *held = *frame;
            std::memcpy(held->data(), header, sizeof(*header));
            return 0;
          }
          FrameHeader other = wire::LoadHeader(
              reinterpret_cast<const std::byte*>(held->data()));
          std::string first = std::exchange(*held, "");
          if (other.session == header->session &&
              other.target != header->target) {
            frame->append(first);
            return 1;
          }
          *frame = first + *frame;
          std::memcpy(frame->data() + first.size(), header, sizeof(*header));
          *header = other;
          return 1;
        };
      },
      AnyOf(StartsWith("order: "), StartsWith("loss: "), StartsWith("gap: ")));
}

TEST(PlantedFaultsTest, AReaderThatIsGivenTooMuchIsCaught) {
  // The broker makes each reader that joins one that was there all the time.
  ExpectCaught(Every(1, Direction::kUp, FrameKind::kOpen,
                     [](FrameHeader* header, std::string* frame) {
                       wire::Open open;
                       std::string_view payload(*frame);
                       payload.remove_prefix(kFrameHeaderBytes);
                       if (!wire::Parse(payload, &open)) return 1;
                       for (wire::Reader& reader : open.readers) {
                         reader.from = 1;
                       }
                       frame->clear();
                       wire::AppendControl(open, header->sequence, frame);
                       *header = wire::LoadHeader(
                           reinterpret_cast<const std::byte*>(frame->data()));
                       return 1;
                     }),
               StartsWith("entitlement: "));
}

TEST(PlantedFaultsTest, AFrameThatIsNoneIsCaught) {
  ExpectCaught(Every(50, Direction::kUp, FrameKind::kPublish,
                     [](FrameHeader* header, std::string*) {
                       header->reserved = 1;
                       return 1;
                     }),
               AnyOf(HasSubstr("malformed"), HasSubstr("carries no frames")));
}

TEST(PlantedFaultsTest, WithoutAFaultThereIsNothingToCatch) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    ChaosResult result = RunChaos(
        {.seed = seed, .fault = [](int, Direction, FrameHeader*, std::string*) {
           return 1;
         }});
    EXPECT_EQ(result.failure, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace ipc::sim
