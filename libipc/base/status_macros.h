// SPDX-License-Identifier: Apache-2.0
//
// Early return on a failed absl::Status or absl::StatusOr.

#ifndef IPC_LIBIPC_BASE_STATUS_MACROS_H_
#define IPC_LIBIPC_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define IPC_RETURN_IF_ERROR(expression)                               \
  do {                                                                \
    if (absl::Status ipc_status_ = (expression); !ipc_status_.ok()) { \
      return ipc_status_;                                             \
    }                                                                 \
  } while (false)

#define IPC_CONCAT_INNER_(a, b) a##b
#define IPC_CONCAT_(a, b) IPC_CONCAT_INNER_(a, b)

#define IPC_ASSIGN_OR_RETURN(left, expression) \
  IPC_ASSIGN_OR_RETURN_(IPC_CONCAT_(ipc_statusor_, __LINE__), left, expression)

#define IPC_ASSIGN_OR_RETURN_(statusor, left, expression)  \
  auto statusor = (expression);                            \
  if (!statusor.ok()) return std::move(statusor).status(); \
  left = *std::move(statusor)

#endif  // IPC_LIBIPC_BASE_STATUS_MACROS_H_
