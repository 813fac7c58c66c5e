// SPDX-License-Identifier: Apache-2.0
//
// See event_log.h. Each line is written as one piece, since it comes from the
// client's thread while main writes too.

#include "examples/hostmon/event_log.h"

#include <iostream>

namespace hostmon {

std::string ToLine(const ipc::Event& event) {
  switch (event.kind) {
    case ipc::Event::Kind::kConnected:
      return "connected";
    case ipc::Event::Kind::kDisconnected:
      return "disconnected: " + event.status.ToString();
    case ipc::Event::Kind::kGap:
      return "messages " + std::to_string(event.first) + " to " +
             std::to_string(event.last) + " of " + event.source.topic +
             " are missing";
    case ipc::Event::Kind::kRefused:
      return event.name + " was refused: " + event.status.ToString();
  }
  return "event of an unknown kind";
}

void LogEvent(std::string_view program, const ipc::Event& event) {
  std::cerr << std::string(program) + ": " + ToLine(event) + "\n";
}

}  // namespace hostmon
