// SPDX-License-Identifier: Apache-2.0
//
// ipcctl pub: publishes bytes on a topic and waits until they are acknowledged,
// so that its exit code tells whether they arrived.
//
//   open the source, connect, advertise, read  ->  publish N times  ->  flush
//   and with --retain  ->  stay, because the publisher holds the last value
//
// The library's calls that wait are made in slices, between which a signal is
// heard. A signal ends the publishing; what was accepted is still flushed.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ipc/client.h"
#include "ipc/publisher.h"
#include "tools/arguments.h"
#include "tools/command.h"
#include "tools/connect.h"
#include "tools/events.h"
#include "tools/output.h"
#include "tools/payload.h"
#include "tools/stop.h"

namespace ipc::tools {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr absl::Duration kSlice = absl::Milliseconds(100);

// The library's default limit, for a broker that does not name its own.
constexpr uint64_t kPayloadBytesMax = uint64_t{16} << 20;

constexpr char kDescription[] = "Publish a payload on a topic";

constexpr char kFooter[] =
    "The payload is taken as it is; give exactly one of --raw, --file and -.\n"
    "Then waits until it is acknowledged: consumed by every reliable\n"
    "subscription that matched it; at once if there is none.\n"
    "\n"
    "Examples:\n"
    "  ipcctl pub test/hello --raw 'hi there'\n"
    "  ipcctl pub config/blob --file blob.bin\n"
    "  date | ipcctl pub test/clock -\n"
    "  ipcctl pub test/load --raw x --count 0 --rate 1000   until Ctrl-C\n"
    "  ipcctl pub --wait boot/done --raw yes --timeout 60\n"
    "  ipcctl pub --retain config/mode --raw day            until Ctrl-C\n"
    "\n"
    "Ctrl-C ends it after what was published is acknowledged; a second one at\n"
    "once. With --retain it stays when all is published, because the value is\n"
    "gone with its publisher; Ctrl-C then is a success. Exit code 1 if fewer\n"
    "than N messages were published (N > 0) or acknowledged.";

struct PubOptions {
  std::string topic;
  std::optional<std::string> raw;
  std::optional<std::string> file;
  bool from_stdin = false;
  uint64_t count = 1;  // 0: without end
  double rate = 0;     // per second; 0: as fast as the bus takes them
  absl::Duration timeout = absl::Seconds(10);
  bool wait = false;
  bool retain = false;
};

absl::Duration Since(SteadyClock::time_point start) {
  return absl::FromChrono(SteadyClock::now() - start);
}

// One run of the command.
class Pub {
 public:
  Pub(const PubOptions& options, const Globals& globals)
      : options_(options), globals_(globals) {}

  absl::Status Run();

 private:
  absl::Status Prepare();
  absl::Status Advertise();
  absl::Status ReadPayload(PayloadSource* source);
  absl::Status PublishAll();
  absl::Status PublishOne();
  absl::Status Interrupted() const;
  absl::Status Flush();
  void Stay();
  // Repeats `call(slice)` while it returns kDeadlineExceeded and time is left.
  template <typename Call>
  absl::Status InSlices(const Call& call, bool stoppable);
  bool Paced() const { return options_.rate > 0; }
  bool Endless() const { return options_.count == 0; }

