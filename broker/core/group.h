// SPDX-License-Identifier: Apache-2.0
//
// Groups of subscriptions, of which one gets each message.
//
//   Session of the group                 Session of a client
//      └─ Subscription, its head            └─ Subscription, a member
//             │    └─ Group ── members ──────────────^
//            Link ── Reading ── Share
//
// To publishers a group is one reader, the head: it stands where a reliable
// subscription stands, joins, falls behind and is caught up as one. Its session
// has a key that follows from the group's name and pattern, so that a publisher
// can hand it back to the next broker, and no connection. What reaches the head
// is given to the members (Routing), and what they have consumed comes together
// in each Reading's Share.
//
// A member that ends passes its share on: the publisher is asked for it again.
// One that has lost its connection keeps it as long as it is awaited. One that
// stalls passes it on as well, and is given nothing until it has consumed what
// it was sent. When all have stalled, the head is set aside, as any reliable
// subscription is.

#ifndef IPC_BROKER_CORE_GROUP_H_
#define IPC_BROKER_CORE_GROUP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "libipc/base/ids.h"
#include "libipc/base/monotonic_time.h"

namespace ipc::wire {
struct Position;
struct Subscribe;
}  // namespace ipc::wire

namespace ipc::broker {

class Acknowledgement;
class Links;
struct Link;
struct Reading;
struct State;
struct Subscription;

struct Group {
  std::string name;
  Subscription* head = nullptr;
  // By age, those that are awaited included.
  absl::btree_map<uint64_t, Subscription*> members;
  size_t present = 0;      // members that are not awaited
  bool confirmed = false;  // once
  // Members of which only an earlier broker knows may come.
  MonotonicTime strangers_until;
  uint64_t last_given = 0;  // the member that was given something last
};

// No process has it, so no client can be a group.
inline constexpr int32_t kGroupPid = -1;
inline constexpr SubscriptionId kGroupSubscription{1};

SessionKey GroupKey(std::string_view name, std::string_view pattern,
                    uint32_t uid);
bool IsGroup(const SessionKey& session);

// Neither awaited nor set aside.
bool CanTake(const Subscription& member);
// Whether a member has nothing waiting, and may be given more.
bool HasIdleMember(const Group& group);
// The oldest member that is not awaited, which is told what the group loses.
// Null: all are.
Subscription* FirstPresent(const Group& group);

// Before the reading begins anew or ends: what its members hold of it is not
// theirs any more.
void ForgetShare(const Reading& reading);

// The group's publishers know of it: answers the members that wait for that.
void ConfirmMembers(State* state, Group* group);

// Members come, go and acknowledge.
class Groups {
 public:
  Groups(State* state, Links* links, Acknowledgement* acknowledgement)
      : state_(*state), links_(*links), acknowledgement_(*acknowledgement) {}

  // An earlier broker has confirmed a subscription of the group.
  void OnClaim(Subscription* head);
  // `member` was made, or made again; `request` waits for its answer.
  void Enter(Subscription* member, Subscription* head,
             const wire::Subscribe& subscribe, uint64_t request);
  void OnAway(Subscription* member);
  // It has stalled, or has for long.
  void SetAside(Subscription* member);
  // It goes on, or what it has not consumed is gone.
  void Readmit(Subscription* member);
  // Before it is destroyed. Returns whether the group has ended with it.
  bool Remove(Subscription* member);

  // Returns whether that is consumed which was not before.
  bool OnAck(Subscription* member, SessionNumber publisher, TopicId topic,
             uint64_t sequence);

 private:
  void TakePositions(Subscription* member,
                     const std::vector<wire::Position>& positions);
  // True if something is to be asked for again.
  bool GiveBack(Subscription* member, Reading* reading, uint64_t received);
  // The same, but it has its share still, and may consume it.
  bool LetGo(Subscription* member, Reading* reading, bool alone);
  bool Consume(Subscription* member, Reading* reading, uint64_t sequence);
  void BecomeAbsent(Group* group);
  // Without members it lasts as long as others may come. False if none may.
  bool AwaitStrangers(const Group& group);

  State& state_;
  Links& links_;
  Acknowledgement& acknowledgement_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_GROUP_H_
