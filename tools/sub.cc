// SPDX-License-Identifier: Apache-2.0
//
// ipcctl sub: shows what crosses the bus. Best effort, so that watching slows
// nobody down; what it was too slow for is shown as missing, in its place. With
// --group it takes part as any other member does.
//
// One thread shows everything: messages it takes from the subscription, gaps
// and the state of the connection it takes from Events. Output is gathered
// while messages wait and flushed as soon as none does. A signal is noticed
// between messages and between the slices of waiting for one.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/message.h"
#include "ipc/options.h"
#include "ipc/subscription.h"
#include "tools/arguments.h"
#include "tools/colour.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/content.h"
#include "tools/events.h"
#include "tools/form.h"
#include "tools/gaps.h"
#include "tools/human.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/raw.h"
#include "tools/stop.h"

namespace ipc::tools {
namespace {

constexpr absl::Duration kSlice = absl::Milliseconds(100);
constexpr absl::Duration kConfirmTimeout = absl::Seconds(5);

constexpr char kDescription[] =
    "Show the messages on all topics that match a pattern";

constexpr char kFooter[] =
    "Shows topic, publisher (pid and uid as the kernel knows them), sequence\n"
    "number, latency, size and content: JSON if the publisher shares its\n"
    "descriptors, else text, or the first bytes in hexadecimal. Slows nobody\n"
    "down: what it is too slow for is shown as missing.\n"
    "\n"
    "Examples:\n"
    "  ipcctl sub 'sensors/*'                        one segment\n"
    "  ipcctl sub '**'                               everything\n"
    "  ipcctl sub 'sensors/**' --json | jq .message\n"
    "  ipcctl sub camera/front --raw --count 1 > frame.bin\n"
    "  ipcctl sub --wait 'boot/**'                   before the broker starts\n"
    "\n"
    "Goes on over restarts of the broker, which are told on stderr. Ctrl-C\n"
    "ends it with exit code 0.";

struct SubOptions {
  std::string pattern;
  uint64_t count = 0;  // 0: without end
  std::string group;   // empty: none
  bool json = false;
  bool raw = false;
  bool latest = false;
  bool wait = false;
};

std::unique_ptr<MessageForm> MakeForm(const SubOptions& options) {
  if (options.raw) return std::make_unique<RawForm>();
  if (options.json) return std::make_unique<JsonForm>();
  return std::make_unique<HumanForm>(UseColour());
}

// One run of the command.
class Sub {
 public:
  Sub(const SubOptions& options, const Globals& globals)
      : options_(options),
        globals_(globals),
        output_(STDOUT_FILENO, &stop_),
        form_(MakeForm(options)) {}

  absl::Status Run();

 private:
  absl::Status Start();
  absl::Status Subscribe();
  absl::Status Watch();
  bool Done();
  void Show(const Message& message);
  void ShowGap(const Gap& gap);
  void Idle();
  void TellNotices();

