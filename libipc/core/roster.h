// SPDX-License-Identifier: Apache-2.0
//
// Who is on the bus, as a client that watches knows it, over all its
// connections: what the broker tells becomes the changes that the program is
// told. No I/O; the client's loop guards it.
//
// After a reconnect the broker begins anew with everybody who is there.
// Clients that are known already change nothing. Of those that are missing,
// the same broker knows that they went; a new one may yet see them come back,
// and so they are held for a grace.

#ifndef IPC_LIBIPC_CORE_ROSTER_H_
#define IPC_LIBIPC_CORE_ROSTER_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "libipc/base/ids.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/wire/control.h"

namespace ipc::core {

class Roster {
 public:
  // -- The program's will. `control` takes the request; null while there is
  // no connection.
  void Watch(std::string* control);
  void Unwatch(std::string* control);

  // -- The connection's
  void OnConnected(const Token& instance, std::string* control);
  void OnDisconnected();
  void OnPresence(const wire::Presence& presence);
  // The answer to the watch has come, behind all who are there.
  void OnWatched();

  // -- Time
  void OnTime(MonotonicTime now);
  MonotonicTime NextDeadline() const {
    return hold_begins_ ? MonotonicTime() : held_until_;
  }

  // What is new, in its order.
  std::vector<wire::Presence> TakeChanges() {
    return std::exchange(changes_, {});
  }
  // Everybody who is known, as the program is told at the beginning.
  std::vector<wire::Presence> There() const;

 private:
  struct Known {
    wire::Presence presence;  // kCame or kLost
    bool seen = false;        // on this connection
  };

  void Request(bool watch, std::string* control) const;
  void OnHere(const wire::Presence& presence);
  void OnAway(const wire::Presence& presence);
  // A client that is not known yet.
  void Add(const wire::Presence& presence);
  void Tell(const wire::Presence& presence, wire::PresenceChange change);
  // Those who were not seen again went.
  void GiveUpUnseen();

  bool watching_ = false;
  absl::btree_map<SessionKey, Known> known_;
  std::vector<wire::Presence> changes_;
  Token instance_;        // of the broker that is connected
  Token watched_;         // of the last one that told everybody; zero: none
  bool holding_ = false;  // some may come back to a new broker
  bool hold_begins_ = false;
  MonotonicTime held_until_ = MonotonicTime::Never();
};

// The request that WATCH_CLIENTS has; the program's own begin at 1.
inline constexpr uint64_t kWatchRequest = uint64_t{1} << 63;

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_ROSTER_H_
