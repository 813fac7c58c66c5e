// SPDX-License-Identifier: Apache-2.0
//
// Assertions on absl::Status and absl::StatusOr; this release of Abseil has no
// matchers of its own. On failure they print the whole status.

#ifndef IPC_TESTS_SUPPORT_STATUS_TESTING_H_
#define IPC_TESTS_SUPPORT_STATUS_TESTING_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace ipc::test {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

template <typename T>
testing::AssertionResult HasCode(const T& result, absl::StatusCode code) {
  const absl::Status& status = StatusOf(result);
  if (status.code() == code) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << status << ", not " << absl::StatusCodeToString(code);
}

}  // namespace ipc::test

#define EXPECT_CODE(code, expression)                                     \
  EXPECT_TRUE(::ipc::test::HasCode((expression), absl::StatusCode::code)) \
      << #expression
#define ASSERT_CODE(code, expression)                                     \
  ASSERT_TRUE(::ipc::test::HasCode((expression), absl::StatusCode::code)) \
      << #expression
#define EXPECT_OK(expression) EXPECT_CODE(kOk, expression)
#define ASSERT_OK(expression) ASSERT_CODE(kOk, expression)

// ASSERT_OK_AND_ASSIGN(auto client, Client::Connect(options));
#define ASSERT_OK_AND_ASSIGN(target, expression) \
  IPC_ASSERT_OK_AND_ASSIGN_(target, expression, __LINE__)
#define IPC_ASSERT_OK_AND_ASSIGN_(target, expression, line) \
  IPC_ASSERT_OK_AND_ASSIGN_2_(target, expression, line)
#define IPC_ASSERT_OK_AND_ASSIGN_2_(target, expression, line) \
  auto result_##line = (expression);                          \
  ASSERT_OK(result_##line.status()) << #expression;           \
  target = *std::move(result_##line)

#endif  // IPC_TESTS_SUPPORT_STATUS_TESTING_H_
