// SPDX-License-Identifier: Apache-2.0
//
// The delivery contract: what publishers, the broker and reliable subscribers
// do about every message when the broker is killed or connections are lost.
// Sections are those of proto/PROTOCOL.md; the broker's part follows
// broker/core/links.cc. README.md says what is left out.
//
//   Publisher ──(step)──> broker ──lane──> Subscriber
//       ^                   │ ^                │
//       └──────── down ─────┘ └────(step)──────┘
//
// A client's frame and the broker's handling of it are one step. This hides no
// run: a client talks to nobody but the broker, so one whose frames are under
// way cannot be told from one that has not sent them yet; and a frame that is
// lost on the way is one sent on a connection that is dead already. What goes
// down waits in queues, and is lost from any point on when the client notices
// that its connection is dead.

#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef SUBSCRIBERS
#define SUBSCRIBERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2  // of publisher 0
#endif
#ifndef MESSAGES_1
#define MESSAGES_1 MESSAGES  // of publisher 1
#endif
#ifndef WINDOW
#define WINDOW 2  // messages that a log holds
#endif
#ifndef LANE
#define LANE 2  // messages of one publisher that wait for a subscriber
#endif
#ifndef CRASHES
#define CRASHES 1  // of the broker, at most
#endif
#ifndef LOSSES
#define LOSSES 0  // of single connections, at most, the broker going on
#endif

// A link l joins publisher P(l) and subscriber S(l).
#define L(p, s) (2 * (p) + (s))
#define P(l) ((l) / 2)
#define S(l) ((l) % 2)
#define NONE 255
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define WHEN(condition, then) if :: condition -> then :: else fi
#define EITHER(condition, then, otherwise) \
  if :: condition -> then :: else -> otherwise fi

// --- What clients know (section 11, "What a client keeps") -------------------

// A message is accepted in the step that sends it first: the last moment at
// which that can be, so the one at which most is owed to readers.
byte sent[2];        // last sequence that was sent, on any connection
byte released[2];    // last one acknowledged, so no longer in the log
bool known[2];       // readers_known: an ACK has come
byte noted[4];       // first sequence the reader is entitled to; 0: no reader
bool is_open[2];     // OPENED has come on this connection
byte job[2] = NONE;  // the reader that is resent to ...
byte job_at[2];      // ... and what comes next
byte received[4];    // by the subscriber, in full
byte consumed[4];
bool on_wire[4];     // a message has come on this connection
bool confirmed[2];

// To a publisher: control frames, in order. To a subscriber: what waits in the
// broker and in the socket; RESULT may overtake it (section 8).
mtype = { OPENED, ACK, JOIN, RESEND };
chan down[2] = [8] of { mtype, byte, byte };
chan lane[4] = [LANE] of { byte };
bool result[2];

// --- For the judge -----------------------------------------------------------

byte first[4];  // message that the handler saw, until it is checked
byte owed[4];   // from here on no loss is promised, once it is confirmed
bool publisher_lives[2];  // has ever connected: it comes back, and in time
bool subscriber_lives[2];
byte crashes = CRASHES, losses = LOSSES;

// --- What the broker knows: soft state, gone with a crash --------------------

#define AWAY 0
#define REOPENING 1  // OPEN has come, RESUMED has not
#define RESUMED 2
byte publisher[2];
bool channel[2];    // is open; stays so while its publisher is awaited
byte next[2];       // sequence that comes next
byte told_ack[2];   // last one acknowledged
byte unclaimed[2];  // first one that readers it does not know of may lack
bool held[2];       // opened with readers_known false

#define UNKNOWN 0
#define AWAITED 1  // a publisher has named it
#define LOST 2     // its connection was lost
#define HERE 3
byte subscriber[2];
bool from_earlier[2];  // confirmed by an earlier broker
bool returning[2];     // its last SUBSCRIBE had resume
bool request[2];       // its SUBSCRIBE is not answered yet
byte position[4];      // told by SUBSCRIBE, until the publisher comes

