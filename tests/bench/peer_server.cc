// SPDX-License-Identifier: Apache-2.0
//
// Finding, starting and awaiting the peers' servers.

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/clock.h"
#include "tests/bench/peer.h"
#include "tests/bench/socket.h"

namespace ipc::bench {
namespace {

class Absent : public Contestant {
 public:
  Absent(const std::string& name, const std::string& reason)
      : name_(name), reason_(reason) {}

  std::string name() const override { return name_; }
  std::string Missing() const override { return reason_; }
  absl::StatusOr<Broker> StartBroker(const Work&) const override {
    return None();
  }
  absl::Status RunPublisher(const Work&, Control&) const override {
    return None();
  }
  absl::Status RunSubscriber(const Work&, Control&) const override {
    return None();
  }
  absl::Status RunPinger(const Work&, Control&) const override {
    return None();
  }
  absl::Status RunEcho(const Work&, Control&) const override { return None(); }
  absl::Status RunLoadPublisher(const Work&, Control&) const override {
    return None();
  }
  absl::Status RunLoadSubscriber(const Work&, Control&) const override {
    return None();
  }

 private:
  absl::Status None() const { return absl::UnimplementedError(reason_); }

  const std::string name_;
  const std::string reason_;
};

}  // namespace

std::unique_ptr<Contestant> MakeMissing(const std::string& name,
                                        const std::string& reason) {
  return std::make_unique<Absent>(name, reason);
}

std::string Peer::FindProgram(const std::string& name) {
  const char* path = getenv("PATH");
  const std::string folders =
      absl::StrCat(path == nullptr ? "" : path, ":/usr/local/sbin:/usr/sbin");
  for (const std::string& folder :
       std::vector<std::string>(absl::StrSplit(folders, ':'))) {
    const std::string file = absl::StrCat(folder, "/", name);
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::string Peer::MissingProgram(const std::string& name) {
  return FindProgram(name).empty() ? name + " is not installed" : "";
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? absl::OkStatus() : ErrnoStatus(path);
}

absl::StatusOr<Process> StartServer(std::vector<std::string> argv) {
  ProcessOptions options;
  options.label = argv[0];
  argv[0] = Peer::FindProgram(argv[0]);
  options.argv = std::move(argv);
  options.control_pipes = false;
  options.quiet = true;
  return Process::Start(options);
}

absl::Status AwaitServer(const Process& process,
                         const std::function<bool()>& probe) {
  constexpr int kProbeMs = 5;
  const int64_t deadline_ns = MonotonicNs() + kStepNsMax;
  while (!probe()) {
    if (MonotonicNs() > deadline_ns) {
      return absl::DeadlineExceededError("the broker does not answer");
    }
    const std::string end = process.DescribeEnd(kProbeMs);
    if (!end.empty()) return absl::AbortedError("the " + end);
  }
  return absl::OkStatus();
}

absl::StatusOr<Broker> StartUnixServer(std::vector<std::string> argv,
                                       const std::string& path) {
  auto process = StartServer(std::move(argv));
  if (!process.ok()) return process.status();
  Broker broker;
  broker.process = *std::move(process);
  broker.address = path;
  auto status =
      AwaitServer(broker.process, [&] { return ConnectUnix(path).ok(); });
  if (!status.ok()) return status;
  return broker;
}

}  // namespace ipc::bench
