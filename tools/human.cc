// SPDX-License-Identifier: Apache-2.0
//
// See human.h. Everything that comes from the bus passes through Printable(),
// Quoted() or HexPreview() on its way.

#include "tools/human.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/message.h"
#include "tools/colour.h"
#include "tools/content.h"
#include "tools/form.h"
#include "tools/gaps.h"
#include "tools/presence.h"
#include "tools/table.h"
#include "tools/text.h"

namespace ipc::tools {
namespace {

constexpr size_t kColumnWidthMax = 40;
constexpr size_t kHexBytesMax = 64;
constexpr size_t kTextBytesMax = 256;

std::string PublisherText(const PublisherInfo& publisher) {
  return absl::StrFormat("%s[%d]", Printable(publisher.name), publisher.pid);
}

std::string PayloadText(const Arrival& arrival) {
  const std::string_view payload = arrival.message.text();
  if (payload.empty()) return "(empty)";
  if (arrival.content.kind == Content::Kind::kText) {
    return Quoted(payload, kTextBytesMax);
  }
  return HexPreview(payload, kHexBytesMax);
}

std::string ContentText(const Arrival& arrival) {
  const Content& content = arrival.content;
  // Escaped already by the JSON mapping; this makes sure of it.
  if (content.kind == Content::Kind::kJson) return Printable(content.json);
  if (content.problem.empty()) return PayloadText(arrival);
  return absl::StrFormat("(%s not readable: %s) %s",
                         Printable(arrival.message.source().type_name),
                         Printable(content.problem), PayloadText(arrival));
}

// Raw bytes have no type.
std::string TypeText(const TopicInfo& topic) {
  return topic.type_name.empty() ? "-" : Printable(topic.type_name);
}

std::string Number(uint64_t value) { return absl::StrFormat("%d", value); }

// Rounded to what matters: "3h12m", "42s".
std::string AgeText(absl::Duration age) {
  if (age < absl::Seconds(1)) return "0s";
  return absl::FormatDuration(absl::Trunc(
      age, age < absl::Minutes(10) ? absl::Seconds(1) : absl::Minutes(1)));
}

std::string EndedText(const BrokerStatus& status) {
  std::string text;
  for (const BrokerStatus::Count& count : status.ended) {
    absl::StrAppendFormat(&text, "%s%s %d", text.empty() ? "" : ", ",
                          std::string(CloseReasonName(count.reason)),
                          count.connections);
  }
  return text.empty() ? "none" : text;
}

std::string MissingText(const BrokerStatus& status) {
  std::string text;
  for (const BrokerStatus::Missing& missing : status.missing) {
    absl::StrAppendFormat(&text, "%s%s %d", text.empty() ? "" : ", ",
                          std::string(GapReasonName(missing.reason)),
                          missing.messages);
  }
  return text.empty() ? "none" : text;
}

std::string EndsAsTable(const std::vector<EndedConnection>& ends, bool colour) {
  Table table({{"ENDED", Align::kRight},
               {"REASON", Align::kLeft},
               {"NAME", Align::kLeft},
               {"PID", Align::kRight},
               {"UID", Align::kRight},
               {"TEXT", Align::kLeft}});
  for (const EndedConnection& end : ends) {
    table.AddRow(
        {AgeText(end.age) + " ago", std::string(CloseReasonName(end.reason)),
         end.name.empty() ? "-" : Printable(end.name),
         absl::StrFormat("%d", end.pid), Number(end.uid), Printable(end.text)});
  }
  return table.Render(colour);
}

}  // namespace

std::string HumanForm::ShowMessage(const Arrival& arrival) {
  const Message& message = arrival.message;
  const PublisherInfo& publisher = message.publisher();
  const std::string topic = Cell(0, Printable(message.topic()), Align::kLeft);
  const std::string rest =
      Cell(1, PublisherText(publisher), Align::kLeft) +
      Cell(2, absl::StrFormat("uid=%d", publisher.uid), Align::kLeft) +
      Cell(3, absl::StrFormat("#%d", message.sequence()), Align::kRight) +
      Cell(4, FormatLatency(arrival.latency), Align::kRight) +
      Cell(5, absl::StrFormat("%dB", message.payload().size()), Align::kRight);
  const std::string fds = message.fds().empty()
                              ? ""
                              : absl::StrFormat("+%dfd ", message.fds().size());
  return Coloured(topic, Colour::kBold, colour_) +
         Coloured(rest + fds, Colour::kDim, colour_) + ContentText(arrival) +
         "\n";
}

std::string HumanForm::ShowGap(const Gap& gap) {
  return Coloured(DescribeGap(gap), Colour::kYellow, colour_) + "\n";
}

std::string HumanForm::Cell(size_t column, std::string_view text, Align align) {
  const size_t width = std::min(DisplayWidth(text), kColumnWidthMax);
  widths_[column] = std::max(widths_[column], width);
  return Pad(text, widths_[column], align) + "  ";
}

std::string DescribeGap(const Gap& gap) {
  return absl::StrFormat(
      "-- %d %s missing (%s): #%d..#%d of %s from %s", gap.missing(),
      gap.missing() == 1 ? "message" : "messages", GapReasonName(gap.reason),
      gap.first, gap.last, Printable(gap.source.topic),
      PublisherText(gap.source.publisher));
}

std::string TopicsAsTable(const std::vector<TopicInfo>& topics, bool colour) {
  Table table({{"TOPIC", Align::kLeft},
               {"TYPE", Align::kLeft},
               {"PUBLISHERS", Align::kRight},
               {"SUBSCRIPTIONS", Align::kRight},
               {"MESSAGES", Align::kRight},
               {"BYTES", Align::kRight}});
  for (const TopicInfo& topic : topics) {
    table.AddRow({Printable(topic.topic), TypeText(topic),
                  Number(topic.publishers), Number(topic.subscriptions),
                  Number(topic.messages), Number(topic.bytes)});
  }
  return table.Render(colour);
}

std::string PresenceAsLine(const PresenceEvent& event, bool colour) {
  std::string change =
      event.initial
          ? event.change == PresenceEvent::Change::kCame ? "here" : "awaited"
          : ChangeName(event.change);
  std::string line =
      Coloured(Pad(change, 8, Align::kLeft), Colour::kBold, colour) +
      absl::StrFormat("  %s[%d]  uid=%d", Printable(event.name), event.pid,
                      event.uid);
  if (HasReason(event)) {
    line += "  " + std::string(CloseReasonName(event.reason));
    if (!event.text.empty()) line += ": " + Printable(event.text);
  }
  return line + "\n";
}

std::string StatusAsText(const BrokerStatus& status, bool colour) {
  std::string text = absl::StrFormat(
      "broker       %s, pid %d, up %s, instance %s\n"
      "connections  %d now, %d awaited; %d accepted, %d refused\n"
      "ended        %s\n"
      "messages     %d in (%d bytes), %d out (%d bytes)\n"
      "trouble      %d resends, %d set aside\n"
      "missing      %s\n",
      Printable(status.version), status.pid, AgeText(status.uptime),
      Printable(status.instance), status.connections, status.awaited,
      status.accepted, status.refused, EndedText(status), status.messages_in,
      status.bytes_in, status.messages_out, status.bytes_out, status.resends,
      status.set_aside, MissingText(status));
  if (status.recent.empty()) return text;
  return text + "\n" + EndsAsTable(status.recent, colour);
}

std::string ClientsAsTable(const std::vector<ClientInfo>& clients,
                           bool colour) {
  Table table({{"NAME", Align::kLeft},
               {"PID", Align::kRight},
               {"UID", Align::kRight},
               {"GID", Align::kRight},
               {"STATE", Align::kLeft},
               {"TOPICS", Align::kRight},
               {"SUBSCRIPTIONS", Align::kRight},
               {"IN", Align::kRight},
               {"OUT", Align::kRight},
               {"QUEUED", Align::kRight},
               {"DROPPED", Align::kRight}});
  for (const ClientInfo& client : clients) {
    table.AddRow({Printable(client.name), absl::StrFormat("%d", client.pid),
                  Number(client.uid), Number(client.gid),
                  client.connected ? "connected" : "awaited",
                  Number(client.publications), Number(client.subscriptions),
                  Number(client.messages_in), Number(client.messages_out),
                  Number(client.queued_bytes), Number(client.dropped)});
  }
  std::string text = table.Render(colour);
  for (const ClientInfo& client : clients) {
    for (const SlowSubscription& slow : client.slow) {
      text += absl::StrFormat(
          "slow: %s[%d], '%s': %s messages wait, none consumed for %s%s\n",
          Printable(client.name), client.pid, Printable(slow.pattern),
          Number(slow.messages), absl::FormatDuration(slow.idle),
          slow.set_aside ? "; set aside" : "");
    }
  }
  return text;
}

}  // namespace ipc::tools
