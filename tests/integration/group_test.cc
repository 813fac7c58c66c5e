// SPDX-License-Identifier: Apache-2.0
//
// Groups with real processes: a member of this process, and an ipcctl that is
// stopped with its share and killed.

#include <signal.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/bus.h"
#include "tests/integration/ipcctl.h"

namespace ipc::test {
namespace {

SubscribeOptions Member() {
  SubscribeOptions options = Patient();
  options.policy = Reliable{.group = "workers"};
  return options;
}

class GroupTest : public IpcctlTest {
 protected:
  void SetUp() override {
    IpcctlTest::SetUp();
    reader_ = Connect("reader");
    writer_ = Connect("writer");
    ASSERT_OK_AND_ASSIGN(publisher_, writer_->AdvertiseRaw("jobs/a"));
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(publisher_.Publish(absl::StrCat(++published_)));
    }
  }
  // Every message has come, whatever has come twice.
  static bool HasAll(const Inbox& inbox, int published) {
    const auto has_all = [&] {
      const std::vector<std::string> texts = inbox.Texts();
      const std::set<std::string> different(texts.begin(), texts.end());
      return different.size() == static_cast<size_t>(published);
    };
    return WaitUntil(has_all);
  }

  std::unique_ptr<Client> reader_;
  std::unique_ptr<Client> writer_;
  RawPublisher publisher_;
  int published_ = 0;
};

TEST_F(GroupTest, EachMessageGoesToOneMember) {
  constexpr int kMessages = 10'000;
  std::unique_ptr<Client> other = Connect("other");
  Inbox first;
  Inbox second;
  ASSERT_OK_AND_ASSIGN(
      auto s1, reader_->SubscribeRaw("jobs/*", first.Handler(), Member()));
  ASSERT_OK_AND_ASSIGN(
      auto s2, other->SubscribeRaw("jobs/*", second.Handler(), Member()));
  ASSERT_OK(publisher_.WaitForSubscribers(2, kPatience));
  Publish(kMessages);
  ASSERT_OK(writer_->Flush(kPatience));
  std::set<std::string> all;
  for (const Inbox* inbox : {&first, &second}) {
    const std::vector<std::string> texts = inbox->Texts();
    EXPECT_GT(texts.size(), 0u);
    all.insert(texts.begin(), texts.end());
  }
  EXPECT_EQ(all.size(), size_t{kMessages});
  EXPECT_EQ(first.Texts().size() + second.Texts().size(), size_t{kMessages});
}

TEST_F(GroupTest, AMemberThatIsKilledPassesItsShareOn) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto member, reader_->SubscribeRaw("jobs/*", inbox.Handler(), Member()));
  Process other(Command({"sub", "jobs/*", "--group", "workers"}));
  ASSERT_OK(publisher_.WaitForSubscribers(2, kPatience));
  other.Pause();
  Publish(100);
  EXPECT_CODE(kDeadlineExceeded, writer_->Flush(absl::Milliseconds(50)));
  EXPECT_LT(inbox.Get().size(), 100u);
  other.Signal(SIGKILL);
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_TRUE(HasAll(inbox, published_));
  EXPECT_EQ(inbox.Get().size(), 100u);
}

TEST_F(GroupTest, NothingIsLostWhenTheBrokerAndAMemberAreKilled) {
  Inbox inbox;
  ASSERT_OK_AND_ASSIGN(
      auto member, reader_->SubscribeRaw("jobs/*", inbox.Handler(), Member()));
  Process other(Command({"sub", "jobs/*", "--group", "workers"}));
  ASSERT_OK(publisher_.WaitForSubscribers(2, kPatience));
  other.Pause();
  Publish(100);
  broker_.Kill();
  other.Signal(SIGKILL);
  Publish(100);
  broker_.Start();
  ASSERT_OK(writer_->Flush(kPatience));
  EXPECT_TRUE(HasAll(inbox, published_));
}

TEST_F(GroupTest, ANameThatIsNotAllowedIsRefused) {
  SubscribeOptions options = Member();
  options.policy = Reliable{.group = "a/b"};
  EXPECT_CODE(kInvalidArgument, reader_->SubscribeRaw("jobs/*", options));
}

}  // namespace
}  // namespace ipc::test
