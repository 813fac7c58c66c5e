// SPDX-License-Identifier: Apache-2.0
//
// What the broker knows, as plain data; the rules are in the classes that work
// on it (Routing, Links, Acknowledgement, Sessions, Requests).
//
//   Session ── channels ──> Channel ──> Topic
//      │                       │
//      │                    Reading     one subscription's reading of a channel
//      │                       │
//      └─ subscriptions ──> Subscription
//
// A Link gathers the Readings between one publisher's session and one
// subscription: they go live, fall behind and recover together, because order
// holds over all topics of a publisher.
//
// A Session outlives its connection: while it is awaited (limbo), it keeps its
// channels, and its subscriptions keep their claim on what they have not
// consumed. Sessions and subscriptions that only a publisher has told of
// (after a restart of the broker) stand here as awaited ones, too.

#ifndef IPC_BROKER_CORE_STATE_H_
#define IPC_BROKER_CORE_STATE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "broker/core/group.h"
#include "broker/core/lazy.h"
#include "broker/core/outbox.h"
#include "broker/core/schema_store.h"
#include "broker/core/share.h"
#include "broker/core/shared_name.h"
#include "broker/core/small_map.h"
#include "broker/core/timers.h"
#include "broker/core/topics.h"
#include "broker/core/type_table.h"
#include "libipc/base/ids.h"
#include "libipc/base/limits.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/wire/control.h"
#include "libipc/wire/frame_reader.h"
#include "libipc/wire/passed_descriptors.h"

namespace ipc::broker {

struct Channel;
struct Link;
struct Session;
struct Subscription;

// Takes `item` out of a list, if it is there. It is looked for from the end:
// ends come in the reverse order of beginnings, most of all when a client that
// has many of them ends.
template <typename List, typename Item>
void EraseLast(List* list, Item item) {
  auto found = std::find(list->rbegin(), list->rend(), item);
  if (found != list->rend()) list->erase(std::next(found).base());
}

// Who is at the other end, from the kernel.
struct Peer {
  int32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// Why a connection ended.
struct End {
  wire::CloseReason reason = wire::CloseReason::kLost;
  std::string text;  // at most kEndTextBytesMax, UTF-8
};

// One socket. What is idle here is packed, as in a channel.
struct Connection {
  Connection(ConnectionId connection_id, const Peer& kernel_peer,
             OutboxCommon* outboxes)
      : id(connection_id),
        peer(kernel_peer),
        reader(kHandshakeFrameBytesMax),
        outbox(outboxes) {}

  ConnectionId id;
  Peer peer;
  bool dirty = false;    // listed in State::dirty
  bool greeted = false;  // HELLO came
  bool closing = false;  // GOODBYE is queued; nothing is read any more
  bool watches = false;  // listed in State::watchers
  wire::FrameReader reader;
  Lazy<wire::PassedDescriptors> passed;
  Outbox outbox;
  Session* session = nullptr;        // null before HELLO
  Subscription* selected = nullptr;  // of the client's last SELECT
  Lazy<End> end;                     // as far as it is known
};

// What a channel with readers has.
struct Readers {
  std::vector<Subscription*> live;  // hot: where frames go now
  std::vector<struct Reading*> all;
  uint32_t reliable = 0;
  uint32_t matches = 0;  // what its readings count for: Reading::matches
  // Of those that acknowledgement waits for, at least so many are at `lowest`
  // and none is below it; 0: that is to be found out. See Acknowledgement.
  uint32_t at_lowest = 0;
  uint64_t lowest = 0;
};

// One publisher's use of one topic. There may be a million of them, so that
// what is idle here is packed.
struct Channel {
  Session* publisher = nullptr;
  Topic* topic = nullptr;
  MessageType* type = nullptr;
  ChannelNumber number{};
  bool retain_last = false;  // new readers get its last publication first

  // -- Hot: for each frame
  bool refusing = false;       // the publication under way is refused
  uint16_t next_fragment = 0;  // 0: none is under way
  uint64_t next_sequence = 1;  // of the publication that comes or is under way
  Lazy<Readers> readers;

  // -- Acknowledgement
  uint64_t acknowledged = 0;  // as told to the publisher
  uint64_t refused_from = 0;  // all from here on were refused; 0: none was
  bool acknowledge = false;   // listed in Session::unacknowledged
  bool held = false;          // opened with no readers known; see State::hold
  bool stale = false;         // not opened again since the publisher's return
  // All readers came behind what is routed now, so that routing moves the
  // floor.
  bool readers_ahead = false;
  uint32_t matches_told = 0;  // to the publisher
  // What a reader may claim that its publisher has not told of: if it knows
  // all its readers, what no broker was sent before; else all it holds.
  uint64_t unclaimed_from = 1;
  uint64_t retained_from = 1;  // what is before was given up by CLOSE

