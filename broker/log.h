// SPDX-License-Identifier: Apache-2.0
//
// The broker's log: lines on stderr, which the service manager keeps. A line
// that stderr has no room for is dropped and counted: a full or dead log must
// never stop the bus.

#ifndef IPC_BROKER_LOG_H_
#define IPC_BROKER_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ipc::broker {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

// "error", "warning", "info" or "debug".
std::optional<LogLevel> ParseLogLevel(std::string_view name);

class Log {
 public:
  explicit Log(LogLevel level) : level_(level) {}

  void Error(std::string_view text) { Write(LogLevel::kError, text); }
  void Warning(std::string_view text) { Write(LogLevel::kWarning, text); }
  void Info(std::string_view text) { Write(LogLevel::kInfo, text); }
  void Debug(std::string_view text) { Write(LogLevel::kDebug, text); }

 private:
  void Write(LogLevel level, std::string_view text);
  // False if stderr would block.
  bool WriteLine(LogLevel level, std::string_view text);

  LogLevel level_;
  uint64_t dropped_ = 0;
};

}  // namespace ipc::broker

#endif  // IPC_BROKER_LOG_H_
