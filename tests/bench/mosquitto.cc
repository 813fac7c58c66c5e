// SPDX-License-Identifier: Apache-2.0
//
// The contestant `mosquitto`: the broker on a Unix socket and libmosquitto,
// quality of service 0. A client without the library's thread is its fastest
// form: each message is one write, and a reader reads until nothing is left
// instead of asking poll before each packet, as mosquitto_loop does. The broker
// keeps what a subscriber is too slow for (no limits); the window bounds it.

#include <mosquitto.h>
#include <poll.h>

#include "absl/strings/str_cat.h"
#include "tests/bench/file.h"
#include "tests/bench/peer.h"

namespace ipc::bench {
namespace {

constexpr int kKeepAliveSeconds = 3600;  // longer than any measurement
constexpr int kPollMs = 1000;

absl::Status ToStatus(int code, const std::string& what) {
  if (code == MOSQ_ERR_SUCCESS) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(what, ": ", mosquitto_strerror(code)));
}

class MosquittoClient : public PeerClient {
 public:
  MosquittoClient() : client_(mosquitto_new(nullptr, true, this)) {
    mosquitto_connect_callback_set(client_, &OnConnect);
    mosquitto_subscribe_callback_set(client_, &OnSubscribe);
    mosquitto_message_callback_set(client_, &OnMessage);
  }
  ~MosquittoClient() override { mosquitto_destroy(client_); }

  absl::Status Connect(const std::string& path) {
    auto status =
        ToStatus(mosquitto_connect(client_, path.c_str(), 0, kKeepAliveSeconds),
                 "mosquitto_connect");
    return status.ok() ? Receive(connected_) : status;
  }

  absl::Status Subscribe(const std::string& topic, Handler handler) override {
    handler_ = std::move(handler);
    auto status =
        ToStatus(mosquitto_subscribe(client_, nullptr, topic.c_str(), 0),
                 "mosquitto_subscribe");
    return status.ok() ? Receive(subscribed_) : status;
  }

  // In a handler the library only keeps it; Receive sends it behind that.
  absl::Status Publish(const std::string& topic,
                       std::span<const std::byte> payload) override {
    auto status = ToStatus(
        mosquitto_publish(client_, nullptr, topic.c_str(),
                          static_cast<int>(payload.size()), payload.data(),
                          /*qos=*/0, /*retain=*/false),
        "mosquitto_publish");
    return status.ok() && !in_handler_ ? SendKept() : status;
  }

  absl::Status Receive(const std::atomic<bool>& done) override {
    while (!done) {
      const uint64_t before = received_;
      auto status =
          ToStatus(mosquitto_loop_read(client_, 1), "mosquitto_loop_read");
      if (status.ok()) status = SendKept();
      if (!status.ok()) return status;
      if (received_ == before && !done) Wait(POLLIN);
    }
    return absl::OkStatus();
  }

 private:
  static MosquittoClient* Self(void* self) {
    return static_cast<MosquittoClient*>(self);
  }
  static void OnConnect(mosquitto*, void* self, int code) {
    if (code == 0) Self(self)->connected_ = true;
  }
  static void OnSubscribe(mosquitto*, void* self, int, int, const int*) {
    Self(self)->subscribed_ = true;
  }
  static void OnMessage(mosquitto*, void* self,
                        const mosquitto_message* message) {
    MosquittoClient& client = *Self(self);
    client.received_++;
    client.in_handler_ = true;
    client.handler_({static_cast<const std::byte*>(message->payload),
                     static_cast<size_t>(message->payloadlen)});
    client.in_handler_ = false;
  }

  absl::Status SendKept() {
    while (mosquitto_want_write(client_)) {
      auto status =
          ToStatus(mosquitto_loop_write(client_, 1), "mosquitto_loop_write");
      if (!status.ok()) return status;
      if (mosquitto_want_write(client_)) Wait(POLLOUT);
    }
    return absl::OkStatus();
  }

  void Wait(short events) {
    pollfd socket = {mosquitto_socket(client_), events, 0};
    (void)poll(&socket, 1, kPollMs);
  }

  mosquitto* const client_;
  std::atomic<bool> connected_ = false;
  std::atomic<bool> subscribed_ = false;
  Handler handler_;
  uint64_t received_ = 0;
  bool in_handler_ = false;
};

class Mosquitto : public Peer {
 public:
  std::string name() const override { return "mosquitto"; }
  std::string Missing() const override { return MissingProgram("mosquitto"); }
  uint64_t window_bytes() const override { return 4 << 20; }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    const std::string path = absl::StrCat(work.folder, "/mosquitto.sock");
    const std::string config = absl::StrCat(work.folder, "/mosquitto.conf");
    // As root it would become another user, who cannot use the folder.
    auto status = WriteFile(
        config, absl::StrCat("listener 0 ", path,
                             "\nuser root\nallow_anonymous true\n"
                             "persistence false\nsys_interval 0\n"
                             "max_queued_messages 0\nlog_dest none\n"));
    if (!status.ok()) return status;
    return StartUnixServer(work, {{"mosquitto", "-c", config}}, path);
  }

  absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const Work& work,
                                                      Use) const override {
    mosquitto_lib_init();
    auto client = std::make_unique<MosquittoClient>();
    auto status = client->Connect(work.address);
    if (!status.ok()) return status;
    return client;
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeMosquitto() {
  return std::make_unique<Mosquitto>();
}

}  // namespace ipc::bench
