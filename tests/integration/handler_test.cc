// SPDX-License-Identifier: Apache-2.0
//
// Every public call may be made inside a handler: those that wait do the
// client's I/O themselves. With a thread of the client's own and with a manual
// loop.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"

namespace ipc::test {
namespace {

constexpr size_t kSmallWindow = size_t{128} << 10;
constexpr absl::Duration kShortly = absl::Milliseconds(50);

// The parameter: whether the client whose handlers do things has a manual loop.
class HandlerTest : public BusTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    BusTest::SetUp();
    ClientOptions options = Options("acting");
    options.window_bytes = kSmallWindow;
    options.manual_loop = GetParam();
    options.on_event = [this](const Event& event) {
      if (const EventHandler handler = on_event_.Get()) handler(event);
      events_.Update([](int& count) { ++count; });
    };
    acting_ = Connect(options);
    ASSERT_TRUE(events_.WaitUntil([](int count) { return count == 1; }));
    other_ = Connect("other");
  }
  // Runs `action` in a handler of the acting client, on a message on go/*.
  void RunInHandler(const std::function<void()>& action) {
    bool done = false;
    ASSERT_OK_AND_ASSIGN(auto subscription,
                         acting_->SubscribeRaw(
                             "go/*",
                             [&](const Message& message) {
                               EXPECT_EQ(message.text(), "go");
                               action();
                               // The message is still what it was.
                               EXPECT_EQ(message.text(), "go");
                               done_.Update([](int& count) { ++count; });
                               done = true;
                             },
                             Patient()));
    ASSERT_OK_AND_ASSIGN(RawPublisher trigger, other_->AdvertiseRaw("go/1"));
    ASSERT_OK(trigger.Publish("go"));
    Serve([&] { return done; });
    ASSERT_OK(WaitForFlush(other_.get()));
  }
  // Waits for `done`, turning the acting client's loop if nobody else does.
  void Serve(const std::function<bool()>& done) {
    if (!GetParam()) {
      ASSERT_TRUE(done_.WaitUntil([](int count) { return count > 0; }));
      return;
    }
    EXPECT_TRUE(WaitUntil([&] {
      EXPECT_OK(acting_->Process());
      return done();
    }));
  }
  // Waits until a handler has ended the acting client.
  void AwaitEndOfActing(const Shared<bool>& gone) {
    while (GetParam() && acting_ != nullptr) (void)acting_->Process();
    ASSERT_TRUE(gone.WaitUntil([](bool value) { return value; }));
  }
  absl::Status WaitForFlush(Client* client) {
    if (!GetParam()) return client->Flush(kPatience);
    absl::Status status;
    WaitUntil([&] {
      EXPECT_OK(acting_->Process());
      status = client->Flush(absl::ZeroDuration());
      return status.ok();
    });
    return status;
  }

  using EventHandler = std::function<void(const Event&)>;

  Shared<int> done_;
  Shared<int> events_;
  Shared<EventHandler> on_event_;
  std::unique_ptr<Client> acting_;
  std::unique_ptr<Client> other_;
};

INSTANTIATE_TEST_SUITE_P(Loops, HandlerTest, testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "Manual" : "Threaded";
                         });

TEST_P(HandlerTest, MayPublishManyTimesTheWindow) {
  constexpr int kMessages = 1000;
  const std::string payload(2000, 'p');
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      other_->SubscribeRaw("answer", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, acting_->AdvertiseRaw("answer"));
  RunInHandler([&] {
    for (int i = 0; i < kMessages; ++i) ASSERT_OK(publisher.Publish(payload));
    EXPECT_OK(acting_->Flush(kPatience));
  });
  EXPECT_EQ(inbox.Get().size(), static_cast<size_t>(kMessages));
}

TEST_P(HandlerTest, APublishThatOnlyItselfCouldReleaseEndsInTime) {
  Inbox inbox;
  // The client's own subscription, whose handler cannot run in a handler.
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      acting_->SubscribeRaw("own", inbox.Handler(), Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, acting_->AdvertiseRaw("own"));
  const std::string payload(1000, 'x');
  size_t accepted = 0;
  RunInHandler([&] {
    while (publisher.TryPublish(Bytes(payload)).ok()) ++accepted;
    EXPECT_CODE(kDeadlineExceeded, publisher.Publish(Bytes(payload), kShortly));
    EXPECT_CODE(kDeadlineExceeded, acting_->Flush(kShortly));
    EXPECT_TRUE(inbox.Get().empty()) << "handlers nest";
  });
  EXPECT_OK(WaitForFlush(acting_.get()));
  EXPECT_EQ(inbox.Get().size(), accepted);
}

TEST_P(HandlerTest, MayAskTheBroker) {
  RunInHandler([&] {
    EXPECT_OK(acting_->Ping(kPatience));
    const auto topics = acting_->ListTopics(kPatience);
    ASSERT_OK(topics);
    EXPECT_EQ(topics->size(), 1u);
    const auto clients = acting_->ListClients(kPatience);
    ASSERT_OK(clients);
    EXPECT_EQ(clients->size(), 2u);
    EXPECT_CODE(kNotFound,
                acting_->FetchSchema(std::string(32, 'h'), kPatience));
    EXPECT_TRUE(acting_->connected());
    EXPECT_OK(acting_->broker());
  });
}

