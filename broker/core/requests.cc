// SPDX-License-Identifier: Apache-2.0
//
// Checks what is asked for, then changes the state in one go: a refused
// request has changed nothing.

#include "broker/core/requests.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/stalls.h"
#include "libipc/base/status_macros.h"
#include "libipc/base/topic_grammar.h"

namespace ipc::broker {
namespace {

// The channel that `session` has on `topic`, or null. Looks at those of the one
// or of the other, whichever are fewer.
const Channel* FindChannel(const Session& session, const Topic& topic) {
  if (topic.channels.size() < session.channels.size()) {
    for (const Channel* channel : topic.channels) {
      if (channel->publisher == &session) return channel;
    }
    return nullptr;
  }
  for (const auto& channel : session.channels) {
    if (channel != nullptr && channel->topic == &topic) return channel.get();
  }
  return nullptr;
}

std::string_view GroupName(const Subscription& subscription) {
  const Group* group = subscription.membership->group;
  return group == nullptr ? "" : std::string_view(group->name);
}

}  // namespace

absl::Status Requests::OnOpen(Session* session, const wire::Open& open,
                              uint64_t request) {
  IPC_RETURN_IF_ERROR(CheckOpen(*session, open));
  size_t index = ToNumber(open.channel);
  Channel* channel = index < session->channels.size()
                         ? session->channels[index].get()
                         : nullptr;
  if (channel == nullptr) {
    channel = MakeChannel(session, open);
  } else {
    if (channel->next_sequence != open.next_sequence) channel->refused_from = 0;
    channel->next_sequence = open.next_sequence;
    // The ACK frames of the lost connection may be lost, too.
    channel->acknowledged = open.first_sequence - 1;
    channel->stale = false;
  }
  channel->retain_last = open.retain_last;
  channel->retained_from = session->reopening ? 1 : open.next_sequence;
  TakeReaders(channel, open);
  for (Subscription* subscription :
       state_.topics.SubscriptionsOf(*channel->topic)) {
    links_.Attach(channel, subscription, std::nullopt);
  }
  acknowledgement_.OnReadersChanged(channel);
  channel->matches_told = Links::MatchesOf(*channel);
  state_.SendControl(
      session->connection,
      wire::Opened{.channel = channel->number,
                   .readers = links_.TellReadersOf(channel),
                   .subscriptions = channel->matches_told,
                   .send_schema = !open.schema_hash.empty() &&
                                  !state_.schemas.Has(open.schema_hash)},
      request);
  if (!session->reopening) {
    // A first channel for these readers; nothing was sent on it before.
    links_.OnOpened(channel);
  }
  return absl::OkStatus();
}

absl::Status Requests::CheckOpen(const Session& session,
                                 const wire::Open& open) const {
  IPC_RETURN_IF_ERROR(ValidateTopic(open.topic));
  if (open.type_name.size() > kTypeNameBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("type name has ", open.type_name.size(),
                     " bytes; the limit is ", kTypeNameBytesMax));
  }
  if (open.readers.size() > kReadersPerChannelMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        open.readers.size(), " readers of a channel; the limit is ",
        kReadersPerChannelMax));
  }
  size_t index = ToNumber(open.channel);
  if (index > kChannelsPerSessionMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("channel number ", index, "; the limit is ",
                     kChannelsPerSessionMax, " channels for each client"));
  }
  const Channel* same =
      index < session.channels.size() ? session.channels[index].get() : nullptr;
  if (same != nullptr) {
    if (!session.reopening || same->topic->name.text() != open.topic) {
      return absl::AlreadyExistsError(
          absl::StrCat("channel ", index, " is open on topic ",
                       std::string(same->topic->name.text())));
    }
    if (open.next_sequence < same->next_sequence) {
      return absl::InvalidArgumentError(
          absl::StrCat("channel ", index, " goes back from sequence ",
                       same->next_sequence, " to ", open.next_sequence));
    }
    return absl::OkStatus();
  }
  const Topic* topic = state_.topics.FindPublished(open.topic);
  if (topic == nullptr) return absl::OkStatus();
  const Channel* other = FindChannel(session, *topic);
  if (other == nullptr) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      "topic ", open.topic, " is open on channel ", ToNumber(other->number)));
}

