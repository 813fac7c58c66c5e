// SPDX-License-Identifier: Apache-2.0
//
// Who comes to the bus and who leaves it, as a program that watches is told:
// of real processes, over reconnects and restarts of the broker.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/ipcctl.h"

namespace ipc::test {
namespace {

using Change = PresenceEvent::Change;
using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;

// What a watch was told. Must outlive its client.
class Visitors {
 public:
  PresenceHandler Handler() {
    return [this](const PresenceEvent& event) {
      events_.Update([&](auto& events) { events.push_back(event); });
    };
  }
  // Waits for the change of a client of this name, and returns it.
  PresenceEvent WaitFor(const std::string& name, Change change) const {
    PresenceEvent found;
    EXPECT_TRUE(events_.WaitUntil([&](const auto& events) {
      for (const PresenceEvent& event : events) {
        if (event.name != name || event.change != change) continue;
        found = event;
        return true;
      }
      return false;
    })) << name;
    return found;
  }
  // As "name change", with a mark for the initial ones.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const PresenceEvent& event : events_.Get()) {
      static constexpr const char* kNames[] = {"came", "lost", "returned",
                                               "went"};
      lines.push_back(event.name + " " +
                      kNames[static_cast<int>(event.change)] +
                      (event.initial ? "!" : ""));
    }
    return lines;
  }
  void Clear() {
    events_.Update([](auto& events) { events.clear(); });
  }

 private:
  Shared<std::vector<PresenceEvent>> events_;
};

class PresenceTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    client_ = Connect("watcher");
    auto watch = client_->WatchClients(visitors_.Handler());
    ASSERT_OK(watch);
    watch_ = *std::move(watch);
    visitors_.WaitFor("watcher", Change::kCame);
  }
  // A process named "ipcctl" that is on the bus.
  Process StartSub() {
    Process sub(Command({"sub", "**"}));
    visitors_.WaitFor("ipcctl", Change::kCame);
    return sub;
  }

  Visitors visitors_;
  std::unique_ptr<Client> client_;
  ClientWatch watch_;
};

TEST_F(PresenceTest, EverybodyIsThereAtFirst) {
  EXPECT_THAT(visitors_.Lines(), ElementsAre("watcher came!"));
  Visitors late;
  ASSERT_OK_AND_ASSIGN(auto watch, client_->WatchClients(late.Handler()));
  const PresenceEvent event = late.WaitFor("watcher", Change::kCame);
  EXPECT_TRUE(event.initial);
  EXPECT_EQ(event.pid, getpid());
  EXPECT_EQ(event.uid, geteuid());
  EXPECT_EQ(event.gid, getegid());
  EXPECT_THAT(event.session, MatchesRegex("[0-9a-f]{32}"));
}

TEST_F(PresenceTest, AKilledProcessHasGoneAndIsLost) {
  Process sub = StartSub();
  sub.Signal(SIGKILL);
  const PresenceEvent event = visitors_.WaitFor("ipcctl", Change::kWent);
  EXPECT_EQ(event.reason, CloseReason::kLost);
  EXPECT_EQ(event.pid, sub.pid());
}

TEST_F(PresenceTest, AProcessThatEndsOnSigtermHasGoneAndIsDone) {
  Process sub = StartSub();
  sub.Signal(SIGTERM);
  EXPECT_EQ(sub.Wait(), 0);
  const PresenceEvent event = visitors_.WaitFor("ipcctl", Change::kWent);
  EXPECT_EQ(event.reason, CloseReason::kDone);
  EXPECT_THAT(visitors_.Lines(),
              ElementsAre("watcher came!", "ipcctl came", "ipcctl went"));
}

TEST_F(PresenceTest, ARestartOfTheBrokerTellsNothingOfThoseWhoComeBack) {
  auto other = Connect("other");
  visitors_.WaitFor("other", Change::kCame);
  visitors_.Clear();
  broker_.Kill();
  broker_.Start();
  ASSERT_TRUE(
      WaitUntil([&] { return client_->connected() && other->connected(); }));
  auto late = Connect("late");
  visitors_.WaitFor("late", Change::kCame);
  EXPECT_THAT(visitors_.Lines(), ElementsAre("late came"));
}

TEST_F(PresenceTest, WhoDiesWithTheBrokerHasGoneAfterTheGrace) {
  Process sub = StartSub();
  visitors_.Clear();
  sub.Pause();
  broker_.Kill();
  sub.Signal(SIGKILL);
  broker_.Start();
  const PresenceEvent event = visitors_.WaitFor("ipcctl", Change::kWent);
  EXPECT_EQ(event.reason, CloseReason::kUnspecified);
  EXPECT_THAT(visitors_.Lines(), ElementsAre("ipcctl went"));
}