TEST_P(HandlerTest, MayAdvertiseAndWaitForSubscribers) {
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       other_->SubscribeRaw("fresh", Patient()));
  RunInHandler([&] {
    auto publisher = acting_->AdvertiseRaw("fresh");
    ASSERT_OK(publisher);
    EXPECT_OK(publisher->WaitForSubscribers(1, kPatience));
    EXPECT_OK(publisher->Publish("made in a handler"));
  });
  EXPECT_EQ(subscription.Next(kPatience)->text(), "made in a handler");
}

TEST_P(HandlerTest, MaySubscribeInBothFormsAndTakeMessages) {
  Inbox inbox;
  std::optional<RawSubscription> handled;
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("news"));
  RunInHandler([&] {
    auto subscription =
        acting_->SubscribeRaw("news", inbox.Handler(), Patient());
    ASSERT_OK(subscription);
    handled = *std::move(subscription);
    auto pulled = acting_->SubscribeRaw("news", Patient());
    ASSERT_OK(pulled);
    ASSERT_OK(publisher.Publish("in the handler"));
    const auto message = pulled->Next(kPatience);
    ASSERT_OK(message);
    EXPECT_EQ(message->text(), "in the handler");
    // The other one's handler waits until this one has returned.
    EXPECT_TRUE(inbox.Get().empty());
  });
  ASSERT_OK(WaitForFlush(other_.get()));
  EXPECT_EQ(inbox.Texts(), std::vector<std::string>{"in the handler"});
}

TEST_P(HandlerTest, MessagesThatComeWhileItWaitsAreHandedOverInOrderLater) {
  constexpr int kMessages = 500;
  std::vector<std::string> seen;
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  Shared<size_t> count;
  int depth = 0;
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       acting_->SubscribeRaw(
                           "in/*",
                           [&](const Message& message) {
                             EXPECT_EQ(++depth, 1) << "handlers nest";
                             EXPECT_OK(acting_->Ping(kPatience));
                             seen.emplace_back(message.text());
                             --depth;
                             count.Update([](size_t& n) { ++n; });
                           },
                           Patient()));
  std::vector<std::string> texts;
  for (int i = 0; i < kMessages; ++i) {
    texts.push_back(absl::StrCat(i));
    ASSERT_OK(publisher.Publish(texts.back()));
  }
  ASSERT_OK(WaitForFlush(other_.get()));
  EXPECT_EQ(count.Get(), texts.size());
  EXPECT_EQ(seen, texts);
}

