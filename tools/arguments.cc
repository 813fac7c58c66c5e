// SPDX-License-Identifier: Apache-2.0
//
// See arguments.h. CLI11 reports errors by exceptions; they end in main.cc.

#include "tools/arguments.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "ipc/topic.h"
#include "tools/output.h"

namespace ipc::tools {
namespace {

[[noreturn]] void Refuse(const std::string& name, const std::string& text,
                         const std::string& wanted) {
  throw CLI::ValidationError(name,
                             absl::StrFormat("'%s' is not %s", text, wanted));
}

using NameCheck = absl::Status (*)(std::string_view);

void AddName(CLI::App* app, const std::string& name, NameCheck check,
             std::string* target, const std::string& help) {
  const auto store = [name, check, target](const std::string& text) {
    const absl::Status status = check(text);
    if (!status.ok()) throw CLI::ValidationError(name, StatusText(status));
    *target = text;
  };
  app->add_option_function<std::string>(name, store, help)
      ->type_name("")
      ->required();
}

// A number as people write it, and no more: digits, one sign, one dot.
double ParseNumber(const std::string& name, const std::string& text) {
  double value = 0;
  const bool plain = text.find_first_not_of("0123456789+-.") == text.npos;
  if (!plain || !absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
    Refuse(name, text, "a decimal number");
  }
  return value;
}

}  // namespace

void AddTopic(CLI::App* app, std::string* target) {
  AddName(app, "TOPIC", CheckTopic, target, "topic, such as sensors/imu/raw");
}

void AddPattern(CLI::App* app, std::string* target) {
  AddName(app, "PATTERN", CheckPattern, target,
          "topic, in which * stands for one segment\n"
          "and ** for any number; quote it");
}

void AddCount(CLI::App* app, uint64_t* target, const std::string& help) {
  const auto store = [target](const std::string& text) {
    const bool digits = text.find_first_not_of("0123456789") == text.npos;
    if (!digits || !absl::SimpleAtoi(text, target)) {
      Refuse("--count", text, "a whole number of 0 or more");
    }
  };
  app->add_option_function<std::string>("--count", store, help)
      ->option_text("N");
}

void AddSeconds(CLI::App* app, const std::string& name, absl::Duration min,
                absl::Duration* target, const std::string& help) {
  const auto store = [name, min, target](const std::string& text) {
    const absl::Duration value = absl::Seconds(ParseNumber(name, text));
    if (value < min) {
      Refuse(name, text,
             absl::StrFormat("a number of seconds of %g or more",
                             absl::ToDoubleSeconds(min)));
    }
    *target = value;
  };
  app->add_option_function<std::string>(name, store, help)
      ->option_text("SECONDS");
}

void AddRate(CLI::App* app, double* target, const std::string& help) {
  const auto store = [target](const std::string& text) {
    const double value = ParseNumber("--rate", text);
    if (value <= 0) Refuse("--rate", text, "a number greater than 0");
    *target = value;
  };
  app->add_option_function<std::string>("--rate", store, help)
      ->option_text("HZ");
}

}  // namespace ipc::tools
