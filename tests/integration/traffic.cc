// SPDX-License-Identifier: Apache-2.0
//
// See traffic.h.

#include "tests/integration/traffic.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {

TrafficPublisher::TrafficPublisher(const PublisherPlan& plan)
    : plan_(plan), random_(plan.seed) {
  Open();
}

void TrafficPublisher::Open() {
  ClientOptions options =
      OptionsFor(plan_.socket_path, absl::StrCat("publisher-", plan_.number));
  options.window_bytes = plan_.window_bytes;
  ASSERT_OK_AND_ASSIGN(client_, Client::Connect(std::move(options)));
  for (uint32_t topic = 0; topic < plan_.topics; ++topic) {
    ASSERT_OK_AND_ASSIGN(
        RawPublisher publisher,
        client_->AdvertiseRaw(absl::StrCat("load/", plan_.number, "/", topic)));
    ASSERT_OK(publisher.WaitForSubscribers(plan_.subscribers, kPatience));
    topics_.push_back(std::move(publisher));
  }
}

TrafficPublisher::~TrafficPublisher() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void TrafficPublisher::Start() {
  ASSERT_FALSE(topics_.empty());
  thread_ = std::thread([this] { Run(); });
}

void TrafficPublisher::Run() {
  bool last = false;
  while (!last) {
    last = stopping_ || published_ + 1 == plan_.count;
    const absl::Status status = PublishOne(last);
    if (!status.ok()) {
      ADD_FAILURE() << "publisher " << plan_.number << ", message "
                    << published_ + 1 << ": " << status;
      return;
    }
  }
  EXPECT_OK(client_->Flush(kPatience)) << "publisher " << plan_.number;
}

absl::Status TrafficPublisher::PublishOne(bool last) {
  const Stamp stamp = {.publisher = plan_.number,
                       .last = last ? 1u : 0u,
                       .number = published_ + 1};
  std::uniform_int_distribution<size_t> bytes(plan_.bytes_min, plan_.bytes_max);
  MakePayload(stamp, bytes(random_), &payload_);
  absl::Status status = topics_[random_() % topics_.size()].Publish(payload_);
  if (status.ok()) ++published_;
  return status;
}

void TrafficPublisher::Finish() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

TrafficSubscriber::TrafficSubscriber(const std::string& socket_path,
                                     std::string_view pattern,
                                     const SubscriberPlan& plan)
    : plan_(plan), ledger_(plan.publishers) {
  Open(socket_path, pattern);
}

void TrafficSubscriber::Open(const std::string& socket_path,
                             std::string_view pattern) {
  ClientOptions options = OptionsFor(socket_path, "subscriber");
  options.on_event = [this](const Event& event) {
    if (event.kind == Event::Kind::kGap) ++gaps_;
  };
  ASSERT_OK_AND_ASSIGN(client_, Client::Connect(std::move(options)));
  if (plan_.form == SubscriberPlan::Form::kPull) {
    ASSERT_OK_AND_ASSIGN(subscription_,
                         client_->SubscribeRaw(pattern, Patient()));
    puller_ = std::thread([this] { Pull(); });
  } else {
    ASSERT_OK_AND_ASSIGN(
        subscription_,
        client_->SubscribeRaw(
            pattern, [this](const Message& message) { OnMessage(message); },
            Patient()));
  }
}

TrafficSubscriber::~TrafficSubscriber() {
  client_ = nullptr;  // ends a Next that waits
  if (puller_.joinable()) puller_.join();
}

void TrafficSubscriber::OnMessage(const Message& message) {
  const bool was_done = ledger_.Done();
  ledger_.OnPayload(message.payload());
  ++received_;
  if (ledger_.Done() && !was_done) {
    done_.Update([](bool& done) { done = true; });
  }
}

void TrafficSubscriber::Pull() {
  while (!ledger_.Done()) {
    const absl::StatusOr<Message> message = subscription_.Next(kPatience);
    if (!message.ok()) return;
    OnMessage(*message);
  }
}

std::string TrafficSubscriber::Finish() {
  done_.WaitUntil([](bool done) { return done; });
  client_ = nullptr;
  if (puller_.joinable()) puller_.join();
  std::string complaint = ledger_.Complaint();
  if (gaps_ > 0) absl::StrAppend(&complaint, "; gap events: ", gaps_.load());
  return complaint;
}

}  // namespace ipc::test