  uint64_t messages = 0;
  uint64_t bytes = 0;
};

// One subscription's reading of one channel.
struct Reading {
  Link* link = nullptr;
  Channel* channel = nullptr;
  uint64_t consumed = 0;     // last sequence that the subscriber is done with
  uint64_t resend_from = 0;  // first sequence that it may lack while not live
  uint64_t begins = 1;       // what is before is not the subscription's at all
  std::unique_ptr<Share> share;  // a group's; instead of resend_from
  // The publication that is being sent again, and how many of its fragments
  // came: others than the next are none.
  uint64_t resent = 0;
  uint32_t resent_fragments = 0;
  uint32_t matches = 0;  // subscriptions, as its publisher counts them
  // What is behind `consumed` is owed to it, as its publisher knows. Else it
  // begins with what its publisher sends when the link starts.
  bool claimed = false;
  bool told = false;  // to the publisher, on its present connection
  // Best effort: it has had something on an earlier connection, so that a hole
  // is one even if the subscription was not confirmed then.
  bool resumes = false;
  // If the channel retains: the last value may not have reached it.
  bool lacks_value = false;
};

// All readings between one publisher's session and one subscription.
struct Link {
  enum class State : uint8_t {
    kWaiting,     // the publisher is away or reopening, or the reader is away
    kJoining,     // JOIN is sent; last values pass; live behind JOINED
    kLive,        // frames pass
    kBehind,      // the queue was full; to be caught up when it is empty
    kCatchingUp,  // RESEND is sent; live behind RESEND_END
    kAside,       // the subscription has stalled, and is owed nothing
  };

  Session* publisher = nullptr;
  Subscription* subscription = nullptr;
  ReaderId id{};
  State state = State::kWaiting;
  bool catch_up = false;  // may lack something; needs RESEND before it is live
  bool resend_under_way = false;
  // The subscription is not confirmed before the publisher has answered.
  bool unheard = false;
  // Last values, see last_values.cc: the reader may have received something
  // of this publisher; there was more than one channel.
  bool has_received = false;
  bool several = false;
  uint32_t joins_under_way = 0;  // asked for, and not answered yet
  MonotonicTime join_until;      // best effort: live then without an answer
  SmallMap<TopicId, std::unique_ptr<Reading>> readings;
};

// How a reliable subscription gets on while something waits for it; see Stalls.
struct Stall {
  absl::Duration timeout;    // 0: State::stall_timeout
  MonotonicTime idle_since;  // nothing was consumed since, though it waited
  bool watched = false;      // a check is due
  bool consumed = false;     // ... and has something good to see
  bool told = false;         // the operator, of this spell
  bool aside = false;
};

// What makes a subscription one of a group, without links of its own; or the
// head of one.
struct Membership {
  Group* group = nullptr;  // null: it is none
  bool present = false;    // not awaited
  uint64_t held = 0;       // publications given to it, not acknowledged

  std::unique_ptr<Group> headed;  // null: it is none's head
};

// What a subscription has until it is confirmed, or settled after its return.
struct Arrival {
  uint64_t request = 0;         // 0: answered
  uint32_t unheard_links = 0;   // publishers that may not know of it yet
  MonotonicTime confirm_from;   // not before ...
  MonotonicTime confirm_until;  // ... and without the publishers' word then

  // What it had consumed on an earlier connection, until claimed or gone.
  absl::btree_map<std::pair<SessionKey, ChannelNumber>, uint64_t> positions;
  // So long it may claim what it has no position for, if it was confirmed by
  // an earlier broker.
  MonotonicTime resumed_until;

  bool IsOver(MonotonicTime now) const {
    return request == 0 && unheard_links == 0 && positions.empty() &&
           resumed_until <= now;
  }
};

struct Subscription {
  uint64_t created = 0;  // a number that orders subscriptions by age
  Session* session = nullptr;
  SharedName pattern;  // empty: a publisher has told of it, it has not come
  SubscriptionId id{};
  bool reliable = true;
  bool stale = false;  // not made again since the subscriber's return
  bool from_earlier_broker = false;
  Lane lane;
  SmallMap<SessionNumber, Link*> links;  // by publisher
  Lazy<Membership> membership;
  Lazy<Stall> stall;
  Lazy<Arrival> arrival;

  bool IsMember() const {
    return membership.made() && membership->group != nullptr;
  }
  // What it is the head of; null: it is none.
  Group* group() const {
    return membership.made() ? membership->headed.get() : nullptr;
  }
  void set_aside(bool aside) {
    if (stall->aside != aside) stall.Edit().aside = aside;
  }
  // 0: none waits for its answer.
  uint64_t TakeRequest() {
    if (arrival->request == 0) return 0;
    return std::exchange(arrival.Edit().request, 0);
  }
  // Lets go of what has no meaning any more.
  void Settle(MonotonicTime now) {
    if (arrival->IsOver(now)) arrival.Reset();
  }
};

// A client over all its connections.
struct Session {
  SessionNumber number{};
  SessionKey key;
  std::string name;
  uint32_t gid = 0;
  uint64_t window_bytes = 0;
  Connection* connection = nullptr;  // null: awaited
  MonotonicTime awaited_until;       // while connection is null
  Lazy<End> end;                     // of its last connection
  bool reopening = false;            // from HELLO until RESUMED

