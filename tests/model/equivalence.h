// SPDX-License-Identifier: Apache-2.0
//
// The real broker and the reference broker side by side: every event goes to
// both, and what clients get to see must be the same. Clients answer JOIN when
// they are told to.

#ifndef IPC_TESTS_MODEL_EQUIVALENCE_H_
#define IPC_TESTS_MODEL_EQUIVALENCE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/model/reference_broker.h"
#include "tests/unit/broker_shell.h"
#include "tests/unit/frame_client.h"

namespace ipc::model {

class Equivalence {
 public:
  explicit Equivalence(size_t clients);

  const ReferenceBroker& reference() const { return reference_; }
  test::FrameClient& client(size_t client) { return *clients_[client].frames; }

  // -- Events. Everything that is refused must be refused by both.

  void Open(size_t client, uint32_t channel, const std::string& topic);
  void Close(size_t client, uint32_t channel);
  void Subscribe(size_t client, uint32_t id, const std::string& pattern,
                 bool reliable);
  void Unsubscribe(size_t client, uint32_t id);
  // The messages leave in reads of `piece` bytes.
  void Publish(size_t client,
               const std::vector<std::pair<uint32_t, std::string>>& messages,
               size_t piece = SIZE_MAX);
  // The oldest JOIN that `client` has got is answered. False if there is none.
  bool AnswerJoin(size_t client);
  // The oldest message is acknowledged. False if there is none.
  bool Consume(size_t client, uint32_t id);

  // -- Comparing

  // What every subscription has got, how many match each channel, and every
  // answer. Sockets that do not take everything are told to.
  void Compare();
  // And what publishers may forget, in the end.
  void CompareAcknowledgements();

 private:
  struct Client {
    std::unique_ptr<test::FrameClient> frames;
    // By topic id and session number: publisher, channel, topic.
    std::map<std::pair<uint32_t, uint32_t>, Message> announced;
    std::map<uint32_t, std::vector<test::Got>> delivered;  // by subscription
    std::vector<wire::Reader> joins;                       // to be answered
    std::map<uint32_t, uint32_t> matches;                  // told, by channel
    std::map<uint32_t, uint64_t> acknowledged;             // told, by channel
    std::map<uint32_t, std::string> open;                  // topic, by channel
    std::map<uint64_t, bool> asked;                        // request: done?
  };

  uint64_t Ask(size_t client, bool done);
  void Collect();
  void Take(size_t client, const test::Got& frame);
  static void TakeDelivered(const test::Got& frame,
                            std::vector<test::Got>* delivered);
  size_t IndexOf(const SessionKey& session) const;
  Message MessageOf(const Client& client, const test::Got& frame) const;

  test::BrokerShell shell_;
  ReferenceBroker reference_;
  std::vector<Client> clients_;
  uint64_t last_request_ = 0;
};

}  // namespace ipc::model

#endif  // IPC_TESTS_MODEL_EQUIVALENCE_H_
