// SPDX-License-Identifier: Apache-2.0
//
// What a run must not show, judged from outside: only from what applications
// were told (accepted, confirmed, handed over) and from which bytes went
// through which socket. Shares no code with the product.
//
//   order        a subscription sees a publisher's messages in the order in
//                which they were accepted, over all topics
//   no loss      a reliable subscription sees all that was accepted after its
//                confirmation while both processes live, unless it stalled
//   no duplicate each message once
//   gaps told    best effort: all that is accepted after the confirmation is
//                handed over or told missing by notices, each once, at its
//                place and for a reason that can be; reliable: nothing is
//                missing but what is told to have expired
//   age          what is told to have expired has a time to live, and is as old
//   entitlement  no subscription sees what was sent before it was made, but
//                for bytes that were under way to the broker at that moment,
//                and for the last value of a channel that retains it
//   last value   a subscription's first message of such a channel is what was
//                sent last before it was made, or something later; a reliable
//                one gets that in any case
//   content      what is handed over is what was published, on its topic
//
// And of a group (history_groups.cc):
//
//   one member   each message is handed over once in the group; again only if
//                a broker has died since it was accepted, or the member that
//                had it has ended
//   no loss      a group gets all that was accepted while it had a confirmed
//                member, as long as it has one
//   order        each member, as long as no share is passed on
//
// Time is a count of events here.

#ifndef IPC_TESTS_SIM_HISTORY_H_
#define IPC_TESTS_SIM_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libipc/base/ids.h"
#include "libipc/base/monotonic_time.h"

namespace ipc::sim {

// Our own, so that a wrong match in the product shows.
bool Matches(std::string_view pattern, std::string_view topic);

// The payload that publication `sequence` of `topic` by `process` carries.
void FillPayload(int process, std::string_view topic, uint64_t sequence,
                 std::span<std::byte> payload);

// One message as a handler sees it.
struct Seen {
  Token publisher;
  std::string_view topic;
  uint32_t channel = 0;
  uint64_t sequence = 0;
  uint64_t first_missing = 0;
  std::span<const std::byte> payload;
};

// What a client was told to be missing. The reason is that of GAP.
struct ToldMissing {
  Token publisher;
  uint32_t channel = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  int reason = 0;
  uint64_t first_missing = 0;  // ... and before it, without a reason
};

inline constexpr int kExpired = 3;  // such a reason

class History {
 public:
  // Sessions may be away for longer than the grace: then what they sent or were
  // owed may be lost. Order, duplicates and content stand ...
  void AllowLoss() { loss_allowed_ = true; }
  // ... but for a publisher that was away so long that its readers may have
  // been told to forget it.
  void AllowRepetition(int process) { processes_[process].forgotten = true; }
  void SetTime(MonotonicTime time) { time_ = time; }

  // Reliable subscriptions that consume nothing may be set aside: they may lose
  // messages, but are told which.
  void AllowStalls() { stalls_allowed_ = true; }

  // A client process starts; the result is its number.
  int AddProcess(const Token& token);
  void OnProcessDied(int process);
  void OnConnected(int process) { ++processes_[process].connections; }
  void OnConnectionLost(int process);
  void OnBrokerDied();

  // -- Publishing

  // The channel retains what is published from now on, until it is released.
  void OnRetained(int process, uint32_t channel);
  void OnReleased(int process, uint32_t channel);
  // What is published on the channel from now on may expire.
  void OnTimeToLive(int process, uint32_t channel,
                    absl::Duration time_to_live) {
    processes_[process].time_to_live[channel] = time_to_live;
  }
  // The channel's next sequence.
  uint64_t NextSequence(int process, uint32_t channel) const;
  void OnAccepted(int process, uint32_t channel, std::string_view topic,
                  size_t payload_bytes);
  // The socket `connection` took, or gave to the broker, the last byte.
  void OnSent(int process, uint64_t connection, uint32_t channel,
              uint64_t sequence);
  void OnReceived(int process, uint64_t connection, uint32_t channel,
                  uint64_t sequence);

  // -- Subscribing

  struct Policy {
    bool reliable = true;
    bool latest = false;
    std::string_view group = {};  // empty: none
  };
  int AddSubscription(int process, std::string_view pattern,
                      const Policy& policy);
  // Also when it was made again on another connection.
  void OnConfirmed(int subscription);
  void OnUnsubscribed(int subscription);
  void OnHandled(int subscription, const Seen& seen);
  void OnMissed(int subscription, const ToldMissing& told);

  // Nothing is under way any more: what is owed must have come.
  void CheckEnd();

  void Fail(std::string text);
  bool ok() const { return failure_.empty(); }
  // The first one.
  const std::string& failure() const { return failure_; }

  // -- How much a run has exercised

  uint64_t accepted() const { return accepted_; }
  uint64_t handled() const { return handled_; }
  uint64_t gaps() const { return gaps_; }
  uint64_t expired() const { return expired_; }
  // Best effort: what nobody can tell. A broker that follows another does not
  // know what was on its way to a subscription that had got nothing yet, nor
  // what was lost of a channel that is closed while the subscriber is away.
  uint64_t untold() const { return untold_; }

