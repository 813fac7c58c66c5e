// SPDX-License-Identifier: Apache-2.0
//
// Frames for the one, calls for the other.

#include "tests/model/equivalence.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ipc::model {
namespace {

using test::Got;
using wire::FrameKind;

std::string LineOf(const Message& message) {
  return absl::StrCat(message.publisher, " ", message.channel, " ",
                      message.topic, " #", message.sequence, " ",
                      message.payload.size(), " ",
                      message.payload.substr(0, 10));
}

void AppendPublication(uint32_t channel, uint64_t sequence,
                       std::string_view payload, std::string* stream) {
  const size_t last =
      payload.empty() ? 0 : (payload.size() - 1) / kFramePayloadBytesMax;
  for (size_t i = 0; i <= last; ++i) {
    wire::AppendFrame(
        {.kind = FrameKind::kPublish,
         .target = channel,
         .sequence = sequence,
         .fragment = static_cast<uint16_t>(i),
         .last_fragment = static_cast<uint16_t>(last)},
        payload.substr(i * kFramePayloadBytesMax, kFramePayloadBytesMax),
        stream);
  }
}

}  // namespace

Equivalence::Equivalence(size_t clients) : clients_(clients) {
  for (size_t i = 0; i < clients; ++i) {
    clients_[i].frames = std::make_unique<test::FrameClient>(
        &shell_, static_cast<uint8_t>(1 + i));
    clients_[i].frames->Greet();
  }
}

uint64_t Equivalence::Ask(size_t client, bool done) {
  clients_[client].asked[++last_request_] = done;
  return last_request_;
}

void Equivalence::Open(size_t client, uint32_t channel,
                       const std::string& topic) {
  wire::Open open = test::OpenMessage(channel, topic);
  open.first_sequence = open.next_sequence =
      reference_.next_sequence(client, channel);
  const bool done = reference_.Open(client, channel, topic);
  if (done) {
    clients_[client].open[channel] = topic;
    clients_[client].acknowledged[channel] = open.first_sequence - 1;
  }
  clients_[client].frames->Send(open, Ask(client, done));
  Collect();
}

void Equivalence::Close(size_t client, uint32_t channel) {
  const bool done = reference_.Close(client, channel);
  if (done) clients_[client].open.erase(channel);
  clients_[client].frames->Send({.kind = FrameKind::kClose,
                                 .target = channel,
                                 .sequence = Ask(client, done)});
  Collect();
}

void Equivalence::Subscribe(size_t client, uint32_t id,
                            const std::string& pattern, bool reliable) {
  wire::Subscribe subscribe = test::SubscribeMessage(id, pattern);
  if (!reliable) {
    // So much that nothing is ever dropped.
    subscribe.policy = wire::Policy::kBestEffort;
    subscribe.depth = kBestEffortDepthMax;
    subscribe.bytes = kBestEffortQueueBytesMax;
  }
  const bool done = reference_.Subscribe(client, id, pattern, reliable);
  clients_[client].frames->Send(subscribe, Ask(client, done));
  Collect();
}

void Equivalence::Unsubscribe(size_t client, uint32_t id) {
  // What waits for it would be lost with it, in the real one only.
  clients_[client].frames->SetRoom(test::BrokerShell::kEndless);
  const bool done = reference_.Unsubscribe(client, id);
  clients_[client].frames->Send({.kind = FrameKind::kUnsubscribe,
                                 .target = id,
                                 .sequence = Ask(client, done)});
  Collect();
}

void Equivalence::Publish(
    size_t client,
    const std::vector<std::pair<uint32_t, std::string>>& messages,
    size_t piece) {
  std::string stream;
  for (const auto& [channel, payload] : messages) {
    const uint64_t sequence = reference_.next_sequence(client, channel);
    ASSERT_TRUE(reference_.Publish(client, channel, payload));
    AppendPublication(channel, sequence, payload, &stream);
  }
  for (size_t at = 0; at < stream.size();) {
    const size_t size = std::min(piece, stream.size() - at);
    clients_[client].frames->Send(std::string_view(stream).substr(at, size));
    at += size;
  }
  Collect();
}

bool Equivalence::AnswerJoin(size_t client) {
  std::vector<wire::Reader>& joins = clients_[client].joins;
  if (joins.empty()) return false;
  const wire::Reader reader = joins.front();
  joins.erase(joins.begin());
  reference_.Joined(client, IndexOf(reader.session),
                    ToNumber(reader.subscription));
  clients_[client].frames->Joined(reader.reader);
  Collect();
  return true;
}

bool Equivalence::Consume(size_t client, uint32_t id) {
  const std::vector<Got>& delivered = clients_[client].delivered[id];
  Message message;
  const size_t next = reference_.ConsumedBy(client, id);
  if (next >= delivered.size()) return false;  // not there yet
  if (!reference_.Consume(client, id, &message)) return false;
  clients_[client].frames->Ack(delivered[next]);
  Collect();
  return true;
}

size_t Equivalence::IndexOf(const SessionKey& session) const {
  size_t i = 0;
  while (i < clients_.size() && clients_[i].frames->key() != session) ++i;
  return i;
}

void Equivalence::Collect() {
  bool taken = true;
  while (taken) {
    taken = false;
    for (size_t i = 0; i < clients_.size(); ++i) {
      for (const Got& frame : clients_[i].frames->Take()) {
        Take(i, frame);
        taken = true;
      }
    }
  }
}

