// SPDX-License-Identifier: Apache-2.0
//
// A client process: the product's core::Session and core::Inbound, and a shell
// around them that does what libipc's does, one call at a time. Its
// application publishes, subscribes, and consumes at once or late (the pull
// form); History hears of all of it.
//
// A connection is a Link that World makes and moves bytes through.

#ifndef IPC_TESTS_SIM_CLIENT_H_
#define IPC_TESTS_SIM_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libipc/core/inbound.h"
#include "libipc/core/session.h"
#include "tests/sim/history.h"
#include "tests/sim/link.h"

namespace ipc::sim {

struct SubscribeTo {
  std::string pattern;
  bool reliable = true;
  uint32_t depth = 1;  // best effort
  uint64_t bytes = 1 << 20;
  bool pull = false;    // consumed by ConsumeOne, else when it comes
  bool manual = false;  // handled when it comes, consumed by AcknowledgeOne
  bool drop_newest = false;  // best effort
  bool latest = false;       // in place of best effort
  std::string group = {};
};

class Client {
 public:
  Client(int process, const SessionKey& key, size_t window_bytes,
         History* history);

  int process() const { return process_; }
  const SessionKey& key() const { return key_; }
  Link* link() const { return link_; }
  bool ready() const { return session_.ready(); }
  const core::Publishing& publishing() const { return session_.publishing(); }

  // -- The connection

  void OnConnected(Link* link);
  // Bytes of the link, which are gone from it.
  void OnBytes(std::span<const std::byte> bytes, MonotonicTime now);
  void Disconnect();
  // Sends as much as the link takes; true if that is any. `report_late`: the
  // thread that sent has not yet told the log how much it was; FinishSend does.
  bool Send(bool report_late = false);
  void FinishSend();
  // Sends a goodbye behind what the link still takes.
  void SayGoodbye();
  // Acknowledges what is due.
  void OnTime(MonotonicTime now);
  MonotonicTime NextDeadline() { return session_.receiving().acknowledge_at(); }

  // -- The application

  void Advertise(const std::string& topic, bool retain_last = false,
                 absl::Duration time_to_live = absl::InfiniteDuration());
  void Release(const std::string& topic);
  bool advertises(const std::string& topic) const {
    return advertised_.contains(topic);
  }
  const std::map<std::string, ChannelNumber>& advertised() const {
    return advertised_;
  }
  // False while the window is full.
  bool Publish(const std::string& topic, size_t payload_bytes,
               MonotonicTime now);
  // What Flush waits for.
  bool AllAcknowledged();

  SubscriptionId Subscribe(const SubscribeTo& to);
  void Unsubscribe(SubscriptionId id);
  std::vector<SubscriptionId> subscriptions() const;
  bool Confirmed(SubscriptionId id) const {
    return subscriptions_.at(id).confirmed;
  }
  size_t handled(SubscriptionId id) const {
    return subscriptions_.at(id).handled;
  }
  // Publishers' channels of which it keeps what it has received.
  size_t remembered(SubscriptionId id) {
    return session_.receiving().Find(id)->streams.size();
  }
  // Takes the oldest message that waits; false if there is none.
  bool ConsumeOne(MonotonicTime now);
  size_t waiting() const { return waiting_.size(); }
  // Acknowledges one of those that were handed over to be acknowledged by hand;
  // false if there is none.
  bool AcknowledgeOne(uint64_t choice, MonotonicTime now);
  size_t unacknowledged() const { return unacknowledged_.size(); }

 private:
  struct Subscribed {
    int number = 0;  // in History
    bool pull = false;
    bool manual = false;
    bool confirmed = false;
    size_t handled = 0;
  };
  struct Waiting {
    SubscriptionId subscription{};
    std::shared_ptr<core::Stream> stream;
    std::shared_ptr<const wire::Announce> source;
    uint64_t sequence = 0;
    uint64_t first_missing = 0;
    std::vector<std::byte> payload;
    std::optional<ToldMissing> missed = {};  // instead of a message
  };

  struct HandedOver {
    SubscriptionId subscription{};
    std::shared_ptr<core::Stream> stream;
    uint64_t sequence = 0;
  };

  absl::Status HandleFrame(const wire::Frame& frame, MonotonicTime now);
  absl::Status HandleControl(const wire::Frame& frame, MonotonicTime now);
  void Deliver(const wire::Frame& frame, MonotonicTime now);
  void OnGap(const wire::FrameHeader& header, MonotonicTime now);
  void Handle(Subscribed* to, const wire::Announce& source, uint64_t sequence,
              uint64_t first_missing, std::span<const std::byte> payload);

  const int process_;
  const SessionKey key_;
  History& history_;
  core::Session session_;
  core::Inbound inbound_;
  Link* link_ = nullptr;
  std::optional<size_t> unreported_;  // bytes sent that the log does not know
  std::map<std::string, ChannelNumber> advertised_;
  std::map<SubscriptionId, Subscribed> subscriptions_;
  SubscriptionId current_{};  // of the last SELECT
  std::deque<Waiting> waiting_;
  std::vector<HandedOver> unacknowledged_;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_CLIENT_H_
