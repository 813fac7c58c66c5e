// SPDX-License-Identifier: Apache-2.0
//
// The contestant `nats`: nats-server on TCP loopback, its only transport, at a
// port that the kernel chooses, and libnats. Throughput leaves the sending to
// the library's flusher, which collects for a millisecond; round trips send
// each message at once (SendAsap). A handler runs on a thread of its
// subscription, the library's only fast form. The server closes the connection
// of a subscriber that is 64 MiB behind; the window keeps it far from that.

#include <nats/nats.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/file.h"
#include "tests/bench/peer.h"

namespace ipc::bench {
namespace {

constexpr char kScheme[] = "nats://";

absl::Status ToStatus(natsStatus status, const std::string& what) {
  if (status == NATS_OK) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(what, ": ", natsStatus_GetText(status)));
}

// Also when the server thinks that a subscriber is too slow: nothing that
// follows would be complete.
void EndProcess(const char* what) {
  std::fprintf(stderr, "nats: %s\n", what);
  _exit(1);
}

class NatsClient : public PeerClient {
 public:
  explicit NatsClient(Use use) : use_(use) {}
  ~NatsClient() override {
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
  }

  absl::Status Connect(const std::string& url) {
    natsOptions* options = nullptr;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK) status = natsOptions_SetURL(options, url.c_str());
    if (status == NATS_OK) {
      status = natsOptions_SetSendAsap(options, use_ == Use::kRoundTrip);
    }
    if (status == NATS_OK) {
      status = natsOptions_SetAllowReconnect(options, false);
    }
    if (status == NATS_OK) {
      status = natsOptions_SetErrorHandler(options, &OnError, nullptr);
    }
    if (status == NATS_OK) {
      status = natsConnection_Connect(&connection_, options);
    }
    natsOptions_Destroy(options);
    return ToStatus(status, "natsConnection_Connect");
  }

  absl::Status Subscribe(const std::string& topic, Handler handler) override {
    constexpr int kNoLimit = -1;
    handler_ = std::move(handler);
    natsStatus status = natsConnection_Subscribe(
        &subscription_, connection_, topic.c_str(), &OnMessage, this);
    if (status == NATS_OK) {
      status =
          natsSubscription_SetPendingLimits(subscription_, kNoLimit, kNoLimit);
    }
    return status == NATS_OK ? AwaitServer()
                             : ToStatus(status, "natsConnection_Subscribe");
  }

  absl::Status Publish(const std::string& topic,
                       std::span<const std::byte> payload) override {
    return ToStatus(
        natsConnection_Publish(connection_, topic.c_str(), payload.data(),
                               static_cast<int>(payload.size())),
        "natsConnection_Publish");
  }

  absl::Status Flush() override {
    return use_ == Use::kBulk ? AwaitServer() : absl::OkStatus();
  }

  absl::Status Receive(const std::atomic<bool>& done) override {
    done.wait(false);
    return absl::OkStatus();
  }

 private:
  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* message,
                        void* self) {
    const auto* data =
        reinterpret_cast<const std::byte*>(natsMsg_GetData(message));
    const size_t size = static_cast<size_t>(natsMsg_GetDataLength(message));
    static_cast<NatsClient*>(self)->handler_({data, size});
    natsMsg_Destroy(message);
  }
  static void OnError(natsConnection*, natsSubscription*, natsStatus status,
                      void*) {
    EndProcess(natsStatus_GetText(status));
  }

  // Sends a PING and waits for the PONG.
  absl::Status AwaitServer() {
    return ToStatus(
        natsConnection_FlushTimeout(connection_, kStepNsMax / 1'000'000),
        "natsConnection_FlushTimeout");
  }

  const Use use_;
  natsConnection* connection_ = nullptr;
  natsSubscription* subscription_ = nullptr;
  Handler handler_;
};

// The address in the server's file of ports, or nothing if it is not whole yet.
std::string ReadAddress(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  const size_t start = text.str().find(kScheme);
  if (start == std::string::npos) return "";
  const size_t end = text.str().find('"', start);
  return end == std::string::npos ? "" : text.str().substr(start, end - start);
}

class Nats : public Peer {
 public:
  std::string name() const override { return "nats"; }
  std::string Missing() const override { return MissingProgram("nats-server"); }
  uint64_t window_bytes() const override { return 16 << 20; }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    const std::string config = absl::StrCat(work.folder, "/nats.conf");
    auto status = WriteFile(
        config, absl::StrCat("host: 127.0.0.1\nport: -1\nports_file_dir: \"",
                             work.folder, "\"\nmax_payload: 8MB\n"));
    if (!status.ok()) return status;
    return StartServer(
        work, {{"nats-server", "-c", config}, SIGINT}, [&](Broker& broker) {
          broker.address = ReadAddress(absl::StrCat(
              work.folder, "/nats-server_", broker.process.pid(), ".ports"));
          return !broker.address.empty();
        });
  }

  absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const Work& work,
                                                      Use use) const override {
    auto client = std::make_unique<NatsClient>(use);
    auto status = client->Connect(work.address);
    if (!status.ok()) return status;
    return client;
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeNats() { return std::make_unique<Nats>(); }

}  // namespace ipc::bench
