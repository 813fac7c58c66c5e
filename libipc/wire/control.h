// SPDX-License-Identifier: Apache-2.0
//
// The control messages as plain structs, and their codec. control.proto says
// what each field means; PROTOCOL.md says who sends which. The cores see
// these structs only; protobuf stays inside control.cc.

#ifndef IPC_LIBIPC_WIRE_CONTROL_H_
#define IPC_LIBIPC_WIRE_CONTROL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libipc/base/ids.h"
#include "libipc/wire/frame.h"

namespace ipc::wire {

inline constexpr uint32_t kProtocolVersion = 1;

// Numbers as in control.proto.
enum class CloseReason : uint8_t {
  kUnspecified = 0,
  kDone = 1,
  kShutdown = 2,
  kMalformed = 3,
  kViolation = 4,
  kVersion = 5,
  kNotAllowed = 6,
  kLimit = 7,
  kHandshakeTimeout = 8,
  kNotReading = 9,
  kSuperseded = 10,
  kLost = 11,
  kInternal = 12,
};
inline constexpr size_t kCloseReasonCount = 13;
// "done", "shutdown", ...
std::string_view CloseReasonName(CloseReason reason);

struct Hello {
  static constexpr FrameKind kKind = FrameKind::kHello;
  uint32_t version_min = kProtocolVersion;
  uint32_t version_max = kProtocolVersion;
  Token token;
  std::string name;
  uint64_t features = 0;
  uint64_t window_bytes = 0;
  Token previous_instance;  // zero: none
};

struct Welcome {
  static constexpr FrameKind kKind = FrameKind::kWelcome;
  uint32_t version = kProtocolVersion;
  uint64_t features = 0;
  Token instance;
  SessionNumber session_number{};
  std::string broker_version;
  uint64_t message_bytes_max = 0;
};

struct Goodbye {
  static constexpr FrameKind kKind = FrameKind::kGoodbye;
  CloseReason reason = CloseReason::kUnspecified;
  std::string text;
};

struct Result {
  static constexpr FrameKind kKind = FrameKind::kResult;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string text;
};

struct Reader {
  SessionKey session;
  SubscriptionId subscription{};
  ReaderId reader{};
  uint64_t from = 0;
};

struct Open {
  static constexpr FrameKind kKind = FrameKind::kOpen;
  ChannelNumber channel{};
  std::string topic;
  std::string type_name;
  std::string schema_hash;
  uint64_t first_sequence = 1;
  uint64_t next_sequence = 1;
  bool readers_known = false;
  std::vector<Reader> readers;
  bool retain_last = false;
};

struct Opened {
  static constexpr FrameKind kKind = FrameKind::kOpened;
  ChannelNumber channel{};
  std::vector<Reader> readers;
  uint32_t subscriptions = 0;
  bool send_schema = false;
};

struct Position {
  SessionKey session;
  ChannelNumber channel{};
  uint64_t sequence = 0;
  uint64_t received = 0;
};

enum class Policy : uint8_t { kReliable = 1, kBestEffort = 2, kLatest = 3 };

struct Subscribe {
  static constexpr FrameKind kKind = FrameKind::kSubscribe;
  SubscriptionId subscription{};
  std::string pattern;
  Policy policy = Policy::kReliable;
  uint32_t depth = 0;
  uint64_t bytes = 0;
  bool resume = false;
  std::vector<Position> positions;
  absl::Duration stall_timeout;  // zero: the broker's
  bool drop_newest = false;      // best effort only
  std::string group;
};

struct Announce {
  static constexpr FrameKind kKind = FrameKind::kAnnounce;
  TopicId topic_id{};
  std::string topic;
  std::string type_name;
  std::string schema_hash;
  SessionNumber session_number{};
  SessionKey session;
  std::string name;
  uint32_t gid = 0;
  ChannelNumber channel{};
  uint64_t ack_bytes = 0;

