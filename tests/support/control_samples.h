// SPDX-License-Identifier: Apache-2.0
//
// One fixed value of each control message with every field set to something
// that no other field has. The golden files hold these values: a change here
// is a change of tests/golden. Header only.

#ifndef IPC_TESTS_SUPPORT_CONTROL_SAMPLES_H_
#define IPC_TESTS_SUPPORT_CONTROL_SAMPLES_H_

#include <cstdint>
#include <string>

#include "libipc/wire/control.h"
#include "libipc/wire/sha256.h"

namespace ipc::test {

// 16 bytes that count up from `first`.
inline Token SampleToken(uint8_t first) {
  Token token;
  for (uint8_t& byte : token.bytes) byte = first++;
  return token;
}

inline wire::Reader SampleReader(uint32_t number) {
  return {.session = {.token = SampleToken(0xa0),
                      .pid = 4242,
                      .uid = uint32_t{1000} + number},
          .subscription = SubscriptionId{7 + number},
          .reader = ReaderId{9 + number},
          .from = uint64_t{1} << 40};
}

inline void Fill(wire::Hello* m) {
  *m = {.version_min = 1,
        .version_max = 3,
        .token = SampleToken(0x10),
        .name = "imu-driver",
        .features = 0x8000000000000001,
        .window_bytes = uint64_t{4} << 20,
        .previous_instance = SampleToken(0x20)};
}

inline void Fill(wire::Welcome* m) {
  *m = {.version = 1,
        .features = 0x4000000000000002,
        .instance = SampleToken(0x30),
        .session_number = SessionNumber{77},
        .broker_version = "0.1.0",
        .message_bytes_max = uint64_t{16} << 20};
}

inline void Fill(wire::Goodbye* m) {
  *m = {.reason = wire::CloseReason::kNotReading,
        .text = "64 MiB of control frames wait; the limit is 64 MiB"};
}

inline void Fill(wire::Result* m) {
  *m = {.code = absl::StatusCode::kPermissionDenied,
        .text = "topic $ipc/clients belongs to the broker"};
}

inline void Fill(wire::Open* m) {
  *m = {.channel = ChannelNumber{3},
        .topic = "sensors/imu/raw",
        .type_name = "acme.Imu",
        .schema_hash = wire::Sha256("acme.Imu"),
        .first_sequence = 300,
        .next_sequence = 70'000,
        .readers_known = true,
        .readers = {SampleReader(0), SampleReader(1)},
        .retain_last = true};
}

inline void Fill(wire::Opened* m) {
  *m = {.channel = ChannelNumber{3},
        .readers = {SampleReader(0), SampleReader(1)},
        .subscriptions = 5,
        .send_schema = true};
}

inline void Fill(wire::Subscribe* m) {
  *m = {.subscription = SubscriptionId{7},
        .pattern = "sensors/*/**",
        .policy = wire::Policy::kBestEffort,
        .depth = 1000,
        .bytes = uint64_t{1} << 20,
        .resume = true,
        .positions = {{.session = SampleReader(0).session,
                       .channel = ChannelNumber{3},
                       .sequence = 299,
                       .received = 301},
                      {.session = SampleReader(1).session,
                       .channel = ChannelNumber{0xffffffff},
                       .sequence = 0xffffffffffffffff,
                       .received = 0xffffffffffffffff}},
        .stall_timeout = absl::Milliseconds(2'500),
        .drop_newest = true,
        .group = "workers"};
}

inline void Fill(wire::Announce* m) {
  *m = {.topic_id = TopicId{12},
        .topic = "sensors/imu/raw",
        .type_name = "acme.Imu",
        .schema_hash = wire::Sha256("acme.Imu"),
        .session_number = SessionNumber{77},
        .session = {.token = SampleToken(0x10), .pid = 4243, .uid = 1001},
        .name = "imu-driver",
        .gid = 1002,
        .channel = ChannelNumber{3},
        .ack_bytes = uint64_t{512} << 10};
}

inline void Fill(wire::Join* m) {
  *m = {.reader = SampleReader(2),
        .channels = {ChannelNumber{3}, ChannelNumber{200}},
        .transient = true};
}

inline void Fill(wire::Resend* m) {
  *m = {
      .reader = SampleReader(2),
      .channels = {
          {.channel = ChannelNumber{3}, .sequence = 300, .last_value = true},
          {.channel = ChannelNumber{200}, .sequence = 1, .last_value = true}}};
}

inline void Fill(wire::Schema* m) {
  // An empty FileDescriptorProto; the codec does not look into it.
  const std::string set("\x0a\x00", 2);
  *m = {.hash = wire::Sha256(set), .file_descriptor_set = set};
}

inline void Fill(wire::GetSchema* m) { *m = {.hash = wire::Sha256("")}; }

inline void Fill(wire::ListTopics* m) { *m = {.after = "sensors/gnss"}; }

inline void Fill(wire::Topics* m) {
  *m = {.topics = {{.topic = "sensors/imu/raw",
                    .type_name = "acme.Imu",
                    .publishers = 1,
                    .subscriptions = 2,
                    .messages = 3'000'000'000,
                    .bytes = 192'000'000'000},
                   {.topic = "z", .type_name = ""}},
        .more = true};
}

inline void Fill(wire::ListClients* m) { *m = {.after = SessionNumber{76}}; }

inline void Fill(wire::Clients* m) {
  *m = {.clients =
            {{.name = "imu-driver",
              .session = {.token = SampleToken(0x10), .pid = 4243, .uid = 1001},
              .session_number = SessionNumber{77},
              .gid = 1002,
              .connected = true,
              .publications = 4,
              .subscriptions = 5,
              .messages_in = 6'000'000'000,
              .messages_out = 7'000'000'000,
              .queued_bytes = 8'000'000'000,
              .dropped = 9,
              .slow = {{.subscription = SubscriptionId{5},
                        .pattern = "sensors/**",
                        .messages = 1'200,
                        .idle = absl::Milliseconds(7'500),
                        .set_aside = true},
                       {.subscription = SubscriptionId{6},
                        .pattern = "z",
                        .idle = {}}}},
             {.name = "logger",
              .session = {},
              .session_number = SessionNumber{78},
              .slow = {}}},
        .more = true};
}

inline void Fill(wire::GetStatus* m) { *m = {.recent_ends = true}; }

inline void Fill(wire::Status* m) {
  *m = {
      .broker_version = "0.1.0",
      .instance = SampleToken(0x30),
      .pid = 4711,
      .uptime_ns = 86'400'000'000'000,
      .connections = 12,
      .awaited = 1,
      .accepted = 40,
      .refused = 2,
      .ended = {{wire::CloseReason::kDone, 20},
                {wire::CloseReason::kLost, 5'000'000'000}},
      .messages_in = 6'000'000'000,
      .bytes_in = 600'000'000'000,
      .messages_out = 7'000'000'000,
      .bytes_out = 700'000'000'000,
      .resends = 3,
      .set_aside = 4,
      .recent = {{.name = "imu-driver",
                  .pid = 4243,
                  .uid = 1001,
                  .reason = wire::CloseReason::kMalformed,
                  .text = "unknown flags are set",
                  .age_ns = 9'000'000'000},
                 {.name = "", .reason = wire::CloseReason::kLimit, .text = ""}},
      .missing = {{wire::GapReason::kDepth, 70},
                  {wire::GapReason::kExpired, 8'000'000'000}}};
}

inline void Fill(wire::WatchClients* m) { *m = {.watch = true}; }

inline void Fill(wire::Presence* m) {
  *m = {.change = wire::PresenceChange::kWent,
        .initial = true,
        .name = "imu-driver",
        .session = {.token = SampleToken(0x10), .pid = 4243, .uid = 1001},
        .session_number = SessionNumber{77},
        .gid = 1002,
        .reason = wire::CloseReason::kLost,
        .text = "connection reset by peer"};
}

template <typename Message>
Message Sample() {
  Message message;
  Fill(&message);
  return message;
}

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_CONTROL_SAMPLES_H_