  const SubOptions& options_;
  const Globals& globals_;
  Stop stop_;      // before the client's thread starts
  Events events_;  // outlives the client
  Output output_;
  std::unique_ptr<MessageForm> form_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<ContentReader> reader_;
  RawSubscription subscription_;
  uint64_t shown_ = 0;
};

absl::Status Sub::Run() {
  absl::Status status = Start();
  if (status.ok()) status = Watch();
  absl::Status written = output_.Finish();
  if (!written.ok()) return written;
  // Ctrl-C while it waited for the broker.
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

absl::Status Sub::Start() {
  absl::StatusOr<std::unique_ptr<Client>> client =
      options_.wait ? ConnectWaiting(globals_, &events_, &stop_)
                    : Connect(globals_, &events_);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  reader_ = std::make_unique<ContentReader>(client_.get());
  absl::Status status = Subscribe();
  // With --wait, a broker that goes away just now is waited for again.
  while (options_.wait && absl::IsDeadlineExceeded(status)) {
    absl::Status waited = WaitForBroker(globals_, *client_, &events_, &stop_);
    if (!waited.ok()) return waited;
    if (stop_.Requested()) return absl::CancelledError("interrupted");
    status = Subscribe();
  }
  return status;
}

absl::Status Sub::Subscribe() {
  SubscribeOptions options;
  if (options_.latest) {
    options.policy = Latest{};
  } else if (!options_.group.empty()) {
    options.policy = Reliable{.group = options_.group};
  } else {
    options.policy = BestEffort{};
  }
  options.confirm_timeout = kConfirmTimeout;
  absl::StatusOr<RawSubscription> subscription =
      client_->SubscribeRaw(options_.pattern, options);
  if (!subscription.ok()) return subscription.status();
  subscription_ = *std::move(subscription);
  return absl::OkStatus();
}

absl::Status Sub::Watch() {
  absl::Duration wait = kSlice;
  while (!Done()) {
    absl::StatusOr<Message> message = subscription_.Next(wait);
    if (message.ok()) {
      Show(*message);
      wait = absl::ZeroDuration();
      continue;
    }
    if (!absl::IsDeadlineExceeded(message.status())) return message.status();
    if (wait == absl::ZeroDuration()) {
      output_.Flush();
    } else {
      Idle();
    }
    wait = kSlice;
  }
  return absl::OkStatus();
}

bool Sub::Done() {
  if (options_.count > 0 && shown_ >= options_.count) return true;
  return output_.closed() || stop_.Requested();
}

void Sub::Show(const Message& message) {
  const absl::Duration latency = message.Age();
  for (const Gap& gap : events_.TakeGapsBefore(message)) ShowGap(gap);
  TellNotices();
  Content content;
  if (form_->WantsContent()) content = reader_->Read(message);
  output_.Write(form_->ShowMessage({message, latency, std::move(content)}));
  ++shown_;
}

void Sub::ShowGap(const Gap& gap) {
  const std::string shown = form_->ShowGap(gap);
  if (shown.empty()) {
    Complain(DescribeGap(gap));
  } else {
    output_.Write(shown);
  }
}

// No message has come for a slice: so nothing can come before a gap that was
// told.
void Sub::Idle() {
  for (const Gap& gap : events_.TakeGaps()) ShowGap(gap);
  TellNotices();
  output_.Flush();
  output_.CheckReader();
}

// What was shown before comes first, also where both are one terminal.
void Sub::TellNotices() {
  const std::vector<std::string> notices = events_.TakeNotices();
  if (notices.empty()) return;
  output_.Flush();
  for (const std::string& notice : notices) Complain(notice);
}

void CheckForm(const SubOptions& options) {
  if (!options.raw || isatty(STDOUT_FILENO) == 0) return;
  throw CLI::ValidationError(
      "--raw", "payloads go to a file or a pipe, not to a terminal");
}

}  // namespace

Command MakeSub(CLI::App* app) {
  auto options = std::make_shared<SubOptions>();
  CLI::App* command = app->add_subcommand("sub", kDescription);
  AddPattern(command, &options->pattern);
  AddCount(command, &options->count,
           "end after N messages; default 0: until Ctrl-C");
  CLI::Option* json =
      command->add_flag("--json", options->json, "one JSON object a line");
  command
      ->add_flag("--raw", options->raw,
                 "the payloads' bytes and nothing else, one\n"
                 "after the other; not to a terminal")
      ->excludes(json);
  command->add_flag("--latest", options->latest,
                    "of what it is too slow for, only the newest of each\n"
                    "publisher and topic");
  command->add_flag("--wait", options->wait,
                    "wait for the broker, without a limit");
  command
      ->add_option("--group", options->group,
                   "take part in a group: reliable, and what comes\n"
                   "here goes to no other member")
      ->option_text("NAME");
  command->footer(kFooter);
  command->callback([options] { CheckForm(*options); });
  return {command, [options](const Globals& globals) {
            return Sub(*options, globals).Run();
          }};
}

}  // namespace ipc::tools
