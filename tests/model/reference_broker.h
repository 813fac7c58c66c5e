// SPDX-License-Identifier: Apache-2.0
//
// A broker that is obviously right, to compare the real one with: everything
// stands in plain vectors and is looked for one by one. It knows who gets which
// message in which order and what a publisher may be told to forget, and
// nothing of frames, sockets, losses or time. Shares no code with the product.
//
// One thing it is told: that a publisher has been asked to JOIN a subscription.
// Until the publisher has answered, the subscription does not read it.

#ifndef IPC_TESTS_MODEL_REFERENCE_BROKER_H_
#define IPC_TESTS_MODEL_REFERENCE_BROKER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ipc::model {

// Whether `pattern` matches `topic`, by trying everything.
bool Matches(std::string_view pattern, std::string_view topic);

struct Message {
  size_t publisher = 0;  // the client
  uint32_t channel = 0;
  std::string topic;
  uint64_t sequence = 0;
  std::string payload;

  bool operator==(const Message&) const = default;
};

class ReferenceBroker {
 public:
  // -- Each returns whether it is done; if not, nothing has changed.

  bool Open(size_t client, uint32_t channel, const std::string& topic);
  bool Close(size_t client, uint32_t channel);
  bool Subscribe(size_t client, uint32_t id, const std::string& pattern,
                 bool reliable);
  bool Unsubscribe(size_t client, uint32_t id);
  bool Publish(size_t client, uint32_t channel, const std::string& payload);

  // `publisher` is asked to JOIN this subscription; it has answered.
  void Joining(size_t publisher, size_t client, uint32_t id);
  void Joined(size_t publisher, size_t client, uint32_t id);
  // The subscriber is done with its oldest message that it was not done with.
  // False if there is none.
  bool Consume(size_t client, uint32_t id, Message* consumed);

  // -- What came of it

  bool IsOpen(size_t client, uint32_t channel) const;
  bool IsMade(size_t client, uint32_t id) const;
  bool MayOpen(size_t client, uint32_t channel, const std::string& topic) const;
  // The sequence of the next message; it counts on when a channel is closed
  // and opened again.
  uint64_t next_sequence(size_t client, uint32_t channel) const;
  // All that a subscription of this number has got, also after Unsubscribe.
  std::vector<Message> Received(size_t client, uint32_t id) const;
  std::vector<uint32_t> SubscriptionsOf(size_t client) const;
  // How many of them the subscriber is done with.
  size_t ConsumedBy(size_t client, uint32_t id) const;
  // Subscriptions of any kind that match a channel.
  uint32_t Matching(size_t client, uint32_t channel) const;
  // The last message of an open channel that all reliable readers are done
  // with.
  uint64_t Forgettable(size_t client, uint32_t channel) const;

 private:
  struct Channel {
    size_t client = 0;
    uint32_t number = 0;
    std::string topic;
    bool open = false;
    uint64_t last_sequence = 0;
    uint64_t closed_at = 0;  // nobody is owed anything up to this one
  };
  struct Subscription {
    size_t client = 0;
    uint32_t id = 0;
    std::string pattern;
    bool reliable = true;
    bool made = false;
    std::vector<size_t> joining;  // publishers
    std::vector<Message> received;
    size_t consumed = 0;  // of them
  };

  // Null if there never was one.
  const Channel* FindChannel(size_t client, uint32_t number) const;
  Channel* FindChannel(size_t client, uint32_t number);
  const Subscription* FindSubscription(size_t client, uint32_t id) const;
  Subscription* FindSubscription(size_t client, uint32_t id);
  static bool IsJoining(const Subscription& subscription, size_t publisher);

  std::vector<Channel> channels_;
  std::vector<Subscription> subscriptions_;
};

}  // namespace ipc::model

#endif  // IPC_TESTS_MODEL_REFERENCE_BROKER_H_
