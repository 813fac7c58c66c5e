// SPDX-License-Identifier: Apache-2.0
//
// See json.h. The only file that knows the JSON library, which is used without
// exceptions: it replaces what is not UTF-8, and is asked whether it could
// parse what it was given.

#include "tools/json.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/message.h"
#include "tools/content.h"
#include "tools/form.h"
#include "tools/gaps.h"
#include "tools/presence.h"

namespace ipc::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string Line(const Json& object) {
  constexpr int kOneLine = -1;
  constexpr bool kAscii = true;
  return object.dump(kOneLine, ' ', kAscii, Json::error_handler_t::replace) +
         "\n";
}

Json PublisherObject(const PublisherInfo& publisher) {
  return {{"name", publisher.name},
          {"pid", publisher.pid},
          {"uid", publisher.uid},
          {"gid", publisher.gid},
          {"session", publisher.session}};
}

std::string Base64(const Message& message) {
  return absl::Base64Escape(
      absl::string_view(message.text().data(), message.text().size()));
}

// Adds "message", "text" or "base64": the payload, whole in each case.
void AddContent(const Arrival& arrival, Json* object) {
  const Content& content = arrival.content;
  if (content.kind == Content::Kind::kJson) {
    Json parsed = Json::parse(content.json, nullptr, false);
    if (!parsed.is_discarded()) {
      (*object)["message"] = std::move(parsed);
      return;
    }
    (*object)["problem"] = "the JSON of the message is malformed";
  }
  if (!content.problem.empty()) (*object)["problem"] = content.problem;
  if (content.kind == Content::Kind::kText) {
    (*object)["text"] = std::string(arrival.message.text());
  } else {
    (*object)["base64"] = Base64(arrival.message);
  }
}

Json TopicObject(const TopicInfo& topic) {
  return {
      {"topic", topic.topic},           {"type", topic.type_name},
      {"publishers", topic.publishers}, {"subscriptions", topic.subscriptions},
      {"messages", topic.messages},     {"bytes", topic.bytes}};
}

Json SlowArray(const ClientInfo& client) {
  Json slow = Json::array();
  for (const SlowSubscription& subscription : client.slow) {
    slow.push_back({{"pattern", subscription.pattern},
                    {"messages", subscription.messages},
                    {"idle_ms", absl::ToInt64Milliseconds(subscription.idle)},
                    {"set_aside", subscription.set_aside}});
  }
  return slow;
}

Json ClientObject(const ClientInfo& client) {
  return {{"name", client.name},
          {"session", client.session},
          {"pid", client.pid},
          {"uid", client.uid},
          {"gid", client.gid},
          {"connected", client.connected},
          {"publications", client.publications},
          {"subscriptions", client.subscriptions},
          {"messages_in", client.messages_in},
          {"messages_out", client.messages_out},
          {"queued_bytes", client.queued_bytes},
          {"dropped", client.dropped},
          {"slow", SlowArray(client)}};
}

Json End(const EndedConnection& end) {
  return {
      {"name", end.name}, {"pid", end.pid},
      {"uid", end.uid},   {"reason", std::string(CloseReasonName(end.reason))},
      {"text", end.text}, {"age_ns", absl::ToInt64Nanoseconds(end.age)}};
}

}  // namespace

std::string JsonForm::ShowMessage(const Arrival& arrival) {
  const Message& message = arrival.message;
  Json object = {{"topic", message.source().topic},
                 {"publisher", PublisherObject(message.publisher())},
                 {"sequence", message.sequence()},
                 {"latency_ns", absl::ToInt64Nanoseconds(arrival.latency)},
                 {"size", message.payload().size()},
                 {"type", message.source().type_name}};
  if (!message.fds().empty()) object["fds"] = message.fds().size();
  AddContent(arrival, &object);
  return Line(object);
}

std::string JsonForm::ShowGap(const Gap& gap) {
  return Line({{"gap",
                {{"topic", gap.source.topic},
                 {"publisher", PublisherObject(gap.source.publisher)},
                 {"first", gap.first},
                 {"last", gap.last},
                 {"missing", gap.missing()},
                 {"reason", GapReasonName(gap.reason)}}}});
}

std::string StatusAsJson(const BrokerStatus& status) {
  Json ended = Json::object();
  for (const BrokerStatus::Count& count : status.ended) {
    ended[std::string(CloseReasonName(count.reason))] = count.connections;
  }
  Json missing = Json::object();
  for (const BrokerStatus::Missing& count : status.missing) {
    missing[std::string(GapReasonName(count.reason))] = count.messages;
  }
  Json recent = Json::array();
  for (const EndedConnection& end : status.recent) recent.push_back(End(end));
  return Line({{"version", status.version},
               {"instance", status.instance},
               {"pid", status.pid},
               {"uptime_ns", absl::ToInt64Nanoseconds(status.uptime)},
               {"connections", status.connections},
               {"awaited", status.awaited},
               {"accepted", status.accepted},
               {"refused", status.refused},
               {"ended", std::move(ended)},
               {"messages_in", status.messages_in},
               {"bytes_in", status.bytes_in},
               {"messages_out", status.messages_out},
               {"bytes_out", status.bytes_out},
               {"resends", status.resends},
               {"set_aside", status.set_aside},
               {"missing", std::move(missing)},
               {"recent", std::move(recent)}});
}

std::string PresenceAsJson(const PresenceEvent& event) {
  Json object = {{"change", ChangeName(event.change)},
                 {"initial", event.initial},
                 {"name", event.name},
                 {"session", event.session},
                 {"pid", event.pid},
                 {"uid", event.uid},
                 {"gid", event.gid}};
  if (HasReason(event)) {
    object["reason"] = std::string(CloseReasonName(event.reason));
    object["text"] = event.text;
  }
  return Line(object);
}

std::string TopicsAsJson(const std::vector<TopicInfo>& topics) {
  std::string lines;
  for (const TopicInfo& topic : topics) lines += Line(TopicObject(topic));
  return lines;
}

std::string ClientsAsJson(const std::vector<ClientInfo>& clients) {
  std::string lines;
  for (const ClientInfo& client : clients) lines += Line(ClientObject(client));
  return lines;
}

}  // namespace ipc::tools