TEST_P(HandlerTest, MayEndItsOwnSubscription) {
  int runs = 0;
  std::optional<RawSubscription> subscription;
  ASSERT_OK_AND_ASSIGN(
      subscription,
      acting_->SubscribeRaw(
          "in/*",
          [&, kept = std::string("captured")](const Message& message) {
            ++runs;
            const std::string before(message.text());
            subscription.reset();
            EXPECT_EQ(message.text(), before);
            EXPECT_EQ(kept, "captured");  // the closure is still there
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  for (int i = 0; i < 1000; ++i) ASSERT_OK(publisher.Publish("message"));
  // Nobody holds the rest any more.
  ASSERT_OK(WaitForFlush(other_.get()));
  ASSERT_OK(acting_->Ping(kPatience));
  EXPECT_EQ(runs, 1);
}

TEST_P(HandlerTest, MayEndAnotherSubscriptionOfItsClient) {
  std::optional<RawSubscription> second;
  Shared<int> runs;
  bool ended = false;
  ASSERT_OK_AND_ASSIGN(auto first, acting_->SubscribeRaw(
                                       "in/*",
                                       [&](const Message&) {
                                         second.reset();
                                         ended = true;
                                       },
                                       Patient()));
  ASSERT_OK_AND_ASSIGN(second, acting_->SubscribeRaw(
                                   "in/*",
                                   [&](const Message&) {
                                     EXPECT_FALSE(ended);
                                     runs.Update([](int& n) { ++n; });
                                   },
                                   Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  for (int i = 0; i < 1000; ++i) ASSERT_OK(publisher.Publish("message"));
  ASSERT_OK(WaitForFlush(other_.get()));
}

// Many more messages lie in the client's buffer when it is ended.
TEST_P(HandlerTest, MayEndItsClient) {
  Shared<bool> all_sent;
  Shared<int> runs;
  Shared<bool> gone;
  std::optional<RawSubscription> kept;  // outlives the client
  ASSERT_OK_AND_ASSIGN(
      kept,
      acting_->SubscribeRaw(
          "in/*",
          [&, captured = std::string("captured")](const Message& message) {
            runs.Update([](int& n) { ++n; });
            all_sent.WaitUntil([](bool value) { return value; });
            if (runs.Get() == 1) return;
            acting_.reset();
            EXPECT_EQ(message.text(), "message");
            EXPECT_EQ(captured, "captured");
            gone.Update([](bool& value) { value = true; });
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  for (int i = 0; i < 1000; ++i) ASSERT_OK(publisher.Publish("message"));
  ASSERT_OK(other_->Ping(kPatience));
  all_sent.Update([](bool& value) { value = true; });
  AwaitEndOfActing(gone);
  EXPECT_OK(other_->Flush(kPatience));
  EXPECT_CODE(kFailedPrecondition, kept->Next(absl::ZeroDuration()));
  kept.reset();
  EXPECT_EQ(runs.Get(), 2);
}

TEST_P(HandlerTest, MayEndItsClientTogetherWithAllHandles) {
  Shared<bool> gone;
  std::optional<RawSubscription> subscription;
  std::optional<RawPublisher> answers;
  ASSERT_OK_AND_ASSIGN(answers, acting_->AdvertiseRaw("answer"));
  ASSERT_OK_AND_ASSIGN(
      subscription,
      acting_->SubscribeRaw(
          "in/*",
          [&, captured = std::string("captured")](const Message& message) {
            EXPECT_OK(answers->Publish(message.text()));
            answers.reset();
            subscription.reset();
            acting_.reset();
            EXPECT_EQ(message.text(), "message");
            EXPECT_EQ(captured, "captured");
            gone.Update([](bool& value) { value = true; });
          },
          Patient()));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  for (int i = 0; i < 100; ++i) ASSERT_OK(publisher.Publish("message"));
  AwaitEndOfActing(gone);
  EXPECT_OK(other_->Flush(kPatience));
}

TEST_P(HandlerTest, BeingToldOfAGapMayTurnTheLoop) {
  // More than the sockets on the way take.
  constexpr uint64_t kMessages = 1500;
  constexpr size_t kPayloadBytes = 16 << 10;
  const auto payload_of = [](uint64_t sequence) {
    return std::string(kPayloadBytes, static_cast<char>('a' + sequence % 26));
  };
  Shared<bool> all_sent;
  Shared<uint64_t> done;
  uint64_t next = 1;
  uint64_t missing = 0;
  const auto on_event = [&](const Event& event) {
    if (event.kind != Event::Kind::kGap) return;
    EXPECT_EQ(event.first, next);
    next = event.last + 1;
    missing += event.last - event.first + 1;
    EXPECT_OK(acting_->Ping(kPatience));
  };
  on_event_.Update([&](EventHandler& handler) { handler = on_event; });
  SubscribeOptions options;
  options.policy = BestEffort{.depth = 10};
  ASSERT_OK_AND_ASSIGN(
      auto subscription,
      acting_->SubscribeRaw(
          "in/*",
          [&](const Message& message) {
            all_sent.WaitUntil([](bool value) { return value; });
            EXPECT_EQ(message.sequence(), next);
            EXPECT_TRUE(message.text() == payload_of(message.sequence()));
            next = message.sequence() + 1;
            done.Update([&](uint64_t& value) { value = message.sequence(); });
          },
          Patient(options)));
  ASSERT_OK_AND_ASSIGN(RawPublisher publisher, other_->AdvertiseRaw("in/1"));
  ASSERT_OK(publisher.Publish(payload_of(1)));
  for (uint64_t i = 2; i <= kMessages; ++i) {
    ASSERT_OK(publisher.Publish(payload_of(i)));
  }
  ASSERT_OK(other_->Flush(kPatience));
  all_sent.Update([](bool& value) { value = true; });
  while (GetParam() && done.Get() < kMessages) EXPECT_OK(acting_->Process());
  EXPECT_TRUE(
      done.WaitUntil([](uint64_t sequence) { return sequence == kMessages; }));
  EXPECT_GT(missing, 0u);
}

TEST_P(HandlerTest, AnEventHandlerMayCallAnythingToo) {
  Shared<int> connected;
  std::optional<RawPublisher> publisher;
  const auto act = [&](const Event& event) {
    if (event.kind != Event::Kind::kConnected) return;
    EXPECT_OK(acting_->Ping(kPatience));
    auto opened = acting_->AdvertiseRaw("from/an/event");
    EXPECT_OK(opened);
    publisher = *std::move(opened);
    EXPECT_OK(publisher->Publish("reconnected"));
    connected.Update([](int& n) { ++n; });
  };
  on_event_.Update([&](EventHandler& handler) { handler = act; });
  ASSERT_OK_AND_ASSIGN(auto subscription,
                       other_->SubscribeRaw("from/**", Patient()));
  broker_.Kill();
  broker_.Start();
  if (GetParam()) {
    EXPECT_TRUE(WaitUntil([&] {
      EXPECT_OK(acting_->Process());
      return connected.Get() > 0;
    }));
  }
  ASSERT_TRUE(connected.WaitUntil([](int n) { return n > 0; }));
  // The reader may come back later than the publisher, whose loop has to turn
  // then: the message is sent again.
  std::string text;
  EXPECT_TRUE(WaitUntil([&] {
    if (GetParam()) {
      EXPECT_OK(acting_->Process());
    }
    const auto message = subscription.Next(absl::ZeroDuration());
    if (message.ok()) text = message->text();
    return message.ok();
  }));
  EXPECT_EQ(text, "reconnected");
}

}  // namespace
}  // namespace ipc::test
