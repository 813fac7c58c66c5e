// SPDX-License-Identifier: Apache-2.0
//
// See chaos_book.h. The file is sparse: only what is written takes room.

#include "tests/support/chaos_book.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ipc::test {
namespace {

constexpr size_t kEntriesMax = size_t{1} << 22;
constexpr size_t kFileBytes = kEntriesMax * sizeof(ChaosEntry) + 4096;
// Where the order over all topics has its run.
constexpr uint32_t kAllTopics = ~0u;

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(3);
}

}  // namespace

ChaosBook::ChaosBook(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, kFileBytes) != 0) Die(path);
  void* memory =
      mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) Die(path);
  close(fd);
  page_ = static_cast<Page*>(memory);
}

ChaosBook::~ChaosBook() { munmap(page_, kFileBytes); }

void ChaosBook::OnMessage(uint32_t publisher, uint32_t topic,
                          uint64_t sequence) {
  Grow(ChaosEntry::Kind::kMessages, {publisher, topic}, sequence);
}

void ChaosBook::OnNumber(uint32_t publisher, uint64_t number) {
  Grow(ChaosEntry::Kind::kOrder, {publisher, kAllTopics}, number);
}

void ChaosBook::OnGap(uint32_t publisher, uint32_t topic, uint64_t first,
                      uint64_t last) {
  Add(ChaosEntry::Kind::kGap, {publisher, topic}, first, last);
  runs_.erase({publisher, topic});
}

void ChaosBook::OnBack(int64_t connected_ns, int64_t delivered_ns) {
  Add(ChaosEntry::Kind::kBack, {}, static_cast<uint64_t>(connected_ns),
      static_cast<uint64_t>(delivered_ns));
}

std::span<const ChaosEntry> ChaosBook::entries() const {
  return {page_->entry, page_->entries};
}

ChaosEntry* ChaosBook::Add(ChaosEntry::Kind kind, Stream stream, uint64_t first,
                           uint64_t last) {
  const uint64_t index = page_->entries;
  if (index == kEntriesMax) Die("the book is full");
  ChaosEntry* entry = page_->entry + index;
  entry->kind = kind;
  entry->publisher = stream.first;
  entry->topic = stream.second;
  entry->first = first;
  entry->last = last;
  ++page_->entries;
  return entry;
}

void ChaosBook::Grow(ChaosEntry::Kind kind, Stream stream, uint64_t number) {
  ChaosEntry*& run = runs_[stream];
  if (run != nullptr && run->last + 1 == number) {
    run->last = number;
  } else {
    run = Add(kind, stream, number, number);
  }
}

}  // namespace ipc::test