#define NO_LINK 0
#define WAITING 1
#define JOINING 2   // JOIN is sent
#define LIVE 3
#define BEHIND 4    // the queue was full
#define CATCHING 5  // RESEND is sent
byte link[4];
byte joins[4];      // JOINs that are not answered
bool catch_up[4];   // may lack something
bool claimed[4];    // what is behind `done` is owed to it
bool resending[4];  // RESEND is sent, RESEND_END has not come
bool unheard[4];    // the publisher must answer before all is confirmed
bool told[4];       // OPENED has named the reader
byte done[4];       // consumed, as far as the broker knows
byte wanted[4];     // first one that may be lacking
bool follows;       // another broker

// --- Time --------------------------------------------------------------------

// All are back in time, which is what the promises ask for. So the hold ends,
// and a broker that follows another one begins to confirm, when all are.
#define ON_ITS_WAY(s) (subscriber_lives[s] && subscriber[s] < LOST)
#define HOLD (follows && (ON_ITS_WAY(0) || ON_ITS_WAY(1)))
#define IS_BACK(p) (channel[p] || !publisher_lives[p])
#define ALL_BACK (!follows || (IS_BACK(0) && IS_BACK(1)))

// --- Acknowledgement (section 9) ---------------------------------------------

#define DONE(l) (link[l] != NO_LINK -> done[l] : NONE)
#define FLOOR(p) MIN(next[p] - 1, MIN(DONE(L(p, 0)), DONE(L(p, 1))))
#ifdef FAULT_ACK_EARLY
#undef FLOOR
#define FLOOR(p) (next[p] - 1)
#endif
#ifdef FAULT_NO_HOLD
#undef HOLD
#define HOLD false
#endif
#define MAY_ACK(p) \
  (publisher[p] != AWAY && FLOOR(p) > told_ack[p] && !(held[p] && HOLD))

inline OnConsumed(l, sequence) {
  WHEN(link[l] != NO_LINK && MIN(sequence, next[P(l)] - 1) > done[l],
       done[l] = MIN(sequence, next[P(l)] - 1))
}

// --- Links (sections 7 and 11) -----------------------------------------------

// What is accepted from now on is owed if this RESULT arrives. The promise
// begins when it does; so this asks for more than is promised.
inline Confirm(s) {
  WHEN(request[s] && !unheard[L(0, s)] && !unheard[L(1, s)] && ALL_BACK,
       request[s] = false;
       result[s] = true;
       owed[L(0, s)] = sent[0] + 1;
       owed[L(1, s)] = sent[1] + 1)
}

inline Heard(l) { unheard[l] = false; Confirm(S(l)) }

inline GoLive(l) {
  link[l] = LIVE;
  catch_up[l] = false;
  claimed[l] = true;
  told[l] = false;  // the rest means nothing any more
  wanted[l] = 0
}

inline SendResend(l) {
#ifdef FAULT_SKIP_RESEND
  Heard(l);
  GoLive(l)
#else
  // The end of one that is under way starts this one.
  WHEN(!resending[l],
       resending[l] = true;
       link[l] = CATCHING;
       down[P(l)]!RESEND(l, wanted[l]))
#endif
}

// RESEND if it may lack something or its publisher knows of it, else JOIN.
inline Start(l) {
  if
  :: publisher[P(l)] != RESUMED || subscriber[S(l)] != HERE
  :: else ->
     EITHER(catch_up[l] || !unheard[l],
            catch_up[l] = true; SendResend(l),
            link[l] = JOINING; joins[l]++; down[P(l)]!JOIN(l, 0))
  fi
}

// "What the broker makes of it", rules 1 to 4. `from`: what the publisher has
// handed back, or 0.
inline Attach(l, from) {
  if
  :: link[l] != NO_LINK
  :: else ->
     link[l] = WAITING;
     unheard[l] = request[S(l)];
     catch_up[l] = true;
     claimed[l] = true;
     if
     :: position[l] != NONE -> wanted[l] = MAX(position[l] + 1, from)
     :: position[l] == NONE && from != 0 &&
        (subscriber[S(l)] != HERE || returning[S(l)]) -> wanted[l] = from
     :: position[l] == NONE && from == 0 && from_earlier[S(l)] &&
        (subscriber[S(l)] != HERE || returning[S(l)]) ->
        wanted[l] = unclaimed[P(l)]
     :: else ->
        wanted[l] = next[P(l)]; catch_up[l] = false; claimed[l] = false
     fi;
     position[l] = NONE;
     wanted[l] = MAX(wanted[l], told_ack[P(l)] + 1);
     done[l] = wanted[l] - 1
  fi
}

