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

std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  for (std::string next; std::getline(file, next);) {
    if (!next.empty()) line = next;
  }
  return line;
}

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
    std::string file = absl::StrCat(folder, "/", name);
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

std::string Peer::MissingProgram(const std::string& name) {
  return FindProgram(name).empty() ? name + " is not installed" : "";
}

absl::StatusOr<Broker> StartServer(const Work& work,
                                   const ServerOptions& server,
                                   const std::function<bool(Broker&)>& probe) {
  constexpr int kProbeMs = 5;
  ProcessOptions options;
  options.label = server.argv[0];
  options.argv = server.argv;
  options.argv[0] = Peer::FindProgram(server.argv[0]);
  options.stop_signal = server.stop_signal;
  options.control_pipes = false;
  options.log = absl::StrCat(work.folder, "/server.log");
  auto process = Process::Start(options);
  if (!process.ok()) return process.status();
  Broker broker;
  broker.process = *std::move(process);
  const int64_t deadline_ns = MonotonicNs() + kStepNsMax;
  while (!probe(broker)) {
    if (MonotonicNs() > deadline_ns) {
      return absl::DeadlineExceededError("the broker does not answer");
    }
    const std::string end = broker.process.DescribeEnd(kProbeMs);
    if (end.empty()) continue;
    return absl::AbortedError(
        absl::StrCat("the ", end, ": ", LastLine(options.log)));
  }
  return broker;
}

absl::StatusOr<Broker> StartUnixServer(const Work& work,
                                       const ServerOptions& server,
                                       const std::string& path) {
  return StartServer(work, server, [&](Broker& broker) {
    broker.address = path;
    return ConnectUnix(path).ok();
  });
}

}  // namespace ipc::bench
