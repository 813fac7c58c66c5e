// SPDX-License-Identifier: Apache-2.0
//
// What a client of the chaos test writes down: a file that is mapped into
// memory, so that nothing of it is lost when the process is killed, and so
// that the test can read along.
//
// A publisher counts. A subscriber writes one entry for a run of consecutive
// messages and grows it in place, so that millions of messages fit:
//
//   messages  publisher 7, topic 0, sequences 1 to 80123
//   order     publisher 7, numbers 1 to 91422 over all its topics
//   gap       publisher 7, topic 0, sequences 80124 to 80200
//   messages  publisher 7, topic 0, sequences 80201 to ...
//   back      connected at 17 ns, first message at 23 ns
//
// The entries of one publisher and topic are in the order of what happened.

#ifndef IPC_TESTS_SUPPORT_CHAOS_BOOK_H_
#define IPC_TESTS_SUPPORT_CHAOS_BOOK_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>

namespace ipc::test {

inline constexpr uint32_t kChaosTopics = 2;  // load/<publisher>/<0, 1>

struct ChaosEntry {
  enum class Kind : uint32_t { kMessages, kGap, kOrder, kBack };

  Kind kind;
  uint32_t publisher;
  uint32_t topic;
  uint64_t first;
  std::atomic<uint64_t> last;
};

class ChaosBook {
 public:
  // Opens the file, or makes it. What cannot be done ends the process.
  explicit ChaosBook(const std::string& path);
  ~ChaosBook();
  ChaosBook(const ChaosBook&) = delete;
  ChaosBook& operator=(const ChaosBook&) = delete;

  // -- A publisher, around each Publish
  void Begin(uint32_t topic) { ++page_->begun[topic]; }
  void Accept(uint32_t topic) { ++page_->accepted[topic]; }

  // -- A subscriber. Starts a run or grows the one at the end of its stream.
  void OnMessage(uint32_t publisher, uint32_t topic, uint64_t sequence);
  void OnNumber(uint32_t publisher, uint64_t number);
  void OnGap(uint32_t publisher, uint32_t topic, uint64_t first, uint64_t last);
  void OnBack(int64_t connected_ns, int64_t delivered_ns);
  // A payload that is not as it was published, or a refusal.
  void OnFault() { ++page_->faults; }

  // -- The reader
  uint64_t begun(uint32_t topic) const { return page_->begun[topic]; }
  uint64_t accepted(uint32_t topic) const { return page_->accepted[topic]; }
  uint64_t faults() const { return page_->faults; }
  std::span<const ChaosEntry> entries() const;

 private:
  struct Page {
    std::array<std::atomic<uint64_t>, kChaosTopics> begun;
    std::array<std::atomic<uint64_t>, kChaosTopics> accepted;
    std::atomic<uint64_t> faults;
    std::atomic<uint64_t> entries;
    ChaosEntry entry[1];  // the first of many
  };
  using Stream = std::pair<uint32_t, uint32_t>;  // publisher, topic

  ChaosEntry* Add(ChaosEntry::Kind kind, Stream stream, uint64_t first,
                  uint64_t last);
  void Grow(ChaosEntry::Kind kind, Stream stream, uint64_t number);

  Page* page_;
  // The last entry of a stream, if it is one of messages or of order.
  std::map<Stream, ChaosEntry*> runs_;
};

}  // namespace ipc::test

#endif  // IPC_TESTS_SUPPORT_CHAOS_BOOK_H_
