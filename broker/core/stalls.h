// SPDX-License-Identifier: Apache-2.0
//
// Reliable subscriptions that consume nothing though messages wait for them. A
// check comes four times in each stall timeout, only while something may wait:
//
//              delivered                 half of it: the operator is told
//   not watched ───────> watched ──────────────────────────────> slow
//        ^                │  ^ consumed something                  │ all of it
//        └── all consumed ┘  └──────────────────────────────────── │
//                            ^                                     v
//                            └── consumed something, or all ─── set aside
//
// What is set aside holds nobody: Links drops what waits for it, with a notice
// in its stream, until it shows that it goes on.
//
// Invariant: nobody is set aside before its timeout has passed; at most a
// quarter of it later.

#ifndef IPC_BROKER_CORE_STALLS_H_
#define IPC_BROKER_CORE_STALLS_H_

#include "broker/core/group.h"
#include "broker/core/links.h"
#include "broker/core/state.h"

namespace ipc::broker {

class Stalls {
 public:
  Stalls(State* state, Links* links, Groups* groups)
      : state_(*state), links_(*links), groups_(*groups) {}

  // Something was handed to the lane of a reliable subscription.
  void OnDelivered(Subscription* subscription) {
    if (!subscription->stall->watched) Watch(&state_, subscription);
  }
  // It has consumed something that it had not before, or, being set aside,
  // acknowledges anything.
  void OnConsumed(Subscription* subscription);
  void OnTimer(Session* session, SubscriptionId id);

  // What was handed to `subscription` and is not consumed, in messages.
  static uint64_t Unconsumed(const Subscription& subscription);

  // Something waits for it.
  static void Watch(State* state, Subscription* subscription);

 private:
  // Asks for the next check.
  static void Check(State* state, Subscription* subscription);
  void SetAside(Subscription* subscription);
  void Readmit(Subscription* subscription);
  void Tell(const Subscription& subscription) const;

  State& state_;
  Links& links_;
  Groups& groups_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_STALLS_H_
