// SPDX-License-Identifier: Apache-2.0
//
// A subscriber that a test can stop, continue and kill: it keeps the books on
// what it gets (tests/support/stamp.h) and on the gaps it is told.
//
//   bus_subscriber SOCKET PATTERN (reliable | stalls | DEPTH) PUBLISHERS
//
// DEPTH is that of a best effort subscription. Writes lines to stdout:
//
//   ready                     it is subscribed
//   first                     the first message has come
//   end RECEIVED MISSING ...  the last message of every publisher has come;
//                             MISSING were told as gaps; then what is wrong,
//                             nothing if all is well

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "ipc/client.h"
#include "tests/support/deadline.h"
#include "tests/support/stamp.h"

namespace ipc::test {
namespace {

void Say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Whether gaps name exactly what is missing: every sequence number of a stream
// is either that of a message or in a gap told before the next message.
class GapBooks {
 public:
  void OnGap(const Event& event) {
    missing_ += event.last - event.first + 1;
    Expect({event.source.publisher.session, event.source.topic}, event.first,
           event.last);
  }
  void OnMessage(const Message& message) {
    Expect({message.publisher().session, std::string(message.topic())},
           message.sequence(), message.sequence());
  }
  uint64_t missing() const { return missing_; }
  const std::string& complaint() const { return complaint_; }

 private:
  using Stream = std::pair<std::string, std::string>;

  void Expect(const Stream& stream, uint64_t first, uint64_t last) {
    uint64_t& done = done_[stream];
    if (first != done + 1 && complaint_.empty()) {
      complaint_ = absl::StrCat(stream.second, ": ", first, " to ", last,
                                " behind ", done);
    }
    done = last;
  }

  std::map<Stream, uint64_t> done_;
  uint64_t missing_ = 0;
  std::string complaint_;
};

struct Arguments {
  std::string socket_path;
  std::string pattern;
  SubscribeOptions options;
  bool may_lose = true;
  size_t publishers = 0;
};

bool Parse(int argc, char** argv, Arguments* arguments) {
  if (argc != 5) return false;
  arguments->socket_path = argv[1];
  arguments->pattern = argv[2];
  BestEffort best_effort;
  const std::string policy = argv[3];
  arguments->may_lose = policy != "reliable";
  if (policy != "reliable" && policy != "stalls") {
    if (!absl::SimpleAtoi(argv[3], &best_effort.depth)) return false;
    arguments->options.policy = best_effort;
  }
  arguments->options.confirm_timeout = kPatience;
  return absl::SimpleAtoi(argv[4], &arguments->publishers);
}

// Holes that gaps have named are no fault of a subscription that may lose.
std::string Complaint(const Arguments& arguments, const Ledger& ledger,
                      const GapBooks& gaps) {
  if (!gaps.complaint().empty()) return gaps.complaint();
  if (!arguments.may_lose) return ledger.Complaint();
  if (ledger.disordered() + ledger.damaged() > 0) return ledger.Complaint();
  return "";
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) return 2;
  Ledger ledger(arguments.publishers);
  GapBooks gaps;
  Shared<bool> ended;
  ClientOptions options;
  options.name = "bus_subscriber";
  options.socket_path = arguments.socket_path;
  options.connect_timeout = kPatience;
  options.on_event = [&gaps](const Event& event) {
    if (event.kind == Event::Kind::kGap) gaps.OnGap(event);
  };
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(std::move(options));
  if (!client.ok()) return 1;
  const auto on_message = [&](const Message& message) {
    if (ledger.received() == 0) Say("first");
    const bool was_done = ledger.Done();
    gaps.OnMessage(message);
    ledger.OnPayload(message.payload());
    if (ledger.Done() && !was_done) {
      ended.Update([](bool& value) { value = true; });
    }
  };
  absl::StatusOr<RawSubscription> subscription =
      (*client)->SubscribeRaw(arguments.pattern, on_message, arguments.options);
  if (!subscription.ok()) return 1;
  Say("ready");
  while (!ended.WaitUntil([](bool value) { return value; })) {
  }
  *subscription = RawSubscription();
  Say(absl::StrCat("end ", ledger.received(), " ", gaps.missing(), " ",
                   Complaint(arguments, ledger, gaps)));
  return 0;
}

}  // namespace
}  // namespace ipc::test

int main(int argc, char** argv) { return ipc::test::Main(argc, argv); }
