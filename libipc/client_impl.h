// SPDX-License-Identifier: Apache-2.0
//
// The shell around a client's session: a socket, a loop, a mutex.
//
// The loop is one thread of ours or, with a manual loop, whoever calls
// Process() or waits; one at a time. Publishers append to the log under the
// mutex and often send themselves; they never touch the rest of the loop's
// state.
//
// Locks, in the order in which they may nest: ClientImpl::mu_, then
// SubscriptionImpl::mu. Neither is held while user code runs or a system call
// sends.
//
// A call that waits inside a handler turns the loop itself. Messages that come
// meanwhile are set aside (`deferred_`) and handed over when the handler has
// returned: handlers never nest.

#ifndef IPC_LIBIPC_CLIENT_IMPL_H_
#define IPC_LIBIPC_CLIENT_IMPL_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "ipc/client.h"
#include "ipc/topic.h"
#include "libipc/base/mutex.h"
#include "libipc/core/inbound.h"
#include "libipc/core/session.h"
#include "libipc/net/fd.h"
#include "libipc/net/memfd.h"
#include "libipc/net/poller.h"
#include "libipc/net/system.h"
#include "libipc/net/unix_socket.h"
#include "libipc/pull_queue.h"
#include "libipc/socket_watch.h"
#include "libipc/wire/passed_descriptors.h"

namespace ipc {

// One subscription of the application.
class SubscriptionImpl {
 public:
  struct Acknowledged {
    std::shared_ptr<core::Stream> stream;
    uint64_t sequence = 0;
  };

  bool manual() const { return options.acknowledge == Acknowledge::kManual; }
  // A message is consumed when the handler has returned.
  bool direct() const { return handler != nullptr && !manual(); }

  std::string pattern;
  MessageHandler handler;  // empty: pull form
  SubscribeOptions options;
  SubscriptionId id{};               // the loop's, once it is made
  std::atomic<bool> closed = false;  // the handle is gone

  Mutex mu;
  PullQueue queue ABSL_GUARDED_BY(mu);
  // There is a gap in `queue` that on_event is yet to be told of: until then
  // nothing is taken.
  bool untold ABSL_GUARDED_BY(mu) = false;
  // Taken by Next and not yet told to the loop.
  std::vector<PullQueue::Waiting> consumed ABSL_GUARDED_BY(mu);
  // By the application, and not yet told to the loop.
  std::vector<Acknowledged> acknowledged ABSL_GUARDED_BY(mu);
  bool answered ABSL_GUARDED_BY(mu) = false;
  absl::Status status ABSL_GUARDED_BY(mu);  // the broker's answer
  bool ended ABSL_GUARDED_BY(mu) = false;   // the client is gone
};

// One watch of clients.
class WatchImpl {
 public:
  PresenceHandler handler;
  std::atomic<bool> closed = false;  // the handle is gone
};

// What a message's acknowledgement needs. One for each stream.
struct MessageOrigin {
  std::weak_ptr<ClientImpl> client;
  std::weak_ptr<SubscriptionImpl> subscription;
  std::weak_ptr<core::Stream> stream;
};

class ClientImpl : public std::enable_shared_from_this<ClientImpl> {
 public:
  static absl::StatusOr<std::shared_ptr<ClientImpl>> Make(
      ClientOptions options);
  ~ClientImpl();

  // Starts the loop and connects as the options say.
  absl::Status Start();
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

  // -- client_publish.cc

  absl::StatusOr<uint32_t> OpenChannel(std::string_view topic,
                                       const core::ChannelType& type);
  void ReleaseChannel(uint32_t channel);
  absl::Status Publish(uint32_t channel, std::span<const std::byte> payload,
                       absl::Duration timeout,
                       const Descriptors& descriptors = nullptr);
  absl::Status Publish(uint32_t channel,
                       const google::protobuf::MessageLite& message,
                       absl::Duration timeout,
                       const Descriptors& descriptors = nullptr);
  // The same with the payload in a memfd, or if that cannot be, in the log.
  absl::Status PublishMemfd(uint32_t channel,
                            std::span<const std::byte> payload,
                            absl::Duration timeout,
                            const Descriptors& descriptors);
  absl::Status PublishMemfd(uint32_t channel,
                            const google::protobuf::MessageLite& message,
                            absl::Duration timeout,
                            const Descriptors& descriptors);
  absl::Status WaitForSubscribers(uint32_t channel, uint32_t count,
                                  absl::Duration timeout);
  uint32_t subscribers(uint32_t channel) const;
  std::string_view topic(uint32_t channel) const;
  absl::Status Flush(absl::Duration timeout);
  absl::Duration publish_timeout() const { return options_.publish_timeout; }