inline TakeReader(l) {
#ifndef FAULT_NO_AWAIT
  if
  :: noted[l] != 0 ->
     subscriber[S(l)] = MAX(subscriber[S(l)], AWAITED);
     Attach(l, noted[l])
  :: else
  fi;
#endif
  WHEN(subscriber[S(l)] >= LOST, Attach(l, 0))
}

inline PlaceAtEntry(l) {
  wanted[l] = next[P(l)];
  done[l] = next[P(l)] - 1
}

// Named by OPENED, it is owed what is sent since then: also if that is lost.
inline BeginHere(l) {
  told[l] = (link[l] == WAITING);
  WHEN(told[l] && !claimed[l], PlaceAtEntry(l));
#ifndef FAULT_FORGET_TOLD
  WHEN(told[l], claimed[l] = true)
#endif
}

#define TELL(l) (link[l] == NO_LINK -> 0 : done[l] + 1)

// The publisher sends nothing new before OPENED: who lacks nothing and was
// named there goes live without a mark in the stream.
inline StartFresh(l) {
  if
  :: link[l] == WAITING ->
     WHEN(!claimed[l], PlaceAtEntry(l));
     if
     // One that was asked for by JOIN and is away again joins anew.
     :: subscriber[S(l)] != HERE -> WHEN(claimed[l], catch_up[l] = true)
     :: subscriber[S(l)] == HERE && wanted[l] >= next[P(l)] && told[l] &&
        !unheard[l] -> GoLive(l)
     :: else ->
        WHEN(told[l] || wanted[l] < next[P(l)], catch_up[l] = true); Start(l)
     fi
  :: else
  fi
}

// --- Frames, as the broker handles them --------------------------------------

// What only Attach asks for means nothing any more when all links are made.
inline Settle(s) {
  WHEN(link[L(0, s)] != NO_LINK && link[L(1, s)] != NO_LINK,
       from_earlier[s] = false; returning[s] = false)
}

inline OnOpen(p) {
  WHEN(!channel[p],
       channel[p] = true;
       unclaimed[p] = (known[p] -> sent[p] + 1 : released[p] + 1);
       held[p] = !known[p]);
  next[p] = sent[p] + 1;
  told_ack[p] = released[p];
  TakeReader(L(p, 0));
  TakeReader(L(p, 1));
  BeginHere(L(p, 0));
  BeginHere(L(p, 1));
  down[p]!OPENED(TELL(L(p, 0)), TELL(L(p, 1)));
  Confirm(0);
  Confirm(1);
  Settle(0);
  Settle(1)
}

inline ApplyPosition(l) {
  if
  :: link[l] != NO_LINK ->
     WHEN(position[l] != NONE, OnConsumed(l, position[l]); position[l] = NONE);
     wanted[l] = done[l] + 1
  :: link[l] == NO_LINK && channel[P(l)] -> Attach(l, 0)
  :: else
  fi;
  unheard[l] = (link[l] != NO_LINK && !confirmed[S(l)])
}

inline OnSubscribe(s) {
  WHEN(subscriber[s] < LOST, from_earlier[s] = confirmed[s]);
  subscriber[s] = HERE;
  returning[s] = confirmed[s];
  ApplyPosition(L(0, s));
  ApplyPosition(L(1, s));
  request[s] = !confirmed[s];
#ifdef FAULT_CONFIRM_EARLY
  unheard[L(0, s)] = false;
  unheard[L(1, s)] = false;
  Confirm(s);
#endif
  WHEN(link[L(0, s)] == WAITING, Start(L(0, s)));
  WHEN(link[L(1, s)] == WAITING, Start(L(1, s)));
  Confirm(s);
  Settle(s)
}

// What does not fit into the queue is not routed ("Falling behind").
inline Route(l, sequence) {
  if
  :: link[l] == LIVE ->
     EITHER(len(lane[l]) < LANE, lane[l]!sequence,
            link[l] = BEHIND; catch_up[l] = true; wanted[l] = sequence)
  :: else
  fi
}