  const PubOptions& options_;
  const Globals& globals_;
  Stop stop_;      // before the client's thread starts
  Events events_;  // outlives the client
  std::unique_ptr<Client> client_;
  RawPublisher publisher_;
  std::string payload_;
  uint64_t published_ = 0;
};

absl::Status Pub::Run() {
  absl::Status status = Prepare();
  if (!status.ok()) return status;
  status = PublishAll();
  // What was accepted is not given up because a later one was not.
  absl::Status flushed = Flush();
  if (options_.retain && status.ok() && flushed.ok()) Stay();
  ShowNotices(&events_);
  if (!status.ok()) return status;
  if (!flushed.ok()) return flushed;
  return events_.refusal();
}

// Opens the source first: a wrong path is found without a broker. Reads it
// last: a broker that is absent is told before anyone types a message.
absl::Status Pub::Prepare() {
  std::optional<PayloadSource> source;
  if (options_.file.has_value()) {
    absl::StatusOr<PayloadSource> opened = PayloadSource::Open(*options_.file);
    if (!opened.ok()) return opened.status();
    source.emplace(*std::move(opened));
  } else if (options_.from_stdin) {
    source.emplace(PayloadSource::Stdin());
  }
  absl::Status status = Advertise();
  if (status.ok()) status = ReadPayload(source ? &*source : nullptr);
  return status;
}

absl::Status Pub::Advertise() {
  absl::StatusOr<std::unique_ptr<Client>> client =
      options_.wait ? ConnectWaiting(globals_, &events_, &stop_)
                    : Connect(globals_, &events_);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  absl::StatusOr<RawPublisher> publisher =
      client_->AdvertiseRaw(options_.topic, {.retain_last = options_.retain});
  if (!publisher.ok()) return publisher.status();
  publisher_ = *std::move(publisher);
  return absl::OkStatus();
}

absl::Status Pub::ReadPayload(PayloadSource* source) {
  if (source == nullptr) {
    payload_ = options_.raw.value_or("");
    return absl::OkStatus();
  }
  const absl::StatusOr<BrokerInfo> broker = client_->broker();
  const uint64_t limit = broker.ok() ? broker->message_bytes_max : 0;
  absl::StatusOr<std::string> read =
      source->Read(std::max(limit, kPayloadBytesMax), &stop_);
  if (!read.ok()) return read.status();
  payload_ = *std::move(read);
  return absl::OkStatus();
}

// Message k is due at start + k / rate, whenever those before it came through:
// delays are caught up with and do not add up.
absl::Status Pub::PublishAll() {
  const SteadyClock::time_point start = SteadyClock::now();
  while (Endless() || published_ < options_.count) {
    if (Paced()) {
      const double due = static_cast<double>(published_) / options_.rate;
      stop_.SleepFor(absl::Seconds(due) - Since(start));
    }
    if (stop_.Requested()) return Interrupted();
    absl::Status status = PublishOne();
    if (absl::IsCancelled(status)) return Interrupted();
    if (!status.ok()) return status;
    ShowNotices(&events_);
    ++published_;
  }
  return absl::OkStatus();
}

absl::Status Pub::Interrupted() const {
  if (Endless()) return absl::OkStatus();
  return absl::CancelledError(absl::StrFormat(
      "interrupted after %d of %d messages", published_, options_.count));
}

absl::Status Pub::PublishOne() {
  const auto payload = std::as_bytes(std::span<const char>(payload_));
  absl::Status status = InSlices(
      [&](absl::Duration slice) { return publisher_.Publish(payload, slice); },
      /*stoppable=*/true);
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::DeadlineExceededError(absl::StrFormat(
      "message %d was not accepted within %s: %s; a subscriber is slow or the "
      "broker away, see 'ipcctl clients'",
      published_ + 1, absl::FormatDuration(options_.timeout),
      StatusText(status)));
}

absl::Status Pub::Flush() {
  if (published_ == 0) return absl::OkStatus();
  absl::Status status =
      InSlices([&](absl::Duration slice) { return client_->Flush(slice); },
               /*stoppable=*/false);
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::DeadlineExceededError(absl::StrFormat(
      "published, but not all acknowledged within %s: a subscriber has not "
      "consumed it yet or the broker is away, see 'ipcctl clients'",
      absl::FormatDuration(options_.timeout)));
}

// The broker may come and go meanwhile; the client tells the next one.
void Pub::Stay() {
  while (!stop_.Requested()) {
    ShowNotices(&events_);
    stop_.SleepFor(kSlice);
  }
}

template <typename Call>
absl::Status Pub::InSlices(const Call& call, bool stoppable) {
  const SteadyClock::time_point start = SteadyClock::now();
  while (true) {
    const absl::Duration left = options_.timeout - Since(start);
    absl::Status status = call(std::clamp(left, absl::ZeroDuration(), kSlice));
    if (!absl::IsDeadlineExceeded(status) || left <= kSlice) return status;
    // Also notices a first signal while it waits, so that a second one works.
    if (stop_.Requested() && stoppable) {
      return absl::CancelledError("interrupted");
    }
    ShowNotices(&events_);
  }
}

void CheckSource(const PubOptions& options) {
  const int given = static_cast<int>(options.raw.has_value()) +
                    static_cast<int>(options.file.has_value()) +
                    static_cast<int>(options.from_stdin);
  if (given == 1) return;
  throw CLI::ValidationError("give exactly one of --raw, --file and -");
}

void AddSource(CLI::App* command, PubOptions* options) {
  command->add_option("--raw", options->raw, "publish these bytes")
      ->option_text("STRING");
  command->add_option("--file", options->file, "publish what is in the file F")
      ->option_text("F");
  const auto set_stdin = [options](const std::string& text) {
    if (text != "-") {
      throw CLI::ValidationError(
          absl::StrFormat("'%s' is not expected here; payloads are "
                          "given by --raw, --file or -",
                          text));
    }
    options->from_stdin = true;
  };
  command
      ->add_option_function<std::string>("SOURCE", set_stdin,
                                         "publish all of stdin, as one message")
      ->option_text("-");
}

}  // namespace

Command MakePub(CLI::App* app) {
  auto options = std::make_shared<PubOptions>();
  CLI::App* command = app->add_subcommand("pub", kDescription);
  AddTopic(command, &options->topic);
  AddSource(command, options.get());
  AddCount(command, &options->count,
           "how often to publish it; 0: until Ctrl-C; default 1");
  AddRate(command, &options->rate,
          "messages a second, on a schedule that does\n"
          "not drift; default: as fast as they go");
  AddSeconds(command, "--timeout", absl::ZeroDuration(), &options->timeout,
             "how long to wait for room in the window and\n"
             "for the acknowledgement; default 10");
  command->add_flag("--wait", options->wait,
                    "wait for the broker, without a limit");
  command->add_flag("--retain", options->retain,
                    "hand the last message to new subscriptions first,\n"
                    "and stay for that until Ctrl-C");
  command->footer(kFooter);
  command->callback([options] { CheckSource(*options); });
  return {command, [options](const Globals& globals) {
            return Pub(*options, globals).Run();
          }};
}

}  // namespace ipc::tools
