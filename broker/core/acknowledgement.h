// SPDX-License-Identifier: Apache-2.0
//
// When a publisher may forget: a publication is acknowledged when every
// reliable subscription that reads its channel has consumed it, or, when there
// is none, when it was routed.
//
// ACK frames are cumulative and late: a share of the publisher's window or two
// milliseconds, whichever comes first; what subscribers consumed goes out at
// the end of the turn, because they have been late already.

#ifndef IPC_BROKER_CORE_ACKNOWLEDGEMENT_H_
#define IPC_BROKER_CORE_ACKNOWLEDGEMENT_H_

#include <cstdint>

#include "broker/core/state.h"

namespace ipc::broker {

class Acknowledgement {
 public:
  explicit Acknowledgement(State* state) : state_(*state) {}

  // Frames of `channel` were routed.
  void OnRouted(Channel* channel);
  // The last publication of `channel` was refused. Nobody gets it, so whoever
  // has consumed all before it is done with it, too.
  void OnRefused(Channel* channel);
  // The last publication of `channel` had expired. Its readers are told, and
  // have consumed it when they say so.
  void OnExpired(Channel* channel);
  // The subscriber is done with everything up to `sequence`. Returns whether it
  // was not before.
  bool OnConsumed(Reading* reading, uint64_t sequence);
  // The readers of `channel` have changed, or a hold has ended.
  void OnReadersChanged(Channel* channel);
  // The same, where not all readers have to be looked at: one is new, begins
  // elsewhere, or is not among them any more.
  void OnReaderCame(const Reading& reading);
  void PlaceAt(Reading* reading, uint64_t consumed);
  void OnReaderLeft(const Reading& reading);
  // The time that a session's acknowledgements waited for others is over.
  void OnTimer(Session* session);
  // Sends what is due. At the end of every turn.
  void Flush();

 private:
  enum class Urgency { kNow, kSoon };
  bool OthersAreAsLow(const Reading& reading);
  uint64_t Floor(Channel* channel);
  void List(Channel* channel, Urgency urgency);
  void Tell(Session* session);

  State& state_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_ACKNOWLEDGEMENT_H_
