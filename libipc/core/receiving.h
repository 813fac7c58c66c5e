// SPDX-License-Identifier: Apache-2.0
//
// A client's subscribing side: what has been received of each publisher, so
// that nothing is handed over twice and every hole is noticed; large messages
// put together; acknowledgements. No I/O; belongs to the client's loop alone.
//
// A Stream is what one subscription gets of one publisher's channel. It
// outlives connections and brokers, because duplicates are recognised by it;
// it ends when the broker says that the publisher is gone.

#ifndef IPC_LIBIPC_CORE_RECEIVING_H_
#define IPC_LIBIPC_CORE_RECEIVING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "libipc/base/descriptors.h"
#include "libipc/base/ids.h"
#include "libipc/base/limits.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/core/assembly.h"
#include "libipc/wire/control.h"

namespace ipc::core {

struct Stream {
  std::shared_ptr<const wire::Announce> source;
  // Whatever the shell keeps for `source`; dropped with it.
  std::shared_ptr<const void> shell;
  // The last ones, in the order in which they came, which in a group need not
  // be that of the sequences.
  uint64_t received = 0;  // handed over, or told missing
  uint64_t consumed = 0;  // the application is done with

  // Told missing behind messages that are not consumed yet: when all up to
  // `behind` is, all up to `last` is.
  struct Missing {
    uint64_t behind = 0;
    uint64_t last = 0;
  };
  std::vector<Missing> missing;  // in order

  // A message that comes in fragments.
  std::shared_ptr<Assembly> assembly;  // null: none has come
  Descriptors assembly_descriptors;
  uint64_t assembly_sequence = 0;
  uint32_t next_fragment = 0;

  // Handed over to an application that acknowledges by hand, from the first
  // that it has not acknowledged.
  struct HandedOver {
    uint64_t sequence = 0;
    size_t bytes = 0;
    bool acknowledged = false;
  };
  std::deque<HandedOver> handed_over;

  // Acknowledgement.
  uint64_t unacknowledged_bytes = 0;
  // With so many, something is to be done: kUnlisted, so at once, while the
  // stream is not listed in its subscription; kNotCounted if it never is.
  static constexpr uint64_t kUnlisted = 0;
  static constexpr uint64_t kNotCounted = std::numeric_limits<uint64_t>::max();
  uint64_t acknowledge_at_bytes = kUnlisted;
  void Unlist() {
    if (acknowledge_at_bytes != kNotCounted) acknowledge_at_bytes = kUnlisted;
    unacknowledged_bytes = 0;
  }

  bool on_wire = false;  // `source` has the current connection's numbers
};

// A whole message to be handed over.
struct Delivery {
  Stream* stream = nullptr;
  uint64_t sequence = 0;
  int64_t time_ns = 0;
  std::span<const std::byte> payload;  // in the frame or in the stream
  uint64_t first_missing = 0;          // 0: nothing is missing before it
  // There are descriptors: the frame's, or TakeAssembled.
  bool has_descriptors = false;
};

// What a GAP told that was not known.
struct Missed {
  Stream* stream = nullptr;
  uint64_t first = 0;
  uint64_t last = 0;
  wire::GapReason reason{};
  uint64_t first_missing = 0;  // 0: nothing is missing before it
};

class Receiving {
 public:
  struct Subscription {
    SubscriptionId id{};
    wire::Subscribe request;  // pattern and policy; positions are filled in
    bool confirmed = false;
    absl::btree_map<std::pair<SessionKey, ChannelNumber>,
                    std::shared_ptr<Stream>>
        streams;
    // By topic id and session number of the current connection.
    absl::flat_hash_map<uint64_t, Stream*> by_wire;
    std::vector<std::shared_ptr<Stream>> to_acknowledge;

    bool reliable() const { return request.policy == wire::Policy::kReliable; }
    // Gets what others do not, so holes and repetitions mean nothing.
    bool grouped() const { return !request.group.empty(); }
  };

  // -- Subscriptions

  Subscription* Add(wire::Subscribe request);
  void Remove(SubscriptionId id);
  Subscription* Find(SubscriptionId id);
  const absl::btree_map<SubscriptionId, std::unique_ptr<Subscription>>&
  subscriptions() const {
    return subscriptions_;
  }
  // Appends the SUBSCRIBE frame, with the positions if it is a resumption.
  void AppendSubscribe(Subscription* subscription, std::string* control);

  // -- Frames from the broker