inline OnResent(l, sequence) {
#ifdef FAULT_OPEN_ROUTE
  WHEN(link[l] == CATCHING, GoLive(l));
  WHEN(len(lane[l]) < LANE, lane[l]!sequence);
#endif
  if
  :: link[l] == CATCHING ->
     EITHER(len(lane[l]) < LANE, lane[l]!sequence; wanted[l] = sequence + 1,
            link[l] = BEHIND)
  :: else
  fi
}

inline OnResendEnd(l) {
  resending[l] = false;
  Heard(l);
  if
  :: link[l] == CATCHING -> GoLive(l)
  :: link[l] == WAITING -> Start(l)
  :: else
  fi
}

inline OnJoined(l) {
  joins[l]--;
  // A reader that came anew before the answer was asked for twice: it begins
  // where its publisher says so last.
#ifndef FAULT_JOIN_AGAIN
  WHEN(link[l] == JOINING && joins[l] == 0,
       done[l] = next[P(l)] - 1; Heard(l); GoLive(l))
#else
  WHEN(link[l] == JOINING, done[l] = next[P(l)] - 1; Heard(l); GoLive(l))
#endif
}

// --- The ends of connections -------------------------------------------------

inline ForgetLink(l) {
  link[l] = NO_LINK;
  catch_up[l] = false;
  claimed[l] = false;
  resending[l] = false;
  joins[l] = 0;
  unheard[l] = false;
  told[l] = false;
  done[l] = 0;
  wanted[l] = 0;
  position[l] = NONE
}

inline ForgetClients(i) {
  publisher[i] = AWAY;
  channel[i] = false;
  next[i] = 0;
  told_ack[i] = 0;
  unclaimed[i] = 0;
  held[i] = false;
  subscriber[i] = UNKNOWN;
  from_earlier[i] = false;
  returning[i] = false;
  request[i] = false
}

inline LosePublisherOf(l) {
  WHEN(link[l] == LIVE, wanted[l] = next[P(l)]; catch_up[l] = true);
  told[l] = false;
  resending[l] = false;
  joins[l] = 0;
  WHEN(link[l] != NO_LINK, link[l] = WAITING)
}

// A reader that has not joined yet joins anew.
inline LoseReaderOf(l) {
  if
  :: link[l] != NO_LINK ->
     wanted[l] = done[l] + 1;
     WHEN(link[l] >= LIVE, catch_up[l] = true);
     unheard[l] = false;
     link[l] = WAITING
  :: else
  fi
}

// --- Clients -----------------------------------------------------------------

// Sections 6, 7 and 11. On a dead connection what is answered is lost.
inline OnDown(p) {
  if
  :: down[p]?OPENED(noted[L(p, 0)], noted[L(p, 1)]) ->
     is_open[p] = true;
     printf("P%d: OPENED, readers %d %d\n", p, noted[L(p, 0)], noted[L(p, 1)])
  :: down[p]?ACK(x, _) ->
     released[p] = MAX(released[p], x);
     known[p] = true;
     printf("P%d: ACK %d\n", p, x)
  :: down[p]?JOIN(x, _) ->
     noted[x] = sent[p] + 1;
     WHEN(publisher[p] == RESUMED, OnJoined(x));
     printf("P%d: JOIN of S%d, from %d\n", p, S(x), noted[x])
  :: down[p]?RESEND(x, y) ->
#ifndef FAULT_SKIP_NOTE
     WHEN(noted[x] == 0 || y < noted[x], noted[x] = y);
#endif
     WHEN(publisher[p] == RESUMED, job[p] = x; job_at[p] = y);
     printf("P%d: RESEND to S%d, from %d\n", p, S(x), y)
  fi;
  x = 0;
  y = 0
}

// Everything in the log that was sent, and wanted; then the mark.
inline Resend(p) {
  job_at[p] = MAX(job_at[p], released[p] + 1);
  if
  :: job_at[p] <= sent[p] ->
     printf("P%d: PUBLISH %d again for S%d\n", p, job_at[p], S(job[p]));
     OnResent(job[p], job_at[p]);
     job_at[p]++
  :: else ->
     printf("P%d: RESEND_END for S%d\n", p, S(job[p]));
     OnResendEnd(job[p]);
     job[p] = NONE;
     job_at[p] = 0
  fi
}