Channel* Requests::MakeChannel(Session* session, const wire::Open& open) {
  auto channel = std::make_unique<Channel>();
  channel->number = open.channel;
  channel->publisher = session;
  channel->type = state_.types.Take(open.type_name, open.schema_hash);
  channel->next_sequence = open.next_sequence;
  channel->unclaimed_from =
      open.readers_known ? open.next_sequence : open.first_sequence;
  channel->acknowledged = open.first_sequence - 1;
  channel->held = !open.readers_known;
  state_.topics.Publish(channel.get(), open.topic);
  size_t index = ToNumber(open.channel);
  if (index >= session->channels.size()) session->channels.resize(index + 1);
  session->channels[index] = std::move(channel);
  ++session->channel_count;
  return session->channels[index].get();
}

// The readers that an earlier broker told the publisher of: nothing is
// acknowledged before each of them has come back or is known to be gone.
void Requests::TakeReaders(Channel* channel, const wire::Open& open) {
  for (const wire::Reader& reader : open.readers) {
    Session* session = sessions_.Await(reader.session);
    if (session == nullptr ||
        session->subscriptions.size() >= kSubscriptionsPerSessionMax) {
      continue;
    }
    // It has been back and has said what it still has.
    if (session->connection != nullptr && !session->reopening &&
        !session->subscriptions.contains(reader.subscription)) {
      continue;
    }
    Subscription* subscription =
        sessions_.AwaitSubscription(session, reader.subscription);
    // A member has no links of its own: what it once read without its group
    // is not its any more.
    if (subscription->IsMember()) continue;
    if (subscription->reliable &&
        (subscription->pattern.empty() ||
         MatchPattern(subscription->pattern.text(), open.topic))) {
      links_.Attach(channel, subscription, reader.from);
    }
  }
}

absl::Status Requests::OnClose(Session* session, ChannelNumber number) {
  size_t index = ToNumber(number);
  if (index >= session->channels.size() ||
      session->channels[index] == nullptr) {
    return absl::NotFoundError(absl::StrCat("channel ", index, " is not open"));
  }
  sessions_.RemoveChannel(session->channels[index].get());
  return absl::OkStatus();
}

namespace {

// Else it is another one under a number that has been used.
bool MakesAgain(const wire::Subscribe& subscribe,
                const Subscription& subscription) {
  if (subscription.reliable != (subscribe.policy == wire::Policy::kReliable) ||
      GroupName(subscription) != subscribe.group) {
    return false;
  }
  // Nothing more is known of one that a publisher has handed back.
  if (subscription.pattern.empty()) return true;
  const Lane& lane = subscription.lane;
  return subscription.pattern.text() == subscribe.pattern &&
         (lane.latest != nullptr) ==
             (subscribe.policy == wire::Policy::kLatest) &&
         lane.drop_newest == subscribe.drop_newest;
}

}  // namespace

absl::Status Requests::OnSubscribe(Session* session,
                                   const wire::Subscribe& subscribe,
                                   uint64_t request) {
  IPC_RETURN_IF_ERROR(CheckSubscribe(subscribe));
  bool grouped = !subscribe.group.empty();
  if (grouped) IPC_RETURN_IF_ERROR(CheckGroup(*session, subscribe));
  auto known = session->subscriptions.find(subscribe.subscription);
  bool exists = known != session->subscriptions.end();
  if (exists && !session->reopening) {
    return absl::AlreadyExistsError(absl::StrCat(
        "subscription ", ToNumber(subscribe.subscription), " is made already"));
  }
  if (exists && !MakesAgain(subscribe, *known->second)) {
    sessions_.RemoveSubscription(known->second.get());
    exists = false;
  }
  if (!exists && session->subscriptions.size() >= kSubscriptionsPerSessionMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the limit is ", kSubscriptionsPerSessionMax,
                     " subscriptions for each client"));
  }
  Subscription* subscription =
      sessions_.MakeSubscription(session, subscribe.subscription);
  bool returns_here = !subscription->pattern.empty();
  if (grouped) {
    subscription->pattern = SharedName(subscribe.pattern);
  } else if (subscription->pattern.empty()) {
    subscription->from_earlier_broker = subscribe.resume;
    state_.topics.Subscribe(subscription, subscribe.pattern);
    links_.DropUnmatched(subscription);
  }
  subscription->stale = false;
  subscription->reliable = subscribe.policy == wire::Policy::kReliable;
  const absl::Duration timeout =
      std::min(state_.stall_timeout, subscribe.stall_timeout);
  if (subscription->stall->timeout != timeout) {
    subscription->stall.Edit().timeout = timeout;
  }
  Lane& lane = subscription->lane;
  lane.drop_newest = subscribe.drop_newest;
  if (subscribe.policy == wire::Policy::kBestEffort) {
    lane.messages_max = subscribe.depth;
    lane.bytes_max = static_cast<uint32_t>(subscribe.bytes);
    lane.descriptors_max = kDescriptorsPerQueueMax;
  } else if (subscribe.policy == wire::Policy::kLatest &&
             lane.latest == nullptr) {
    lane.latest = std::make_unique<LatestQueue>(kBestEffortQueueBytesMax);
  }
  if (subscription->arrival.made()) {
    subscription->arrival.Edit().positions.clear();
  }
  for (const wire::Position& position : subscribe.positions) {
    subscription->arrival.Edit()
        .positions[{position.session, position.channel}] = position.sequence;
  }
  if (subscribe.resume) {
    subscription->arrival.Edit().resumed_until = state_.now + kRecoveryGrace;
  }
  if (subscribe.resume || !subscribe.positions.empty()) {
    state_.timers.Add({.due = state_.now + kRecoveryGrace,
                       .kind = TimerKind::kAwaited,
                       .subject = ToNumber(session->number),
                       .detail = ToNumber(subscription->id)});
  }
  if (grouped) {
    Subscription* head = HeadOf(*session, subscribe);
    if (subscribe.resume && !returns_here) groups_.OnClaim(head);
    groups_.Enter(subscription, head, subscribe, request);
    return absl::OkStatus();
  }
  links_.ApplyPositions(subscription);
  AttachMatching(subscription);
  links_.AwaitPublishers(subscription, request, subscribe.resume);
  links_.OnReaderReady(subscription);
  links_.TellMatchesOf(*subscription);
  links_.ConfirmIfHeard(subscription);
  return absl::OkStatus();
}

