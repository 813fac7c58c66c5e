// SPDX-License-Identifier: Apache-2.0
//
// The client: one program's place on the bus. Start here.
//
//   auto client = ipc::Client::Connect({.name = "imu-driver"});
//   auto imu = (*client)->Advertise<acme::Imu>("sensors/imu");
//   absl::Status status = imu->Publish(sample);
//
//   auto subscription = (*client)->Subscribe<acme::Imu>(
//       "sensors/*", [](const acme::Imu& imu, const ipc::Message& message) {
//         Use(imu, message.topic(), message.publisher().pid);
//       });

#ifndef IPC_LIBIPC_INCLUDE_IPC_CLIENT_H_
#define IPC_LIBIPC_INCLUDE_IPC_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "ipc/broker_status.h"
#include "ipc/export.h"
#include "ipc/message.h"
#include "ipc/options.h"
#include "ipc/presence.h"
#include "ipc/publisher.h"
#include "ipc/subscription.h"

namespace ipc {

class ClientImpl;

// What the client has done since it started.
struct ClientStats {
  uint64_t published = 0;  // messages accepted by Publish
  // Messages for handlers or Next, also those that their subscription was
  // destroyed before it took.
  uint64_t received = 0;
  uint64_t duplicates = 0;  // resent to us and dropped, as they should
  uint64_t missing = 0;     // messages told as missing by Gap events
  uint64_t resent = 0;      // frames sent again for a reader
  // Messages that were too old to be sent, or sent again, after a connection
  // was lost (PublisherOptions::time_to_live). Others may have got them before.
  uint64_t expired = 0;
  // Messages that should have gone in a memfd, and went as bytes because there
  // was no room for one (PublisherOptions::memfd_threshold).
  uint64_t memfd_fallbacks = 0;
  uint64_t connections = 0;           // successful connects
  uint64_t unacknowledged_bytes = 0;  // in the log now
};

struct BrokerInfo {
  std::string version;
  std::string instance;  // 32 hex digits, new at every broker start
  uint32_t protocol_version = 0;
  uint64_t message_bytes_max = 0;
};

// One line of `ipcctl topics`.
struct TopicInfo {
  std::string topic;
  std::string type_name;
  uint32_t publishers = 0;
  uint32_t subscriptions = 0;
  uint64_t messages = 0;  // routed since the broker started
  uint64_t bytes = 0;     // their payload bytes
};

// A reliable subscription that holds its publishers up, or has done so.
struct SlowSubscription {
  std::string pattern;
  uint64_t messages = 0;   // handed to it and not consumed
  absl::Duration idle;     // so long it has consumed none of them
  bool set_aside = false;  // its stall timeout has passed; nobody waits for it
};

// One line of `ipcctl clients`.
struct ClientInfo {
  std::string name;
  std::string session;
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool connected = true;      // false: awaited after a lost connection
  uint32_t publications = 0;  // topics it publishes
  uint32_t subscriptions = 0;
  uint64_t messages_in = 0;   // from the client
  uint64_t messages_out = 0;  // to the client
  uint64_t queued_bytes = 0;  // waiting in the broker for it
  uint64_t dropped = 0;       // messages that it was too slow for
  // Those that have consumed nothing for half of their stall timeout.
  std::vector<SlowSubscription> slow;
};

// All calls may be made from any thread and from inside a handler; those that
// wait do the client's I/O themselves when they are called in a handler or
// with a manual loop. Not usable in the child of a fork().
class IPC_EXPORT Client {
 public:
  // Connects as the options say. The client reconnects by itself from then
  // on, for as long as it lives.
  // Errors: kInvalidArgument for bad options; kUnavailable (kFail) or
  // kDeadlineExceeded (kWait) if no broker answers; kPermissionDenied if the
  // broker refuses this user.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      ClientOptions options = {});

  // Says goodbye and waits for a handler that runs to return (unless called
  // in it). What is not acknowledged yet is lost: Flush first.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Opens `topic` for publishing. Handles on the same topic share one stream.
  // When connected, waits for the broker's answer; else the answer comes as a
  // kRefused event. Errors: kInvalidArgument for a bad topic, a time_to_live
  // below 1 ms, a type or time_to_live other than that of another handle, or
  // retain_last where another handle is without; kFailedPrecondition for
  // retain_last, or another time_to_live, while messages of an earlier handle
  // are not acknowledged; kResourceExhausted for a broker's limit.
  template <typename T>
  absl::StatusOr<Publisher<T>> Advertise(std::string_view topic,
                                         const PublisherOptions& options = {}) {
    absl::StatusOr<RawPublisher> raw =
        Advertise(topic, *T::descriptor(), options);
    if (!raw.ok()) return raw.status();
    return Publisher<T>(*std::move(raw));
  }
  // For a type known at run time only (DynamicMessage). `type` is borrowed
  // for the call.
  absl::StatusOr<RawPublisher> Advertise(
      std::string_view topic, const google::protobuf::Descriptor& type,
      const PublisherOptions& options = {});
  // For bytes of no declared type.
  absl::StatusOr<RawPublisher> AdvertiseRaw(
      std::string_view topic, const PublisherOptions& options = {});

