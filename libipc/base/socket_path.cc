// SPDX-License-Identifier: Apache-2.0
//
// Reads the environment.

#include "libipc/base/socket_path.h"

#include <stdlib.h>

namespace ipc {
namespace {

std::string Environment(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string DefaultSocketPathOf() {
  if (std::string path = Environment("IPC_SOCKET"); !path.empty()) return path;
  if (std::string folder = Environment("XDG_RUNTIME_DIR"); !folder.empty()) {
    return folder + "/ipc/bus.sock";
  }
  return "/run/ipc/bus.sock";
}

}  // namespace ipc