namespace {

absl::Status CheckStallTimeout(absl::Duration timeout) {
  if (timeout == absl::ZeroDuration() ||
      (timeout >= kStallTimeoutMin && timeout <= kStallTimeoutMax)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("stall timeout is ", absl::FormatDuration(timeout), "; ",
                   absl::FormatDuration(kStallTimeoutMin), " to ",
                   absl::FormatDuration(kStallTimeoutMax), " are allowed"));
}

}  // namespace

absl::Status Requests::CheckSubscribe(const wire::Subscribe& subscribe) const {
  IPC_RETURN_IF_ERROR(ValidatePattern(subscribe.pattern));
  if (subscribe.positions.size() > kPositionsPerSubscriptionMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(subscribe.positions.size(), " positions; the limit is ",
                     kPositionsPerSubscriptionMax));
  }
  if (!subscribe.group.empty()) {
    IPC_RETURN_IF_ERROR(ValidateGroupName(subscribe.group));
    if (subscribe.policy != wire::Policy::kReliable) {
      return absl::InvalidArgumentError(
          "only reliable subscriptions can be in a group");
    }
  }
  if (subscribe.policy == wire::Policy::kReliable) {
    return CheckStallTimeout(subscribe.stall_timeout);
  }
  if (subscribe.policy == wire::Policy::kLatest) return absl::OkStatus();
  if (subscribe.depth == 0 || subscribe.depth > kBestEffortDepthMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("best-effort depth is ", subscribe.depth,
                     " messages; 1 to ", kBestEffortDepthMax, " are allowed"));
  }
  if (subscribe.bytes == 0 || subscribe.bytes > kBestEffortQueueBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("best-effort queue is ", subscribe.bytes, " bytes; 1 to ",
                     kBestEffortQueueBytesMax, " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status Requests::CheckGroup(const Session& session,
                                  const wire::Subscribe& subscribe) const {
  SessionKey key =
      GroupKey(subscribe.group, subscribe.pattern, session.key.uid);
  auto known = state_.sessions_by_key.find(key);
  if (known == state_.sessions_by_key.end()) {
    if (state_.group_sessions >= kGroupsMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the limit is ", kGroupsMax, " groups"));
    }
    if (state_.sessions.size() < kSessionsMax) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat(
        "the limit is ", kSessionsMax, " clients and groups together"));
  }
  auto head = (*known)->subscriptions.find(kGroupSubscription);
  if (head == (*known)->subscriptions.end() ||
      head->second->group() == nullptr ||
      head->second->group()->members.size() < kGroupMembersMax) {
    return absl::OkStatus();
  }
  // One that comes back has its place.
  auto member = session.subscriptions.find(subscribe.subscription);
  if (member != session.subscriptions.end() &&
      member->second->membership->group == head->second->group()) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("group ", subscribe.group, " has ", kGroupMembersMax,
                   " members, which is the limit"));
}

