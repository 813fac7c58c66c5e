// SPDX-License-Identifier: Apache-2.0
//
// Starts the programs in helpers/, each of which says what it does in lines on
// stdout.

#ifndef IPC_TESTS_INTEGRATION_HELPER_PROCESS_H_
#define IPC_TESTS_INTEGRATION_HELPER_PROCESS_H_

#include <cstdint>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace ipc::test {

// helpers/bus_subscriber.cc. `policy` is "reliable" or a best effort depth.
inline Process StartSubscriber(const std::string& socket_path,
                               const std::string& pattern,
                               const std::string& policy, int publishers = 1) {
  const std::string program = IPC_TEST_BIN_DIR "/bus_subscriber";
  Process process({.argv = {program, socket_path, pattern, policy,
                            std::to_string(publishers)}});
  EXPECT_EQ(process.ReadLine(), "ready") << process.err();
  return process;
}

// helpers/bus_publisher.cc.
inline Process StartPublisher(const std::string& socket_path, int number,
                              uint64_t count) {
  const std::string program = IPC_TEST_BIN_DIR "/bus_publisher";
  return Process({.argv = {program, socket_path, std::to_string(number),
                           std::to_string(count)}});
}

// What a subscriber says at its end.
struct SubscriberReport {
  uint64_t received = 0;
  uint64_t missing = 0;
  std::string complaint = "no report";
};

// Waits for the end of a bus_subscriber.
inline SubscriberReport ReadReport(Process* subscriber) {
  SubscriberReport report;
  while (auto line = subscriber->ReadLine()) {
    std::istringstream words(*line);
    std::string word;
    words >> word;
    if (word != "end") continue;
    words >> report.received >> report.missing;
    report.complaint.clear();
    std::getline(words >> std::ws, report.complaint);
    break;
  }
  EXPECT_EQ(subscriber->Wait(), 0) << subscriber->err();
  return report;
}

}  // namespace ipc::test

#endif  // IPC_TESTS_INTEGRATION_HELPER_PROCESS_H_