  // Subscribes to every topic that matches `pattern` (topic.h) and returns
  // when the broker has confirmed it: every message accepted after that
  // arrives. Errors: kInvalidArgument for a bad pattern, or a best-effort
  // subscription that acknowledges by hand; kDeadlineExceeded if
  // not confirmed in time (then nothing is subscribed); the broker's refusal.
  //
  // `handler` is called as handler(const T&, const Message&) or
  // handler(const T&); the objects are borrowed for the call. A payload that
  // T cannot parse is consumed, not handed over, and told by a kRefused event.
  template <typename T, typename Handler>
  absl::StatusOr<Subscription<T>> Subscribe(
      std::string_view pattern, Handler handler,
      const SubscribeOptions& options = {});
  // The pull form: take messages with Next().
  template <typename T>
  absl::StatusOr<Subscription<T>> Subscribe(
      std::string_view pattern, const SubscribeOptions& options = {}) {
    absl::StatusOr<RawSubscription> raw = SubscribeRaw(pattern, options);
    if (!raw.ok()) return raw.status();
    return Subscription<T>(*std::move(raw));
  }
  // Any messages, as bytes.
  absl::StatusOr<RawSubscription> SubscribeRaw(
      std::string_view pattern, MessageHandler handler,
      const SubscribeOptions& options = {});
  absl::StatusOr<RawSubscription> SubscribeRaw(
      std::string_view pattern, const SubscribeOptions& options = {});

  // Tells `handler` of the clients that come and go: at first everybody who is
  // there, this client included, then each change. Does not wait. Over a
  // reconnect it goes on with what is different; of the death of a broker the
  // handler sees nothing but the clients that are not back 5 seconds after
  // this one. Errors: kInvalidArgument without a handler. A broker that has no
  // room for another watch is told by a kRefused event.
  absl::StatusOr<ClientWatch> WatchClients(PresenceHandler handler);

  // Waits until everything accepted so far is acknowledged: consumed by every
  // reliable subscription that matched it. Errors: kDeadlineExceeded.
  absl::Status Flush(absl::Duration timeout);

  // Leaves the bus in good order. From this call on Publish, Advertise,
  // Subscribe and WatchClients return kFailedPrecondition, and the client
  //   - hands no more messages over, but for those it had received for a
  //     handler; messages that wait for Next are given up
  //   - gives its subscriptions up, each when its handler is done
  //   - waits until everything accepted is acknowledged, as Flush
  //   - says goodbye and stays away (connected() is false).
  // What it is sent and does not hand over it does not acknowledge. Returns
  // when all of that is done. In a handler it waits for what was accepted
  // alone; the rest is done when the handler has returned.
  // Errors: kDeadlineExceeded, with the number of messages that are left: the
  // client goes on draining, and another call goes on waiting.
  absl::Status Drain(absl::Duration timeout);

  bool connected() const;
  ClientStats stats() const;

  // -- The broker's view; each asks it and waits up to `timeout`.
  // Errors: kUnavailable while disconnected; kDeadlineExceeded.

  // Round trip through the broker, not through another client.
  absl::StatusOr<absl::Duration> Ping(absl::Duration timeout);
  // From the last handshake; does not ask. Errors: kUnavailable before it.
  absl::StatusOr<BrokerInfo> broker() const;
  // In the order of their names.
  absl::StatusOr<std::vector<TopicInfo>> ListTopics(absl::Duration timeout);
  // In the order in which they came.
  absl::StatusOr<std::vector<ClientInfo>> ListClients(absl::Duration timeout);
  // What it has counted, and why connections ended.
  absl::StatusOr<BrokerStatus> Status(absl::Duration timeout);
  // The serialized google.protobuf.FileDescriptorSet with this SHA-256 (32
  // bytes; Source::schema_hash). Errors: also kNotFound.
  absl::StatusOr<std::string> FetchSchema(std::string_view hash,
                                          absl::Duration timeout);

  // -- Manual loop. Only for clients with ClientOptions::manual_loop.

  // Becomes readable when Process() has something to do. Owned by the client.
  int fd() const;
  // When Process() must be called at the latest, even if fd() is silent;
  // InfiniteFuture when there is nothing to wait for.
  absl::Time NextDeadline() const;
  // Does what can be done without blocking and runs the handlers. One thread
  // at a time. Errors: kFailedPrecondition without manual_loop.
  absl::Status Process();

 private:
  explicit Client(std::shared_ptr<ClientImpl> impl);
  // Tells a payload that did not parse as the type of its subscription.
  static void TellBadPayload(ClientImpl* impl, const Message& message);

  std::shared_ptr<ClientImpl> impl_;
};

template <typename T, typename Handler>
absl::StatusOr<Subscription<T>> Client::Subscribe(
    std::string_view pattern, Handler handler,
    const SubscribeOptions& options) {
  absl::StatusOr<RawSubscription> raw = SubscribeRaw(
      pattern,
      [handler = std::move(handler), impl = impl_.get(),
       value = T()](const Message& message) mutable {
        if (!value.ParseFromArray(message.payload().data(),
                                  static_cast<int>(message.payload().size()))) {
          TellBadPayload(impl, message);
          message.Acknowledge().IgnoreError();  // the program never sees it
          return;
        }
        if constexpr (std::is_invocable_v<Handler, const T&, const Message&>) {
          handler(value, message);
        } else {
          handler(value);
        }
      },
      options);
  if (!raw.ok()) return raw.status();
  return Subscription<T>(*std::move(raw));
}

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_CLIENT_H_