  bool operator==(const Announce&) const = default;
};

struct Join {
  static constexpr FrameKind kKind = FrameKind::kJoin;
  Reader reader;
  std::vector<ChannelNumber> channels;
  bool transient = false;
};

struct Resend {
  static constexpr FrameKind kKind = FrameKind::kResend;
  struct From {
    ChannelNumber channel{};
    uint64_t sequence = 0;
    bool last_value = false;
  };
  Reader reader;
  std::vector<From> channels;
};

struct Schema {
  static constexpr FrameKind kKind = FrameKind::kSchema;
  std::string hash;
  std::string file_descriptor_set;
};

struct GetSchema {
  static constexpr FrameKind kKind = FrameKind::kGetSchema;
  std::string hash;
};

struct ListTopics {
  static constexpr FrameKind kKind = FrameKind::kListTopics;
  std::string after;
};

struct Topics {
  static constexpr FrameKind kKind = FrameKind::kTopics;
  struct Topic {
    std::string topic;
    std::string type_name;
    uint32_t publishers = 0;
    uint32_t subscriptions = 0;
    uint64_t messages = 0;
    uint64_t bytes = 0;
  };
  std::vector<Topic> topics;
  bool more = false;
};

struct ListClients {
  static constexpr FrameKind kKind = FrameKind::kListClients;
  SessionNumber after{};
};

struct Clients {
  static constexpr FrameKind kKind = FrameKind::kClients;
  struct Slow {
    SubscriptionId subscription{};
    std::string pattern;
    uint64_t messages = 0;
    absl::Duration idle;
    bool set_aside = false;
  };
  struct Client {
    std::string name;
    SessionKey session;
    SessionNumber session_number{};
    uint32_t gid = 0;
    bool connected = false;
    uint32_t publications = 0;
    uint32_t subscriptions = 0;
    uint64_t messages_in = 0;
    uint64_t messages_out = 0;
    uint64_t queued_bytes = 0;
    uint64_t dropped = 0;
    std::vector<Slow> slow;
  };
  std::vector<Client> clients;
  bool more = false;
};

struct GetStatus {
  static constexpr FrameKind kKind = FrameKind::kGetStatus;
  bool recent_ends = false;
};

struct Status {
  static constexpr FrameKind kKind = FrameKind::kStatus;
  struct Count {
    CloseReason reason{};
    uint64_t connections = 0;
  };
  struct End {
    std::string name;
    int32_t pid = 0;
    uint32_t uid = 0;
    CloseReason reason{};
    std::string text;
    uint64_t age_ns = 0;
  };
  struct Missing {
    GapReason reason{};
    uint64_t messages = 0;
  };
  std::string broker_version;
  Token instance;
  int32_t pid = 0;
  uint64_t uptime_ns = 0;
  uint32_t connections = 0;
  uint32_t awaited = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  std::vector<Count> ended;
  uint64_t messages_in = 0;
  uint64_t bytes_in = 0;
  uint64_t messages_out = 0;
  uint64_t bytes_out = 0;
  uint64_t resends = 0;
  uint64_t set_aside = 0;
  std::vector<End> recent;
  std::vector<Missing> missing;
};

struct WatchClients {
  static constexpr FrameKind kKind = FrameKind::kWatchClients;
  bool watch = false;
};

// Numbers as in control.proto.
enum class PresenceChange : uint8_t {
  kUnspecified = 0,
  kCame = 1,
  kLost = 2,
  kReturned = 3,
  kWent = 4,
};

struct Presence {
  static constexpr FrameKind kKind = FrameKind::kPresence;
  PresenceChange change{};
  bool initial = false;
  std::string name;
  SessionKey session;
  SessionNumber session_number{};
  uint32_t gid = 0;
  CloseReason reason{};
  std::string text;
};

// The payload of a frame. Never fails: what we encode, we made.
std::string Encode(const Hello& message);
std::string Encode(const Welcome& message);
std::string Encode(const Goodbye& message);
std::string Encode(const Result& message);
std::string Encode(const Open& message);
std::string Encode(const Opened& message);
std::string Encode(const Subscribe& message);
std::string Encode(const Announce& message);
std::string Encode(const Join& message);
std::string Encode(const Resend& message);
std::string Encode(const Schema& message);
std::string Encode(const GetSchema& message);
std::string Encode(const ListTopics& message);
std::string Encode(const Topics& message);
std::string Encode(const ListClients& message);
std::string Encode(const Clients& message);
std::string Encode(const GetStatus& message);
std::string Encode(const Status& message);
std::string Encode(const WatchClients& message);
std::string Encode(const Presence& message);

// False if the payload is not such a message or a field is out of its range
// (a token without 16 bytes, a hash without 32 or 0, an unknown enum value, a
// number 0 where numbers start at 1); `*message` is unspecified then. A close
// reason, a change of presence or a status code that is unknown becomes
// kUnspecified or kInternal.
// Names and patterns are not checked here.
bool Parse(std::string_view payload, Hello* message);
bool Parse(std::string_view payload, Welcome* message);
bool Parse(std::string_view payload, Goodbye* message);
bool Parse(std::string_view payload, Result* message);
bool Parse(std::string_view payload, Open* message);
bool Parse(std::string_view payload, Opened* message);
bool Parse(std::string_view payload, Subscribe* message);
bool Parse(std::string_view payload, Announce* message);
bool Parse(std::string_view payload, Join* message);
bool Parse(std::string_view payload, Resend* message);
bool Parse(std::string_view payload, Schema* message);
bool Parse(std::string_view payload, GetSchema* message);
bool Parse(std::string_view payload, ListTopics* message);
bool Parse(std::string_view payload, Topics* message);
bool Parse(std::string_view payload, ListClients* message);
bool Parse(std::string_view payload, Clients* message);
bool Parse(std::string_view payload, GetStatus* message);
bool Parse(std::string_view payload, Status* message);
bool Parse(std::string_view payload, WatchClients* message);
bool Parse(std::string_view payload, Presence* message);

// Appends a control frame; `request` goes into the header's sequence.
template <typename Message>
void AppendControl(const Message& message, uint64_t request, std::string* out) {
  AppendFrame({.kind = Message::kKind, .sequence = request}, Encode(message),
              out);
}

}  // namespace ipc::wire

#endif  // IPC_LIBIPC_WIRE_CONTROL_H_
