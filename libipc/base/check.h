// SPDX-License-Identifier: Apache-2.0
//
// IPC_CHECK ends the process when our own code is wrong. It stays on in
// release builds and never guards against anything that a peer controls.

#ifndef IPC_LIBIPC_BASE_CHECK_H_
#define IPC_LIBIPC_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define IPC_CHECK(condition)                                                \
  do {                                                                      \
    if (!(condition)) [[unlikely]] {                                        \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition);                                             \
      std::abort();                                                         \
    }                                                                       \
  } while (false)

#endif  // IPC_LIBIPC_BASE_CHECK_H_