TEST_F(PresenceTest, NothingIsToldBehindTheEndOfTheWatch) {
  Visitors late;
  ASSERT_OK_AND_ASSIGN(auto kept, client_->WatchClients(late.Handler()));
  late.WaitFor("watcher", Change::kCame);
  watch_ = ClientWatch();
  visitors_.Clear();
  auto other = Connect("other");
  late.WaitFor("other", Change::kCame);
  EXPECT_THAT(visitors_.Lines(), IsEmpty());
  kept = ClientWatch();
  late.Clear();
  Connect("third").reset();
  // The last watch has ended for the broker, too: another begins anew.
  ASSERT_OK_AND_ASSIGN(kept, client_->WatchClients(late.Handler()));
  EXPECT_TRUE(late.WaitFor("other", Change::kCame).initial);
}

TEST_F(PresenceTest, AHandlerMayAskTheBrokerAndEndItsOwnWatch) {
  std::optional<ClientWatch> own;
  Shared<int> runs;
  auto watch = client_->WatchClients([&](const PresenceEvent&) {
    EXPECT_OK(client_->ListClients(kPatience));
    own.reset();
    runs.Update([](int& count) { ++count; });
  });
  ASSERT_OK(watch);
  ASSERT_TRUE(runs.WaitUntil([](int count) { return count == 1; }));
  Connect("other").reset();
  visitors_.WaitFor("other", Change::kWent);
}

TEST_F(PresenceTest, AHandlerMayEndItsClient) {
  Shared<bool> ended;
  auto* doomed = new std::unique_ptr<Client>(Connect("doomed"));
  std::optional<ClientWatch> watch;
  auto made = (*doomed)->WatchClients([&](const PresenceEvent& event) {
    if (event.name != "go") return;
    doomed->reset();
    ended.Update([](bool& value) { value = true; });
  });
  ASSERT_OK(made);
  auto go = Connect("go");
  EXPECT_TRUE(ended.WaitUntil([](bool value) { return value; }));
  visitors_.WaitFor("doomed", Change::kWent);
  *made = ClientWatch();
  delete doomed;
}

TEST_F(PresenceTest, AManualLoopTellsInCallsOfTheProgram) {
  ClientOptions options = Options("manual");
  options.manual_loop = true;
  auto manual = Connect(options);
  Visitors seen;
  ASSERT_OK_AND_ASSIGN(auto watch, manual->WatchClients(seen.Handler()));
  auto other = Connect("other");
  visitors_.WaitFor("other", Change::kCame);
  EXPECT_THAT(seen.Lines(), IsEmpty());
  ASSERT_TRUE(WaitUntil([&] {
    EXPECT_OK(manual->Process());
    return seen.Lines().size() >= 3;
  }));
  EXPECT_THAT(seen.Lines(),
              testing::UnorderedElementsAre("watcher came!", "manual came!",
                                            testing::StartsWith("other came")));
}

TEST_F(PresenceTest, AWatchWithoutAHandlerIsRefused) {
  EXPECT_CODE(kInvalidArgument, client_->WatchClients(nullptr).status());
}

TEST_F(PresenceTest, IpcctlShowsWhoComesAndGoes) {
  Process watch(Command({"clients", "--watch"}));
  Process watch_json(Command({"clients", "--watch", "--json"}));
  EXPECT_THAT(watch.ReadLine().value_or(""),
              MatchesRegex("here +watcher\\[[0-9]+\\]  uid=[0-9]+"));
  auto first = watch_json.ReadLine();
  ASSERT_TRUE(first.has_value());
  json object = json::parse(*first, nullptr, false);
  EXPECT_EQ(object.value("change", ""), "came");
  EXPECT_TRUE(object.value("initial", false));
  EXPECT_FALSE(object.contains("reason"));
  Connect("other").reset();
  std::optional<std::string> line;
  do {
    line = watch.ReadLine();
  } while (line.has_value() && line->find("went") == std::string::npos);
  EXPECT_THAT(line.value_or(""),
              MatchesRegex("went +other\\[[0-9]+\\]  uid=[0-9]+  done"));
  do {
    line = watch_json.ReadLine();
    if (!line.has_value()) break;
    object = json::parse(*line, nullptr, false);
  } while (object.value("change", "") != "went");
  EXPECT_EQ(object.value("reason", ""), "done");
  EXPECT_EQ(object.value("name", ""), "other");
  watch.Signal(SIGINT);
  EXPECT_EQ(watch.Wait(), 0);
  EXPECT_EQ(watch.err(), "");
}

}  // namespace
}  // namespace ipc::test