#ifndef FAULT_SEND_UNOPENED
#define MAY_SEND(p) (is_open[p] && publisher[p] != REOPENING && job[p] == NONE)
#else
#define MAY_SEND(p) (publisher[p] == RESUMED && job[p] == NONE)
#endif

proctype Publisher(byte p; byte messages) {
  byte x, y;
end:
  do
  // Which of two is the first makes no difference.
  :: d_step { publisher[p] == AWAY && (p == 0 || publisher_lives[0]) ->
       printf("P%d: OPEN, first %d, next %d, known %d, readers %d %d\n", p,
              released[p] + 1, sent[p] + 1, known[p], noted[L(p, 0)],
              noted[L(p, 1)]);
       do
       :: len(down[p]) > 0 -> down[p]?_, _, _
       :: else -> break
       od;
       is_open[p] = false;
       job[p] = NONE;
       job_at[p] = 0;
       publisher_lives[p] = true;
       publisher[p] = REOPENING;
       OnOpen(p)
     }
  :: d_step { publisher[p] == REOPENING ->
       printf("P%d: RESUMED\n", p);
       publisher[p] = RESUMED;
       StartFresh(L(p, 0));
       StartFresh(L(p, 1))
     }
  // ACK and JOIN do not wait for the end of a resend.
  :: d_step { len(down[p]) > 0 &&
              (job[p] == NONE || !down[p]?[RESEND, _, _]) -> OnDown(p) }
  :: d_step { job[p] != NONE && publisher[p] == RESUMED -> Resend(p) }
  // On a dead connection, too: it counts as sent, and is lost.
  :: d_step { MAY_SEND(p) && sent[p] < messages &&
              sent[p] - released[p] < WINDOW ->
       sent[p]++;
       printf("P%d: PUBLISH %d\n", p, sent[p]);
       if
       :: publisher[p] == RESUMED ->
          assert(sent[p] == next[p]);
          next[p]++;
          Route(L(p, 0), sent[p]);
          Route(L(p, 1), sent[p])
       :: else
       fi
     }
  od
}

// Nothing that is owed was before the first message. Then it has served.
inline CheckFirst(l) {
  WHEN(first[l] != 0,
       assert(first[l] <= owed[l]);  // promise 2: no loss
       first[l] = 0;
       owed[l] = 0)
}

// The handler's view. That there is no hole before the subscription is
// confirmed, either, is more than is promised.
inline Handle(l, sequence) {
  assert(sequence > received[l]);  // promises 1 and 3: in order, and once
  assert(received[l] == 0 || sequence == received[l] + 1);  // 2: no loss
  WHEN(received[l] == 0, first[l] = sequence);
  received[l] = sequence;
  WHEN(confirmed[S(l)], CheckFirst(l))
}

// A duplicate is acknowledged again.
inline OnDeliver(l) {
  lane[l]?x;
  printf("S%d: DELIVER %d of P%d\n", S(l), x, P(l));
  on_wire[l] = true;
  if
#ifndef FAULT_NO_DEDUP
  :: x <= received[l] ->
#ifndef FAULT_NO_ACK_AGAIN
     WHEN(subscriber[S(l)] == HERE, OnConsumed(l, consumed[l]))
#else
     skip
#endif
#endif
  :: else -> Handle(l, x)
  fi;
  x = 0
}

// Consumed and acknowledged in one step: a message whose ACK is late is one
// consumed late, and an ACK that is lost was sent on a dead connection.
inline Consume(l) {
  consumed[l]++;
  printf("S%d: ACK %d of P%d\n", S(l), consumed[l], P(l));
  WHEN(subscriber[S(l)] == HERE && on_wire[l], OnConsumed(l, consumed[l]))
}

inline Reconnect(l) {
  do
  :: len(lane[l]) > 0 -> lane[l]?_
  :: else -> break
  od;
  on_wire[l] = false;
  position[l] = (received[l] > 0 -> consumed[l] : NONE);
  WHEN(!confirmed[S(l)], owed[l] = 0)
}