  // -- client_subscribe.cc

  absl::StatusOr<std::shared_ptr<SubscriptionImpl>> Subscribe(
      std::string_view pattern, MessageHandler handler,
      const SubscribeOptions& options);
  void Unsubscribe(const std::shared_ptr<SubscriptionImpl>& subscription);
  absl::StatusOr<Message> Next(
      const std::shared_ptr<SubscriptionImpl>& subscription,
      absl::Duration timeout);
  void TellBadPayload(const Message& message);
  // Tells the loop what the application has acknowledged of `subscription`.
  absl::Status Acknowledge(
      const std::shared_ptr<SubscriptionImpl>& subscription,
      std::shared_ptr<core::Stream> stream, uint64_t sequence);

  // -- client_watch.cc

  absl::StatusOr<std::shared_ptr<WatchImpl>> WatchClients(
      PresenceHandler handler);
  void Unwatch(const std::shared_ptr<WatchImpl>& watch);

  // -- client_drain.cc

  absl::Status Drain(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // -- client_impl.cc

  bool connected() const;
  ClientStats stats();
  absl::StatusOr<BrokerInfo> broker() const;
  // Sends a request and waits for its answer's payload.
  absl::StatusOr<std::string> Call(wire::FrameKind request,
                                   std::string_view payload,
                                   wire::FrameKind answer,
                                   absl::Duration timeout);

  int fd() const { return poller_.fd(); }
  MonotonicTime NextDeadline() const;
  absl::Status Process();

 private:
  using Command = std::function<void()>;
  struct Reply {
    bool done = false;
    absl::Status status;
    wire::FrameKind kind{};
    std::string payload;
  };
  // A message that came while a handler was running, or a gap at its place, or
  // both: the gap comes first.
  struct Deferred {
    std::shared_ptr<SubscriptionImpl> subscription;
    Message message;
    std::shared_ptr<core::Stream> stream;  // null: there is no message
    std::unique_ptr<Event> gap;
  };

  // What a stream keeps for its messages.
  struct StreamShell {
    std::shared_ptr<const Source> source;
    std::shared_ptr<const MessageOrigin> origin;
  };

  ClientImpl(ClientOptions options, net::Poller poller, net::Fd wakeup,
             SocketWatch watch);

  // -- Waiting (client_impl.cc)

  // Waits until `done`, called with mu_ held, or the deadline; returns done().
  bool Await(absl::FunctionRef<bool()> done, MonotonicTime deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether this thread must turn the loop itself when it waits.
  bool DrivesLoop() const;
  bool OnLoopThread() const {
    return loop_thread_.load(std::memory_order_acquire) ==
           std::this_thread::get_id();
  }
  void Wake();
  // Runs `command` in the loop; at once if this is it.
  void Post(Command command) ABSL_LOCKS_EXCLUDED(mu_);

  // -- Sending (client_publish.cc)

  enum class Urgency { kCork, kNow };
  template <typename Write>
  absl::Status Append(uint32_t channel, size_t payload_bytes, Write write,
                      absl::Duration timeout, const core::Carried& carried)
      ABSL_LOCKS_EXCLUDED(mu_);
  // kUnimplemented: it is to be published in another way.
  absl::Status AppendMemfd(uint32_t channel, size_t payload_bytes,
                           absl::FunctionRef<void(std::span<std::byte>)> write,
                           absl::Duration timeout,
                           const Descriptors& descriptors)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Why there is no room for a publication.
  std::string FullText(const core::Carried& carried) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckPublish(uint32_t channel, size_t payload_bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AfterAppend(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Sends as much as the socket takes, unless another thread is at it.
  void Send() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // -- The loop (client_loop.cc)

  void RunThread();
  // One turn: waits for events until `deadline`, then handles them.
  void Turn(MonotonicTime deadline) ABSL_LOCKS_EXCLUDED(mu_);
  void AcquireLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReleaseLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  MonotonicTime LoopDeadline(MonotonicTime flush_at) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnPollEvent(const net::PollEvent& event) ABSL_LOCKS_EXCLUDED(mu_);
  void RunCommands() ABSL_LOCKS_EXCLUDED(mu_);
  void OnTime() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits for events until `deadline`, or until the loop has something to do.
  std::span<const net::PollEvent> WaitForEvents(MonotonicTime deadline)
      ABSL_LOCKS_EXCLUDED(mu_);
  // When the loop has to look after the tail of a burst; never if there is
  // none and nothing waits.
  MonotonicTime TailDue(MonotonicTime now) const;
  void FlushTail(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TryConnect() ABSL_LOCKS_EXCLUDED(mu_);
  void ScheduleConnect();
  void Disconnect(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // One read: whether nothing came, or as much as there was room for.
  enum class Came { kNothing, kSome, kFull };
  Came Receive() ABSL_LOCKS_EXCLUDED(mu_);
  bool TakePassed(wire::Frame* frame);
  void HandleFrames() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status HandleFrame(const wire::Frame& frame);
  absl::Status HandleControl(const wire::Frame& frame) ABSL_LOCKS_EXCLUDED(mu_);
  void HandleEvent(core::SessionEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SendAcksIfDue() ABSL_LOCKS_EXCLUDED(mu_);
  // Says goodbye and gives everything up. In the loop, which then ends.
  void EndLoop() ABSL_LOCKS_EXCLUDED(mu_);
  void SayGoodbye() ABSL_LOCKS_EXCLUDED(mu_);
  void FailReplies(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // -- Handing over (client_subscribe.cc)

  void Deliver(const wire::Frame& frame);
  void DeliverOther(const wire::Frame& frame, const core::Delivery& delivery);
  void HandOver(const core::Delivery& delivery);
  Attachments AttachmentsOf(const core::Delivery& delivery,
                            const wire::Frame& frame);
  // -- Payloads in a memfd (client_memfd.cc)

  void DeliverMemfd(const wire::Frame& frame);
  absl::Status TakeMemfd(const wire::Frame& frame, net::Mapping* mapping,
                         Attachments* attachments) const;
  // Passes over a message whose payload cannot be read.
  void PassUnreadable(const wire::Frame& frame, const absl::Status& status);
  void SetAside(Message message, std::shared_ptr<core::Stream> stream,
                std::unique_ptr<Event> gap);
  void SetDispatching(const std::shared_ptr<SubscriptionImpl>& subscription)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool Run(SubscriptionImpl* subscription, const Message& message);
  void RunDeferred();
  void Consume(SubscriptionImpl* subscription,
               const std::shared_ptr<core::Stream>& stream, uint64_t sequence,
               size_t bytes);
  void OnSubscribed(const core::SessionEvent& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellDropped(const SubscriptionImpl& subscription,
                   const Message& message);
  absl::StatusOr<Message> TakeNext(
      const std::shared_ptr<SubscriptionImpl>& subscription);
  // Waits until `ready`, called with the subscription's mutex held.
  bool WaitOn(SubscriptionImpl* subscription, bool (*ready)(SubscriptionImpl*),
              MonotonicTime deadline);
  void Enqueue(PullQueue::Waiting waiting, std::unique_ptr<Event> gap);
  void CollectConsumed(SubscriptionImpl* subscription);
  void OnGap(const wire::FrameHeader& header);
  // The event of a gap in what the current subscription gets; null if it is
  // not to be told.
  std::unique_ptr<Event> GapOf(core::Stream* stream, uint64_t first,
                               uint64_t last, wire::GapReason reason);
  void TellAtPlace(std::unique_ptr<Event> gap);
  void MarkUntold(const std::shared_ptr<SubscriptionImpl>& subscription)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(subscription->mu);
  void CollectAcknowledged(SubscriptionImpl* subscription);
  const StreamShell& ShellOf(core::Stream* stream);
  Message MessageOf(const core::Delivery& delivery);
  void AddSubscription(const std::shared_ptr<SubscriptionImpl>& subscription);
  void RemoveSubscription(SubscriptionImpl* subscription);
  void Tell(const Event& event);
  void TellQueued();

  // -- Watching clients (client_watch.cc)

  void AddWatch(const std::shared_ptr<WatchImpl>& watch);
  void RemoveWatch(const WatchImpl* watch);
  void CollectPresence();
  void OnPresenceTime() ABSL_LOCKS_EXCLUDED(mu_);
  void TellPresence() ABSL_LOCKS_EXCLUDED(mu_);

  // -- Leaving (client_drain.cc)

  // Errors: kFailedPrecondition if the client takes nothing new any more.
  absl::Status CheckRunning() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartDrain() ABSL_LOCKS_EXCLUDED(mu_);
  void GiveUp(std::vector<std::shared_ptr<SubscriptionImpl>> subscriptions)
      ABSL_LOCKS_EXCLUDED(mu_);
  void ContinueDrain() ABSL_LOCKS_EXCLUDED(mu_);

  // -- Set once
  const ClientOptions options_;
  net::Poller poller_;
  const net::Fd wakeup_;

  // -- Any thread
  std::atomic<std::thread::id> loop_thread_;  // who turns the loop now
  std::atomic<bool> stopping_ = false;

  mutable Mutex mu_;
  core::Session session_;  // publishing() by mu_, receiving() by the loop
  net::Fd socket_ ABSL_GUARDED_BY(mu_);
  bool sending_ ABSL_GUARDED_BY(mu_) = false;  // a thread is in sendmsg
  bool full_ ABSL_GUARDED_BY(mu_) = false;     // the socket takes no more now
  bool broken_ ABSL_GUARDED_BY(mu_) = false;   // sending failed
  int waiting_for_room_ ABSL_GUARDED_BY(mu_) = 0;  // publishers
  int loop_depth_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Command> commands_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Reply*> replies_ ABSL_GUARDED_BY(mu_);
  uint64_t last_request_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t attempts_ ABSL_GUARDED_BY(mu_) = 0;  // that have failed
  absl::Status last_error_ ABSL_GUARDED_BY(mu_);
  ClientStats stats_ ABSL_GUARDED_BY(mu_);
  const SubscriptionImpl* dispatching_ ABSL_GUARDED_BY(mu_) = nullptr;
  const WatchImpl* watch_dispatching_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;  // takes nothing new
  bool drained_ ABSL_GUARDED_BY(mu_) = false;   // and has said goodbye
  // The cork. The atomic ones are written with the mutex held.
  std::atomic<MonotonicTime> last_publish_ = MonotonicTime();
  std::atomic<MonotonicTime> unsent_since_ = MonotonicTime::Never();
  uint64_t cork_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  // When the loop looks after the tail; never: it has to be woken for that.
  MonotonicTime flush_at_ ABSL_GUARDED_BY(mu_) = MonotonicTime::Never();
  std::vector<std::span<std::byte>> parts_ ABSL_GUARDED_BY(mu_);
  net::BurstClock burst_clock_ ABSL_GUARDED_BY(mu_);  // of publications

  MonotonicTime acknowledge_at_ ABSL_GUARDED_BY(mu_) =
      MonotonicTime::Never();  // as of the last turn
  MonotonicTime presence_at_ ABSL_GUARDED_BY(mu_) = MonotonicTime::Never();

  // -- The loop's
  SocketWatch watch_;
  core::Inbound inbound_;
  wire::PassedDescriptors passed_;
  MonotonicTime connect_at_ = MonotonicTime::Never();
  MonotonicTime handshake_until_ = MonotonicTime::Never();
  absl::Duration backoff_;
  MonotonicTime now_;        // of this turn
  bool handling_ = false;    // a handler or an event function is running
  bool handed_out_ = false;  // ... on bytes of inbound_
  bool turned_ = false;      // ... and has turned the loop
  bool fragments_ = false;   // the last read had some
  absl::flat_hash_map<SubscriptionId, std::shared_ptr<SubscriptionImpl>>
      subscriptions_;
  std::shared_ptr<SubscriptionImpl> current_;  // of the last SELECT
  Message current_message_;
  std::shared_ptr<core::Stream> current_stream_;  // of current_message_
  std::shared_ptr<SubscriptionImpl> dispatched_;  // as dispatching_
  std::deque<Deferred> deferred_;
  std::deque<Event> events_;
  std::vector<std::shared_ptr<SubscriptionImpl>> untold_;  // gaps in events_
  std::vector<std::shared_ptr<WatchImpl>> watches_;
  std::deque<std::pair<std::shared_ptr<WatchImpl>, wire::Presence>>
      presences_;         // to be told
  bool leaving_ = false;  // as draining_
  uint64_t received_ = 0;
  uint64_t missing_ = 0;
  uint64_t told_received_ = 0;  // in stats_, with duplicates and missing
  MonotonicTime told_acknowledge_at_ = MonotonicTime::Never();

  std::thread thread_;
};

// Keys of the poller.
inline constexpr uint64_t kWakeupKey = 1;
inline constexpr uint64_t kWatchKey = 2;
inline constexpr uint64_t kSocketKey = 3;

// `timeout` from now.
MonotonicTime DeadlineAfter(absl::Duration timeout);

}  // namespace ipc

#endif  // IPC_LIBIPC_CLIENT_IMPL_H_
