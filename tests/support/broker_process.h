// SPDX-License-Identifier: Apache-2.0
//
// An ipc-broker of a test's own, in a folder of its own.
//
//   BrokerProcess broker(IPC_BROKER_BINARY);
//   broker.Start();
//   ... clients at broker.socket_path() ...
//   broker.Kill();
//   broker.Start();
//
// A broker that ends without being asked to fails the test; when a test has
// failed, the end of its log is printed.

#ifndef IPC_TESTS_SUPPORT_BROKER_PROCESS_H_
#define IPC_TESTS_SUPPORT_BROKER_PROCESS_H_

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace ipc::test {

// For one thread.
class BrokerProcess {
 public:
  explicit BrokerProcess(std::string binary) : binary_(std::move(binary)) {}
  ~BrokerProcess();
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  // -- Before Start
  void AddArgument(std::string argument);
  void set_descriptors_max(rlim_t count) { descriptors_max_ = count; }
  // Runs as this user, who gets the folder. For root only.
  void set_uid(uid_t uid);

  // Starts it and waits until a client can connect.
  void Start();
  // SIGKILL. The socket's file stays behind.
  void Kill();
  // Asks it to end. Returns the exit code, or minus a signal.
  int Terminate(int signal = SIGTERM);

  pid_t pid() const { return process_ ? process_->pid() : -1; }
  bool Running() { return process_ && process_->Running(); }
  const std::string& socket_path() const { return socket_path_; }
  const TempDir& folder() const { return folder_; }
  // What this one has written to stderr so far.
  std::string log() const { return process_ ? process_->err() : ""; }

  // -- What it uses now
  uint64_t MemoryBytes() const;  // resident
  size_t Descriptors() const;

 private:
  void ExpectRunning();

  std::string binary_;
  TempDir folder_;
  std::string socket_path_ = folder_.File("bus.sock");
  std::vector<std::string> arguments_;
  std::optional<rlim_t> descriptors_max_;
  std::optional<uid_t> uid_;
  std::optional<Process> process_;
};

// Whether somebody listens at the path.
bool Listens(const std::string& socket_path);

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_BROKER_PROCESS_H_
