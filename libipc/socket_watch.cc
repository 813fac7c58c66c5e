// SPDX-License-Identifier: Apache-2.0
//
// inotify on the folder of the socket.

#include "libipc/socket_watch.h"

#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace ipc {

SocketWatch::SocketWatch(const std::string& socket_path)
    : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  size_t slash = socket_path.rfind('/');
  folder_ = slash == std::string::npos ? "."
            : slash == 0               ? "/"
                                       : socket_path.substr(0, slash);
  name_ =
      slash == std::string::npos ? socket_path : socket_path.substr(slash + 1);
}

void SocketWatch::Watch() {
  if (watching_ || !fd_.valid()) return;
  watching_ =
      inotify_add_watch(fd_.get(), folder_.c_str(),
                        IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR) >= 0;
}

bool SocketWatch::TakeEvents() {
  bool ours = false;
  alignas(inotify_event)
      std::array<char, 16 * (sizeof(inotify_event) + NAME_MAX + 1)>
          buffer;
  ssize_t bytes;
  while ((bytes = read(fd_.get(), buffer.data(), buffer.size())) > 0) {
    for (size_t at = 0; at < static_cast<size_t>(bytes);) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof(event));
      const char* name = buffer.data() + at + sizeof(event);
      if (event.len > 0 && name_ == name) ours = true;
      if ((event.mask & IN_IGNORED) != 0) watching_ = false;  // folder is gone
      at += sizeof(event) + event.len;
    }
  }
  return ours;
}

}  // namespace ipc