  void OnDisconnected();
  // The broker does not know of the last connection: what groups were given on
  // it and have not acknowledged is given out again.
  void OnNewSession();
  void OnSelect(SubscriptionId id);
  // Null: the subscription is gone.
  Subscription* selected() { return selected_; }
  void OnAnnounce(wire::Announce announce);
  // The message that `frame` completes for the selected subscription, if any.
  // Whoever takes it calls OnConsumed later.
  std::optional<Delivery> OnDeliver(const wire::Frame& frame,
                                    MonotonicTime now) {
    const wire::FrameHeader& header = frame.header;
    // As most do: the next whole one of the stream that had the last one.
    if (cached_stream_ != nullptr && header.last_fragment == 0 &&
        WireKey(header.target, header.session) == cached_wire_ &&
        header.sequence == cached_stream_->received + 1) [[likely]] {
      cached_stream_->received = header.sequence;
      return Delivery{.stream = cached_stream_,
                      .sequence = header.sequence,
                      .time_ns = header.time,
                      .payload = frame.payload(),
                      .first_missing = 0,
                      .has_descriptors = header.descriptors != 0};
    }
    return OnOtherDeliver(frame, now);
  }
  // Where the payload of the frame that begins with `header` is to be put, if
  // it is the next fragment of a message: whoever has written it there before
  // OnDeliver has spared a copy. Null: anywhere.
  std::shared_ptr<Assembly> AssemblyFor(const wire::FrameHeader& header);
  // The descriptors of the last delivery, if it came in fragments.
  Descriptors TakeAssembled() { return std::exchange(assembled_, nullptr); }
  void OnAbort(const wire::FrameHeader& header);
  // To be told before what comes behind it. Nothing has to be done for it to
  // count as consumed.
  std::optional<Missed> OnGap(const wire::FrameHeader& header,
                              MonotonicTime now);
  void OnGone(SessionNumber session);

  // -- Acknowledgement

  // What `stream` of the last delivery belongs to, to keep it.
  std::shared_ptr<Stream> last_stream() const { return cached_owner_; }

  // The application is done with a message of `bytes` of `stream`, and with
  // all before it. `stream` may have ended meanwhile.
  void OnConsumed(Subscription* subscription,
                  const std::shared_ptr<Stream>& stream, uint64_t sequence,
                  size_t bytes, MonotonicTime now);
  // As above, for the last delivery.
  void OnConsumed(const Delivery& delivery, MonotonicTime now) {
    Stream* stream = delivery.stream;
    stream->consumed = delivery.sequence;
    stream->unacknowledged_bytes += delivery.payload.size() + kFrameHeaderBytes;
    if (!stream->missing.empty()) [[unlikely]]
      PassMissing(stream);
    if (stream->unacknowledged_bytes >= stream->acknowledge_at_bytes)
        [[unlikely]] {
      OnMuchConsumed(stream, now);
    }
  }
  // With acknowledgement by hand: the last delivery is handed over, and
  // nothing is consumed by that. What the application acknowledges then, in any
  // order, is consumed as far as nothing before it is missing.
  void OnHandedOver(const Delivery& delivery);
  void OnAcknowledged(Subscription* subscription,
                      const std::shared_ptr<Stream>& stream, uint64_t sequence,
                      MonotonicTime now);
  MonotonicTime acknowledge_at() const { return acknowledge_at_; }
  // Appends all ACK frames.
  void AppendAcks(std::string* control);
  // The same, when something else is sent anyway, if they have waited for half
  // of their time. Who answers every message is not woken for them then.
  void AppendAcksAlong(MonotonicTime now, std::string* control) {
    if (acknowledge_at_ <= now + kAcknowledgeDelay / 2) AppendAcks(control);
  }

  uint64_t duplicates() const { return duplicates_; }

 private:
  static uint64_t WireKey(uint32_t topic, uint32_t session) {
    return uint64_t{topic} << 32 | session;
  }
  std::optional<Delivery> OnOtherDeliver(const wire::Frame& frame,
                                         MonotonicTime now);
  void Rename(uint64_t key);
  void Resume(uint64_t key,
              const std::shared_ptr<const wire::Announce>& source);
  static void Bind(const std::shared_ptr<const wire::Announce>& source,
                   Stream* stream);
  Stream* StreamOf(const wire::FrameHeader& header);
  // Whether it is the next one of the message that is put together. The first
  // begins one.
  static bool IsNextFragment(Stream* stream, const wire::FrameHeader& header);
  std::span<const std::byte> Assemble(Stream* stream, const wire::Frame& frame);
  // Forgets the message of which not all fragments have come.
  static void DropAssembly(Stream* stream);
  // Passes over what was told missing behind `consumed`.
  static void PassMissing(Stream* stream);
  void OnMuchConsumed(Stream* stream, MonotonicTime now);
  void List(Subscription* subscription, const std::shared_ptr<Stream>& stream,
            MonotonicTime now);

  absl::btree_map<SubscriptionId, std::unique_ptr<Subscription>> subscriptions_;
  uint32_t last_id_ = 0;

  // -- Of the current connection
  Subscription* selected_ = nullptr;
  uint64_t cached_wire_ = 0;
  Stream* cached_stream_ = nullptr;
  std::shared_ptr<Stream> cached_owner_;  // of the last delivery, in any case
  absl::flat_hash_map<uint64_t, std::shared_ptr<const wire::Announce>>
      announced_;
  absl::flat_hash_map<SessionNumber, SessionKey> sessions_;

  MonotonicTime acknowledge_at_ = MonotonicTime::Never();
  uint64_t duplicates_ = 0;
  Descriptors assembled_;
};

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_RECEIVING_H_