  std::vector<std::unique_ptr<Channel>> channels;  // by number; null: closed
  uint32_t channel_count = 0;
  absl::btree_map<ReaderId, std::unique_ptr<Link>> links;  // as publisher
  uint32_t last_reader = 0;
  SmallMap<SubscriptionId, std::unique_ptr<Subscription>> subscriptions;

  std::vector<Channel*> unacknowledged;
  uint64_t routed_bytes = 0;      // since the last acknowledgement
  bool acknowledge_soon = false;  // listed in State::acknowledge
  bool acknowledge_now = false;   // ... and does not wait for others

  uint64_t messages_in = 0;
  uint64_t messages_out = 0;
};

// Sessions by their keys, which are in them already.
struct HashByKey {
  using is_transparent = void;
  size_t operator()(const SessionKey& key) const {
    return absl::Hash<SessionKey>()(key);
  }
  size_t operator()(const Session* session) const {
    return (*this)(session->key);
  }
};
struct EqualByKey {
  using is_transparent = void;
  static const SessionKey& Of(const SessionKey& key) { return key; }
  static const SessionKey& Of(const Session* session) { return session->key; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return Of(a) == Of(b);
  }
};
using SessionsByKey = absl::flat_hash_set<Session*, HashByKey, EqualByKey>;

// A connection that ended, for the shell: close the socket, write the log.
struct Ended {
  ConnectionId id{};
  SessionKey session;  // zero token: no HELLO came
  std::string name;
  wire::CloseReason reason{};
  std::string text;
};

// What has happened since the broker started.
struct Counters {
  uint64_t accepted = 0;  // connections
  uint64_t refused = 0;   // connections, before they were one
  // Connections by reason, those refused included.
  std::array<uint64_t, wire::kCloseReasonCount> ended{};
  uint64_t messages_in = 0;
  uint64_t bytes_in = 0;  // headers included, here and below
  uint64_t messages_out = 0;
  uint64_t bytes_out = 0;
  uint64_t resends = 0;    // asked for
  uint64_t set_aside = 0;  // reliable subscriptions that had stalled
  // Messages that subscriptions were told to be missing, once for each of them.
  MissingByReason missing{};
};

// A reliable subscription that consumes nothing, for the shell's log.
struct Slow {
  SessionKey session;
  std::string name;
  SubscriptionId subscription{};
  std::string pattern;
  uint64_t messages = 0;  // handed to it and not consumed
  absl::Duration idle;
  absl::Duration timeout;
  bool set_aside = false;
};

// One of the last connections that ended.
struct RecentEnd {
  std::string name;  // empty: before HELLO
  Peer peer;
  End end;
  MonotonicTime when;
};

struct State {
  State() : schemas(kSchemaBytesMax) {}

  Token instance;
  std::string version;
  int32_t pid = 0;
  uint64_t message_bytes_max = kMessageBytesMaxDefault;
  uint64_t reliable_queue_bytes_max = kReliableQueueBytesMax;
  absl::Duration stall_timeout = kStallTimeoutDefault;
  MonotonicTime now;
  // Until then nothing that a held channel sends is acknowledged.
  MonotonicTime hold;
  MonotonicTime started;
  bool draining = false;  // nothing new is routed any more
  bool succeeds = false;  // there was a broker before: clients may come back

  absl::flat_hash_map<ConnectionId, std::unique_ptr<Connection>> connections;
  size_t handshakes = 0;
  absl::btree_map<SessionNumber, std::unique_ptr<Session>> sessions;
  SessionsByKey sessions_by_key;
  uint32_t last_session = 0;
  size_t connected_sessions = 0;
  size_t group_sessions = 0;  // not of clients
  Topics topics;
  TypeTable types;
  uint64_t last_created = 0;
  SchemaStore schemas;
  Timers timers;
  std::vector<Connection*> watchers;  // told of clients that come and go
  Counters counters;
  OutboxCommon outboxes{.missing = &counters.missing};
  std::vector<SessionNumber> acknowledge;  // sessions with something to tell
  std::vector<Subscription*> behind;       // with links to be caught up

  std::deque<RecentEnd> recent_ends;  // the oldest first

  // -- For the shell
  std::vector<Connection*> dirty;
  std::vector<Ended> ended;
  std::vector<SessionKey> awaited;  // Broker::TakeAwaited
  std::vector<Slow> slow;

  void MarkDirty(Connection* connection) {
    if (connection->dirty) return;
    connection->dirty = true;
    dirty.push_back(connection);
  }
  // Queues a frame; `connection` may be null.
  void Send(Connection* connection, std::string_view frame) {
    if (connection == nullptr || connection->closing) return;
    connection->outbox.AddControl(frame);
    MarkDirty(connection);
  }
  void SendHeader(Connection* connection, const wire::FrameHeader& header) {
    Send(connection, {reinterpret_cast<const char*>(&header), sizeof(header)});
  }
  template <typename Message>
  void SendControl(Connection* connection, const Message& message,
                   uint64_t request = 0) {
    std::string frame;
    wire::AppendControl(message, request, &frame);
    Send(connection, frame);
  }
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_STATE_H_