void Equivalence::Take(size_t index, const Got& frame) {
  Client& client = clients_[index];
  const wire::FrameHeader& header = frame.header;
  switch (header.kind) {
    case FrameKind::kDeliver:
      TakeDelivered(frame, &client.delivered[ToNumber(frame.subscription)]);
      break;
    case FrameKind::kAnnounce: {
      const auto announce = frame.As<wire::Announce>();
      client.announced[{ToNumber(announce.topic_id),
                        ToNumber(announce.session_number)}] = {
          .publisher = IndexOf(announce.session),
          .channel = ToNumber(announce.channel),
          .topic = announce.topic,
          .sequence = 0,
          .payload = ""};
      break;
    }
    case FrameKind::kJoin: {
      const wire::Reader reader = frame.As<wire::Join>().reader;
      // One that is asked for again is not the one before.
      std::erase_if(client.joins, [&reader](const wire::Reader& known) {
        return known.session == reader.session &&
               known.subscription == reader.subscription;
      });
      client.joins.push_back(reader);
      reference_.Joining(index, IndexOf(reader.session),
                         ToNumber(reader.subscription));
      break;
    }
    case FrameKind::kResend: {
      // Nothing was sent since OPENED: all that follows is the reader's.
      const wire::Reader reader = frame.As<wire::Resend>().reader;
      reference_.Joining(index, IndexOf(reader.session),
                         ToNumber(reader.subscription));
      reference_.Joined(index, IndexOf(reader.session),
                        ToNumber(reader.subscription));
      client.frames->ResendEnd(reader.reader);
      break;
    }
    case FrameKind::kLeave:
      std::erase_if(client.joins, [&header](const wire::Reader& known) {
        return ToNumber(known.reader) == header.session;
      });
      break;
    case FrameKind::kMatches:
      client.matches[header.target] = static_cast<uint32_t>(header.sequence);
      break;
    case FrameKind::kAck:
      client.acknowledged[header.target] = header.sequence;
      break;
    case FrameKind::kOpened:
    case FrameKind::kResult: {
      auto asked = client.asked.find(header.sequence);
      ASSERT_NE(asked, client.asked.end()) << "an answer to nothing";
      bool done = header.kind == FrameKind::kOpened;
      if (done) {
        const auto opened = frame.As<wire::Opened>();
        client.matches[ToNumber(opened.channel)] = opened.subscriptions;
      } else {
        done = frame.As<wire::Result>().code == absl::StatusCode::kOk;
      }
      EXPECT_EQ(done, asked->second) << "request " << header.sequence;
      client.asked.erase(asked);
      break;
    }
    case FrameKind::kSelect:
      break;
    default:
      ADD_FAILURE() << "client " << index << " got "
                    << wire::KindName(header.kind);
  }
}

// Fragments are put together.
void Equivalence::TakeDelivered(const Got& frame, std::vector<Got>* delivered) {
  if (frame.header.fragment == 0) {
    delivered->push_back(frame);
    return;
  }
  for (auto known = delivered->rbegin(); known != delivered->rend(); ++known) {
    if (known->header.session != frame.header.session ||
        known->header.target != frame.header.target) {
      continue;
    }
    EXPECT_EQ(known->header.sequence, frame.header.sequence);
    known->bytes += frame.payload();
    return;
  }
  ADD_FAILURE() << "a message without its first fragment";
}

Message Equivalence::MessageOf(const Client& client, const Got& frame) const {
  auto announced =
      client.announced.find({frame.header.target, frame.header.session});
  if (announced == client.announced.end()) {
    ADD_FAILURE() << "a message that was not announced";
    return {};
  }
  Message message = announced->second;
  message.sequence = frame.header.sequence;
  message.payload = frame.payload();
  return message;
}

void Equivalence::Compare() {
  for (Client& client : clients_) {
    client.frames->SetRoom(test::BrokerShell::kEndless);
  }
  Collect();
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[i];
    for (const auto& [id, frames] : client.delivered) {
      std::vector<std::string> got;
      for (const Got& frame : frames) {
        got.push_back(LineOf(MessageOf(client, frame)));
      }
      std::vector<std::string> expected;
      for (const Message& message : reference_.Received(i, id)) {
        expected.push_back(LineOf(message));
      }
      EXPECT_EQ(got, expected) << "subscription " << id << " of client " << i;
    }
    for (uint32_t id : reference_.SubscriptionsOf(i)) {
      EXPECT_EQ(client.delivered[id].size(), reference_.Received(i, id).size());
    }
    for (const auto& [channel, topic] : client.open) {
      EXPECT_EQ(client.matches[channel], reference_.Matching(i, channel))
          << "channel " << channel << " of client " << i;
    }
  }
}

void Equivalence::CompareAcknowledgements() {
  for (size_t i = 0; i < clients_.size(); ++i) {
    while (AnswerJoin(i)) {
    }
  }
  Compare();
  shell_.Advance(kStartHold + kAcknowledgeDelay);
  Collect();
  for (size_t i = 0; i < clients_.size(); ++i) {
    EXPECT_TRUE(clients_[i].asked.empty()) << "an answer is missing";
    for (const auto& [channel, topic] : clients_[i].open) {
      EXPECT_EQ(clients_[i].acknowledged[channel],
                reference_.Forgettable(i, channel))
          << "channel " << channel << " of client " << i;
    }
  }
}

}  // namespace ipc::model
