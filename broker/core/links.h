// SPDX-License-Identifier: Apache-2.0
//
// Links between publishers and subscriptions: how a reader gets onto a stream,
// falls off it and comes back without a loss. The one means of recovery is the
// publisher's log: RESEND asks for what a reader lacks, and the route to that
// reader stays closed until RESEND_END has come through the publisher's stream;
// what the publisher sent before that mark is part of the resend, what it
// sends after it is live.
//
//                 JOIN            JOINED
//   kWaiting ───────────> kJoining ─────> kLive     last values before JOINED
//      │  RESEND              RESEND_END    │ queue full
//      └────────> kCatchingUp ───────────> kLive ───────> kBehind
//                      ^                                     │ queue empty
//                      └──────────────── RESEND ─────────────┘
//
// Losing either side's connection leads back to kWaiting. A subscription that
// stalls has its links set aside (kAside) until it goes on.
//
// A new subscription is confirmed when every publisher that it matches has
// answered, so has it among its readers: if this broker dies, the next one
// hears of the subscription from them before it acknowledges anything.

#ifndef IPC_BROKER_CORE_LINKS_H_
#define IPC_BROKER_CORE_LINKS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "broker/core/acknowledgement.h"
#include "broker/core/state.h"

namespace ipc::broker {

class Links {
 public:
  Links(State* state, Acknowledgement* acknowledgement)
      : state_(*state), acknowledgement_(*acknowledgement) {}

  // Null if there is no such reader (any more).
  Link* Find(Session* publisher, ReaderId id) const;

  // Makes `subscription` a reader of `channel`, live if the link is.
  // `handed_back` is the first sequence that the publisher says it may claim.
  void Attach(Channel* channel, Subscription* subscription,
              std::optional<uint64_t> handed_back);
  // Takes the subscriber's word for what it has consumed, after it came back.
  void ApplyPositions(Subscription* subscription);

  // A publisher may have told of readings that the pattern does not cover.
  void DropUnmatched(Subscription* subscription);

  // The publisher has reopened its channels.
  void OnPublisherReady(Session* publisher);
  // It has opened one more.
  void OnOpened(Channel* channel);
  // The subscription was made, or made again.
  void OnReaderReady(Subscription* subscription);
  // Confirms the subscription by `request` as soon as that is right.
  void AwaitPublishers(Subscription* subscription, uint64_t request,
                       bool resumed);
  void ConfirmIfHeard(Subscription* subscription);
  // A time at which it may have to be confirmed.
  void OnJoinTimer(Session* session, SubscriptionId id);
  void OnJoined(Link* link);
  void OnResendEnd(Link* link);
  // Catches up what fell behind and has room now. At the end of every turn.
  void CatchUp();

  // The subscription's queue is full: stop at `sequence` of `channel`.
  void FallBehind(Subscription* subscription, Channel* channel,
                  uint64_t sequence);
  void FallBehindAgain(Link* link);
  // Whether a frame that has come for this reader alone is to be passed on.
  bool TakesResent(Link* link);
  // Best effort: what it was sent before that value does not come any more.
  void TellLostBefore(Reading* reading, uint64_t sequence);
  // Something that a member of a group was given is open again.
  void AskBack(Link* link);
  // A group of which an earlier broker knew may have begun anew here before
  // its first member came back.
  void Claim(Link* link);

  // The subscription has stalled: what waits for it is lost, its publishers go
  // on, and it is told exactly ...
  void SetAside(Subscription* subscription);
  // ... and it goes on from here.
  void Readmit(Subscription* subscription);
  // What it has missed of this publisher, which ends.
  void TellSkippedOf(Link* link);

  void OnPublisherAway(Session* publisher);
  void OnReaderAway(Subscription* subscription);

  // Before the object is destroyed.
  void DetachChannel(Channel* channel);
  void DetachPublisher(Session* publisher);
  void DetachSubscription(Subscription* subscription);

  // The reliable readers of `channel`, as its publisher shall know them.
  std::vector<wire::Reader> TellReadersOf(Channel* channel);
  // Subscriptions of any kind, also those whose client is awaited.
  static uint32_t MatchesOf(const Channel& channel) {
    return channel.readers->matches;
  }
  // Tells the publishers of all that `subscription` reads.
  void TellMatchesOf(const Subscription& subscription);
  // If they have changed since it was told; not before its RESUMED, because
  // JOIN comes first.
  void TellMatches(Channel* channel);
  // Tells a new member what its group reads.
  void AnnounceAll(const Subscription& head, Connection* member);

 private:
  // The first publication of `channel` that a reader entering now gets whole.
  static uint64_t EntryOf(const Channel& channel);
  static bool IsReady(const Session& publisher);
  static bool IsReady(const Subscription& subscription);

  Link* LinkOf(Session* publisher, Subscription* subscription);
  void Start(Link* link);
  void StartFresh(Link* link);
  void PlaceAtEntry(Reading* reading);
  // What it counts for has changed.
  static void Count(Reading* reading);
  static void EraseLive(Channel* channel, Subscription* subscription);
  static void LackFrom(Reading* reading, uint64_t sequence);
  void SendJoin(Link* link);
  // -- last_values.cc
  // Of a reader that has told that it has consumed as far as `position`.
  static bool LacksAfter(const Reading& reading, uint64_t position);
  static bool LacksValue(const Reading& reading);
  static bool LacksValue(const Link& link);
  static void NotePositions(Link* link);
  void BeginAtValues(Link* link);
  void JoinLater(Link* link);
  void Begin(Link* link);
  void SendResend(Link* link);
  void GoLive(Link* link);
  void Enter(Reading* reading);
  void TellLost(Reading* reading, uint64_t first, uint64_t last);
  void TellGap(Reading* reading, uint64_t first, uint64_t last,
               wire::GapReason reason);
  // Announced already.
  void AddGap(Reading* reading, uint64_t first, uint64_t last,
              wire::GapReason reason);
  void TellSkipped(Reading* reading);
  // What it lacks up to `last` is lost to it, because it has stalled.
  void GiveUp(Reading* reading, uint64_t last);
  void TellReleased(Reading* reading);
  void Park(Link* link);
  void LeaveRoutes(Link* link);
  void Wait(Link* link);
  void MarkUnheard(Link* link);
  void Heard(Link* link);
  void Announce(const Reading& reading);
  void Announce(const Reading& reading, Connection* reader);
  void Drop(Reading* reading);
  void RemoveReading(Reading* reading);
  void Destroy(Link* link);
  wire::Reader ReaderOf(const Link& link) const;

  State& state_;
  Acknowledgement& acknowledgement_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_LINKS_H_
