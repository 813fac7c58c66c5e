// SPDX-License-Identifier: Apache-2.0
//
// See stamp.h.

#include "tests/support/stamp.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ipc::test {
namespace {

constexpr size_t kWordBytes = sizeof(uint64_t);

// The word at place `index` behind the stamp.
uint64_t FillWord(const Stamp& stamp, uint64_t index) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  return (stamp.number + index) * kOdd + stamp.publisher;
}

}  // namespace

void MakePayload(const Stamp& stamp, size_t bytes, std::string* payload) {
  payload->resize(std::max(bytes, sizeof(stamp)));
  std::memcpy(payload->data(), &stamp, sizeof(stamp));
  for (size_t at = sizeof(stamp); at < payload->size(); at += kWordBytes) {
    const uint64_t word = FillWord(stamp, at);
    std::memcpy(payload->data() + at, &word,
                std::min(kWordBytes, payload->size() - at));
  }
}

std::optional<Stamp> ReadPayload(std::span<const std::byte> payload) {
  Stamp stamp;
  if (payload.size() < sizeof(stamp)) return std::nullopt;
  std::memcpy(&stamp, payload.data(), sizeof(stamp));
  for (size_t at = sizeof(stamp); at < payload.size(); at += kWordBytes) {
    const uint64_t word = FillWord(stamp, at);
    if (std::memcmp(payload.data() + at, &word,
                    std::min(kWordBytes, payload.size() - at)) != 0) {
      return std::nullopt;
    }
  }
  return stamp;
}

void Ledger::OnPayload(std::span<const std::byte> payload) {
  ++received_;
  std::string complaint;
  const std::optional<Stamp> stamp = ReadPayload(payload);
  if (!stamp) {
    ++damaged_;
    complaint = absl::StrCat("a damaged payload of ", payload.size(), " bytes");
  } else {
    uint64_t& last = last_[stamp->publisher];
    if (stamp->number != last + 1) {
      complaint = absl::StrCat("publisher ", stamp->publisher, ": ",
                               stamp->number, " behind ", last);
    }
    if (stamp->number <= last) {
      ++disordered_;
    } else {
      lost_ += stamp->number - last - 1;
      last = stamp->number;
      if (stamp->last == 1) ++ended_;
    }
  }
  if (first_.empty()) first_ = complaint;
}

std::string Ledger::Complaint() const {
  std::string complaint;
  if (!Done()) {
    complaint = absl::StrCat("only ", ended_, " of ", publishers_,
                             " publishers came to their end; ");
    for (const auto& [publisher, number] : last_) {
      absl::StrAppend(&complaint, publisher, " is at ", number, "; ");
    }
  }
  if (lost_ + disordered_ + damaged_ > 0) {
    absl::StrAppend(&complaint, "of ", received_, " messages lost ", lost_,
                    ", twice or disordered ", disordered_, ", damaged ",
                    damaged_, "; first: ", first_);
  }
  return complaint;
}

}  // namespace ipc::test
