// SPDX-License-Identifier: Apache-2.0
//
// The requests of clients, each with its own answer: opening and closing
// channels, subscribing, descriptors and the lists for operators.

#ifndef IPC_BROKER_CORE_REQUESTS_H_
#define IPC_BROKER_CORE_REQUESTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "broker/core/links.h"
#include "broker/core/sessions.h"
#include "broker/core/state.h"

namespace ipc::broker {

class Requests {
 public:
  Requests(State* state, Links* links, Groups* groups,
           Acknowledgement* acknowledgement, Sessions* sessions)
      : state_(*state),
        links_(*links),
        groups_(*groups),
        acknowledgement_(*acknowledgement),
        sessions_(*sessions) {}

  // Each returns OK or the refusal, which the caller sends as the RESULT of
  // `request`. What answers by itself says so.

  // Answers OPENED.
  absl::Status OnOpen(Session* session, const wire::Open& open,
                      uint64_t request);
  absl::Status OnClose(Session* session, ChannelNumber number);
  // Answers when the matching publishers know of the subscription.
  absl::Status OnSubscribe(Session* session, const wire::Subscribe& subscribe,
                           uint64_t request);
  absl::Status OnUnsubscribe(Session* session, SubscriptionId id);
  // Answers SCHEMA.
  absl::Status OnGetSchema(Session* session, const wire::GetSchema& get,
                           uint64_t request);
  // Answers TOPICS and CLIENTS.
  void OnListTopics(Session* session, const wire::ListTopics& list,
                    uint64_t request);
  void OnListClients(Session* session, const wire::ListClients& list,
                     uint64_t request);

 private:
  absl::Status CheckOpen(const Session& session, const wire::Open& open) const;
  Channel* MakeChannel(Session* session, const wire::Open& open);
  void TakeReaders(Channel* channel, const wire::Open& open);
  absl::Status CheckSubscribe(const wire::Subscribe& subscribe) const;
  absl::Status CheckGroup(const Session& session,
                          const wire::Subscribe& subscribe) const;
  // What the group of `subscribe` is to publishers, found or made.
  Subscription* HeadOf(const Session& session,
                       const wire::Subscribe& subscribe);
  void AttachMatching(Subscription* subscription);

  State& state_;
  Links& links_;
  Groups& groups_;
  Acknowledgement& acknowledgement_;
  Sessions& sessions_;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_CORE_REQUESTS_H_