 private:
  struct Publication {
    uint32_t channel = 0;
    uint64_t sequence = 0;
    size_t bytes = 0;
    uint64_t accepted_at = 0;
    bool retained = false;
    MonotonicTime published = {};
    absl::Duration time_to_live = absl::InfiniteDuration();
    uint64_t sent_at = 0;  // 0: not yet
    uint64_t sent_on = 0;
    uint64_t received_at = 0;
    uint64_t received_on = 0;
  };
  struct Process {
    Token token;
    bool alive = true;
    bool forgotten = false;
    int connections = 0;
    std::vector<Publication> publications;
    std::map<uint32_t, std::vector<size_t>> by_channel;  // by sequence - 1
    std::map<uint32_t, std::string> topics;              // by channel
    std::map<uint32_t, uint64_t> released_at;            // last, by channel
    // First sequence that is retained, by channel.
    std::map<uint32_t, uint64_t> retained_from;
    std::map<uint32_t, absl::Duration> time_to_live;  // by channel
  };
  struct Progress {
    size_t next = 0;  // publications below are behind us
    // Handed over or told missing: the last sequence, by channel.
    std::map<uint32_t, uint64_t> last;
    std::set<size_t> expired;  // publications told to have
  };
  struct Subscription {
    int process = 0;
    std::string pattern;
    bool reliable = true;
    bool latest = false;
    uint64_t made_at = 0;
    uint64_t confirmed_at = 0;  // 0: not yet
    uint64_t resumed_at = 0;    // last confirmed
    MonotonicTime made;
    MonotonicTime confirmed = {};
    // Confirmed before the broker gave up waiting for a publisher.
    bool heard_by_all = false;
    bool ended = false;
    int group = -1;                    // none
    std::map<int, Progress> progress;  // by publishing process
  };
  struct Group {
    std::string name;
    std::string pattern;
    uint64_t made_at = 0;
    uint64_t owed_from = 0;  // 0: no confirmed member lives
    bool disturbed = false;  // a share may have been passed on
    // The member that had it last, by publishing process and publication.
    std::map<std::pair<int, size_t>, int> handled_by;
    std::set<std::pair<int, size_t>> told_missing;
  };

  int FindProcess(const Token& token) const;
  Publication* Find(int process, uint32_t channel, uint64_t sequence);
  void CheckContent(const Subscription& to, int publisher,
                    const Publication& publication, const Seen& seen);
  int FindGroup(std::string_view name, std::string_view pattern);
  bool HasEnded(const Subscription& subscription) const;
  void OnMembersEnded();
  void OnHandledInGroup(int subscription, int publisher,
                        const Publication& publication, const Seen& seen);
  void OnMissedInGroup(int subscription, int publisher,
                       const ToldMissing& told);
  void CheckEndOfGroups();
  bool Owes(const Process& publisher, const Publication& publication,
            const Subscription& subscription) const;
  bool Entitled(const Publication& publication,
                const Subscription& subscription) const;
  // What was sent last on the channel when the subscription was made; null:
  // nothing.
  const Publication* ValueFor(const Process& publisher, uint32_t channel,
                              const Subscription& subscription) const;
  bool IsValueFor(const Subscription& subscription, const Process& publisher,
                  const Publication& publication) const;
  void CheckValues(const Subscription& subscription, int publisher);
  void CheckOrder(const Subscription& subscription, int publisher, size_t index,
                  const Progress& progress);
  void CheckHole(const Subscription& subscription, int publisher,
                 const Publication& publication, uint64_t first_missing,
                 const Progress& progress);
  void CheckReason(const Subscription& subscription, int publisher, int reason);
  // All that is told is as old as it must be, and the subscription's.
  void CheckExpired(const Subscription& subscription, int publisher,
                    const ToldMissing& told, Progress* progress);
  // All that is owed of a channel behind `last` and below `end` is missing.
  void CheckUntold(const Subscription& subscription, int publisher,
                   uint32_t channel, uint64_t end);
  bool MayLose(const Subscription& subscription) const {
    return !subscription.reliable || stalls_allowed_;
  }
  bool IsTellable(const Subscription& subscription, const Process& publisher,
                  const Publication& publication, bool first) const;
  void CheckEndOf(const Subscription& subscription, int publisher);
  std::string Name(int publisher, const Publication& publication) const;
  std::string Name(const Subscription& subscription) const;

  bool loss_allowed_ = false;
  bool stalls_allowed_ = false;
  MonotonicTime time_;
  uint64_t now_ = 0;
  uint64_t broker_died_at_ = 0;
  std::vector<Process> processes_;
  std::map<Token, int> by_token_;
  std::vector<Subscription> subscriptions_;
  std::vector<Group> groups_;
  std::string failure_;
  uint64_t accepted_ = 0;
  uint64_t handled_ = 0;
  uint64_t gaps_ = 0;
  uint64_t expired_ = 0;
  uint64_t untold_ = 0;
};

}  // namespace ipc::sim

#endif  // IPC_TESTS_SIM_HISTORY_H_