Subscription* Requests::HeadOf(const Session& session,
                               const wire::Subscribe& subscribe) {
  const SessionKey key =
      GroupKey(subscribe.group, subscribe.pattern, session.key.uid);
  const bool handed_back = state_.sessions_by_key.contains(key);
  Session* owner = sessions_.Await(key);
  owner->awaited_until = MonotonicTime::Never();
  Subscription* head = sessions_.AwaitSubscription(owner, kGroupSubscription);
  if (head->group() != nullptr) return head;
  head->membership.Edit().headed = std::make_unique<Group>();
  head->group()->name = subscribe.group;
  head->group()->head = head;
  if (handed_back || subscribe.resume) {
    head->group()->strangers_until = state_.now + kRecoveryGrace;
  }
  head->from_earlier_broker = subscribe.resume;
  head->arrival.Edit().resumed_until = state_.now + kRecoveryGrace;
  state_.topics.Subscribe(head, subscribe.pattern);
  links_.DropUnmatched(head);
  // Publishers may have handed it back before.
  for (auto& [number, link] : head->links) links_.Claim(link);
  AttachMatching(head);
  return head;
}

void Requests::AttachMatching(Subscription* subscription) {
  for (Channel* channel :
       state_.topics.ChannelsOf(subscription->pattern.text())) {
    links_.Attach(channel, subscription, std::nullopt);
  }
}

absl::Status Requests::OnUnsubscribe(Session* session, SubscriptionId id) {
  auto found = session->subscriptions.find(id);
  if (found == session->subscriptions.end()) {
    return absl::NotFoundError(
        absl::StrCat("subscription ", ToNumber(id), " is not made"));
  }
  sessions_.RemoveSubscription(found->second.get());
  return absl::OkStatus();
}

absl::Status Requests::OnGetSchema(Session* session, const wire::GetSchema& get,
                                   uint64_t request) {
  const std::string* set = state_.schemas.Find(get.hash);
  if (set == nullptr) {
    return absl::NotFoundError(
        "no publisher has handed over descriptors with this hash");
  }
  state_.SendControl(session->connection, wire::Schema{get.hash, *set},
                     request);
  return absl::OkStatus();
}

void Requests::OnListTopics(Session* session, const wire::ListTopics& list,
                            uint64_t request) {
  wire::Topics topics;
  const Topics::Set& published = state_.topics.published();
  auto topic = published.upper_bound(list.after);
  size_t steps = 0;
  for (; topic != published.end() && topics.topics.size() < kListPageItems &&
         steps < kListPageSteps;
       ++topic) {
    const Topic& from = **topic;
    steps += from.channels.size();
    wire::Topics::Topic& item = topics.topics.emplace_back();
    item.topic = from.name.text();
    item.type_name = from.channels.front()->type->name;
    item.publishers = static_cast<uint32_t>(from.channels.size());
    item.subscriptions = Links::MatchesOf(*from.channels.front());
    item.messages = from.past->messages;
    item.bytes = from.past->bytes;
    for (const Channel* channel : from.channels) {
      item.messages += channel->messages;
      item.bytes += channel->bytes;
    }
  }
  topics.more = topic != published.end();
  state_.SendControl(session->connection, topics, request);
}

void Requests::OnListClients(Session* session, const wire::ListClients& list,
                             uint64_t request) {
  wire::Clients clients;
  auto next = state_.sessions.upper_bound(list.after);
  size_t steps = 0;
  for (; next != state_.sessions.end() &&
         clients.clients.size() < kListPageItems && steps < kListPageSteps;
       ++next) {
    const Session& from = *next->second;
    steps += from.subscriptions.size();
    if (IsGroup(from.key)) continue;
    wire::Clients::Client& item = clients.clients.emplace_back();
    item.name = from.name;
    item.session = from.key;
    item.session_number = from.number;
    item.gid = from.gid;
    item.connected = from.connection != nullptr;
    item.publications = from.channel_count;
    item.subscriptions = static_cast<uint32_t>(from.subscriptions.size());
    item.messages_in = from.messages_in;
    item.messages_out = from.messages_out;
    for (const auto& [id, subscription] : from.subscriptions) {
      item.queued_bytes += subscription->lane.bytes();
      item.dropped += subscription->lane.dropped;
      const Stall& stall = *subscription->stall;
      if ((stall.told || stall.aside) && item.slow.size() < kSlowListedMax) {
        item.slow.push_back(
            {.subscription = id,
             .pattern = std::string(subscription->pattern.text()),
             .messages = Stalls::Unconsumed(*subscription),
             .idle = state_.now - stall.idle_since,
             .set_aside = stall.aside});
      }
    }
  }
  clients.more = next != state_.sessions.end();
  state_.SendControl(session->connection, clients, request);
}

}  // namespace ipc::broker
