// SPDX-License-Identifier: Apache-2.0
//
// The contestant `zeromq`: libzmq's XSUB/XPUB proxy as the broker, over ipc://.
//
//   XPUB --> zeromq.in  XSUB | proxy | XPUB  zeromq.out --> SUB
//
// A message is one frame, "<topic><payload>", as two would cost twice.
// ZMQ_XPUB_NODROP makes a publisher, and the proxy, wait where they would drop
// at the high-water mark; so no window is needed. The mark itself is some MiB:
// the default of 1000 small messages stops the publisher too often.
//
// ZeroMQ confirms no subscription. The proxy wants everything from publishers,
// and a publisher waits until it is told so. A subscriber, which subscribes to
// a name of its own behind the topic, publishes to that until it hears itself:
// then the proxy knows both.

#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "tests/bench/peer.h"
#include "tests/bench/role.h"

namespace ipc::bench {
namespace {

constexpr uint64_t kQueueBytes = 8 << 20;  // of one socket and peer

absl::Status ZmqStatus(const std::string& what) {
  return absl::InternalError(
      absl::StrCat(what, ": ", zmq_strerror(zmq_errno())));
}

absl::Status Send(void* socket, const std::string& topic,
                  std::span<const std::byte> payload) {
  zmq_msg_t message;
  if (zmq_msg_init_size(&message, topic.size() + payload.size()) != 0) {
    return ZmqStatus("zmq_msg_init_size");
  }
  char* data = static_cast<char*>(zmq_msg_data(&message));
  std::copy(topic.begin(), topic.end(), data);
  std::memcpy(data + topic.size(), payload.data(), payload.size());
  while (zmq_msg_send(&message, socket, 0) < 0) {
    if (errno != EINTR) return ZmqStatus("zmq_msg_send");
  }
  return absl::OkStatus();
}

void SetOption(void* socket, int option, int value) {
  (void)zmq_setsockopt(socket, option, &value, sizeof(value));
}

// A socket of this type with the options of all.
void* MakeSocket(void* context, int type, uint64_t payload_bytes) {
  constexpr uint64_t kMessagesMin = 16;
  constexpr uint64_t kMessagesMax = 100'000;
  constexpr int kKernelBytes = 1 << 20;
  void* socket = zmq_socket(context, type);
  const int mark = static_cast<int>(
      std::clamp(kQueueBytes / payload_bytes, kMessagesMin, kMessagesMax));
  SetOption(socket, ZMQ_SNDHWM, mark);
  SetOption(socket, ZMQ_RCVHWM, mark);
  SetOption(socket, ZMQ_SNDBUF, kKernelBytes);
  SetOption(socket, ZMQ_LINGER, 0);
  if (type == ZMQ_XPUB) SetOption(socket, ZMQ_XPUB_NODROP, 1);
  return socket;
}

std::string InAddress(const std::string& address) {
  return absl::StrCat("ipc://", address, ".in");
}
std::string OutAddress(const std::string& address) {
  return absl::StrCat("ipc://", address, ".out");
}

class ZeroMqClient : public PeerClient {
 public:
  explicit ZeroMqClient(const Work& work)
      : work_(work), context_(zmq_ctx_new()) {}
  ~ZeroMqClient() override {
    if (publisher_ != nullptr) zmq_close(publisher_);
    if (subscriber_ != nullptr) zmq_close(subscriber_);
    zmq_ctx_term(context_);
  }

  absl::Status OpenPublisher() {
    publisher_ = MakeSocket(context_, ZMQ_XPUB, work_.payload_bytes);
    if (zmq_connect(publisher_, InAddress(work_.address).c_str()) != 0) {
      return ZmqStatus("zmq_connect");
    }
    char told;  // the proxy wants everything: "\1"
    return zmq_recv(publisher_, &told, 1, 0) == 1 ? absl::OkStatus()
                                                  : ZmqStatus("zmq_recv");
  }

  absl::Status Subscribe(const std::string& topic, Handler handler) override {
    topic_bytes_ = topic.size();
    handler_ = std::move(handler);
    subscriber_ = MakeSocket(context_, ZMQ_SUB, work_.payload_bytes);
    if (zmq_connect(subscriber_, OutAddress(work_.address).c_str()) != 0) {
      return ZmqStatus("zmq_connect");
    }
    const std::string own = absl::StrCat("own.", getpid());
    Filter(ZMQ_SUBSCRIBE, topic);
    Filter(ZMQ_SUBSCRIBE, own);
    zmq_pollitem_t heard = {subscriber_, 0, ZMQ_POLLIN, 0};
    constexpr int kProbeMs = 5;
    while (zmq_poll(&heard, 1, kProbeMs) == 0) {
      if (auto status = Send(publisher_, own, {}); !status.ok()) return status;
    }
    Filter(ZMQ_UNSUBSCRIBE, own);
    return absl::OkStatus();
  }

  absl::Status Publish(const std::string& topic,
                       std::span<const std::byte> payload) override {
    return Send(publisher_, topic, payload);
  }

  absl::Status Receive(const std::atomic<bool>& done) override {
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (!done) {
      const int size = zmq_msg_recv(&message, subscriber_, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return ZmqStatus("zmq_msg_recv");
      const auto* data = static_cast<std::byte*>(zmq_msg_data(&message));
      if (data[0] != std::byte{'b'}) continue;  // its own probe
      handler_({data + topic_bytes_, static_cast<size_t>(size) - topic_bytes_});
    }
    zmq_msg_close(&message);
    return absl::OkStatus();
  }

 private:
  void Filter(int option, const std::string& topic) {
    (void)zmq_setsockopt(subscriber_, option, topic.data(), topic.size());
  }

  const Work work_;
  void* const context_;
  void* publisher_ = nullptr;
  void* subscriber_ = nullptr;
  size_t topic_bytes_ = 0;
  Handler handler_;
};

class ZeroMq : public Peer {
 public:
  std::string name() const override { return "zeromq"; }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    return StartRoleBroker(name(), work, "zeromq");
  }

  absl::Status RunBroker(const Work& work, Control& control) const override {
    void* context = zmq_ctx_new();
    void* in = MakeSocket(context, ZMQ_XSUB, work.payload_bytes);
    void* out = MakeSocket(context, ZMQ_XPUB, work.payload_bytes);
    if (zmq_bind(in, InAddress(work.address).c_str()) != 0 ||
        zmq_bind(out, OutAddress(work.address).c_str()) != 0 ||
        zmq_send(in, "\1", 1, 0) != 1) {
      return ZmqStatus("zmq_bind");
    }
    control.Ready();
    zmq_proxy(in, out, nullptr);
    return ZmqStatus("zmq_proxy");
  }

  absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const Work& work,
                                                      Use) const override {
    auto client = std::make_unique<ZeroMqClient>(work);
    if (auto status = client->OpenPublisher(); !status.ok()) return status;
    return client;
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeZeroMq() { return std::make_unique<ZeroMq>(); }

}  // namespace ipc::bench