proctype Subscriber(byte s) {
  byte x;
end:
  do
  :: d_step { subscriber[s] != HERE && (s == 0 || subscriber_lives[0]) ->
       printf("S%d: SUBSCRIBE, resume %d, received %d %d, consumed %d %d\n",
              s, confirmed[s], received[L(0, s)], received[L(1, s)],
              consumed[L(0, s)], consumed[L(1, s)]);
       Reconnect(L(0, s));
       Reconnect(L(1, s));
       result[s] = false;
       subscriber_lives[s] = true;
       OnSubscribe(s)
     }
  :: d_step { result[s] ->
       printf("S%d: RESULT, owed %d %d\n", s, owed[L(0, s)], owed[L(1, s)]);
       result[s] = false;
       confirmed[s] = true;
       CheckFirst(L(0, s));
       CheckFirst(L(1, s))
     }
  :: d_step { len(lane[L(0, s)]) > 0 -> OnDeliver(L(0, s)) }
  :: d_step { len(lane[L(1, s)]) > 0 -> OnDeliver(L(1, s)) }
  :: d_step { consumed[L(0, s)] < received[L(0, s)] -> Consume(L(0, s)) }
  :: d_step { consumed[L(1, s)] < received[L(1, s)] -> Consume(L(1, s)) }
  od
}

// --- The broker's own steps --------------------------------------------------

// SIGKILL and the next start in one: until a client notices, it goes on with
// the dead connection, whether the next broker runs already or not.
inline Crash() {
  ForgetClients(0); ForgetClients(1);
  ForgetLink(0); ForgetLink(1); ForgetLink(2); ForgetLink(3);
  follows = true;
  printf("broker: crash\n")
}

inline SendAck(p) {
  told_ack[p] = FLOOR(p);
  down[p]!ACK(told_ack[p], 0)
}

// The queue is empty; the socket may hold some yet.
inline CatchUp(l) {
  if
  :: link[l] == BEHIND && len(lane[l]) < LANE -> link[l] = WAITING; Start(l)
  fi
}

inline LosePublisher(p) {
  d_step { losses > 0 && publisher[p] != AWAY ->
    losses--;
    printf("P%d: connection lost\n", p);
    publisher[p] = AWAY;
    LosePublisherOf(L(p, 0));
    LosePublisherOf(L(p, 1))
  }
}

inline LoseSubscriber(s) {
  d_step { losses > 0 && subscriber[s] == HERE ->
    losses--;
    printf("S%d: connection lost\n", s);
    subscriber[s] = LOST;
    request[s] = false;
    LoseReaderOf(L(0, s));
    LoseReaderOf(L(1, s))
  }
}

proctype Broker() {
end:
  do
  :: d_step { MAY_ACK(0) -> SendAck(0) }
  :: d_step { MAY_ACK(1) -> SendAck(1) }
  :: d_step { CatchUp(0) }
  :: d_step { CatchUp(1) }
  :: d_step { CatchUp(2) }
  :: d_step { CatchUp(3) }
  :: d_step { crashes > 0 -> crashes--; Crash() }
  :: LosePublisher(0)
  :: LosePublisher(1)
  :: LoseSubscriber(0)
  :: LoseSubscriber(1)
  od
}

// When nothing can happen any more, all is sent, delivered and acknowledged.
inline Judge(l, messages) {
  assert(sent[P(l)] == messages && released[P(l)] == messages);
  assert(confirmed[S(l)] && consumed[l] == received[l]);
  assert(received[l] == messages || owed[l] > messages)
}

init {
  d_step {
    position[0] = NONE; position[1] = NONE;
    position[2] = NONE; position[3] = NONE
  }
  atomic {
    // A run with fewer of them ends in states that the full number hides.
    do
    :: crashes > 0 -> crashes--
    :: losses > 0 -> losses--
    :: break
    od;
    run Broker();
    run Publisher(0, MESSAGES);
    run Subscriber(0);
#if PUBLISHERS == 2
    run Publisher(1, MESSAGES_1);
#endif
#if SUBSCRIBERS == 2
    run Subscriber(1);
#endif
  }
  timeout ->
  Judge(L(0, 0), MESSAGES);
#if PUBLISHERS == 2
  Judge(L(1, 0), MESSAGES_1);
#endif
#if SUBSCRIBERS == 2
  Judge(L(0, 1), MESSAGES);
#endif
#if PUBLISHERS == 2 && SUBSCRIBERS == 2
  Judge(L(1, 1), MESSAGES_1)
#endif
}
