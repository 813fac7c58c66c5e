// SPDX-License-Identifier: Apache-2.0
//
// The contestant `dbus`: dbus-daemon with a configuration of its own on a Unix
// socket, and sd-bus, the fastest client of it. A message is a signal with one
// array of bytes; its member is the topic. The daemon drops what a subscriber
// is too far behind for; the window keeps it from that. There is nothing to
// tune: each signal is one write, one read, one write and one read.

#include <systemd/sd-bus.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "tests/bench/file.h"
#include "tests/bench/peer.h"

namespace ipc::bench {
namespace {

constexpr char kPath[] = "/ipc/bench";
constexpr char kInterface[] = "ipc.bench";

// Member names have no dots.
std::string MemberOf(const std::string& topic) {
  return topic.substr(topic.rfind('.') + 1);
}

absl::Status ToStatus(int result, const std::string& what) {
  if (result >= 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(-result)));
}

class DbusClient : public PeerClient {
 public:
  ~DbusClient() override { sd_bus_close_unref(bus_); }

  absl::Status Connect(const std::string& path) {
    int result = sd_bus_new(&bus_);
    if (result >= 0) {
      result =
          sd_bus_set_address(bus_, absl::StrCat("unix:path=", path).c_str());
    }
    if (result >= 0) result = sd_bus_set_bus_client(bus_, 1);
    if (result >= 0) result = sd_bus_start(bus_);
    const char* unique_name = nullptr;  // waits for the connection
    if (result >= 0) result = sd_bus_get_unique_name(bus_, &unique_name);
    return ToStatus(result, "sd_bus_start");
  }

  absl::Status Subscribe(const std::string& topic, Handler handler) override {
    handler_ = std::move(handler);
    return ToStatus(
        sd_bus_match_signal(bus_, nullptr, nullptr, kPath, kInterface,
                            MemberOf(topic).c_str(), &OnSignal, this),
        "sd_bus_match_signal");
  }

  absl::Status Publish(const std::string& topic,
                       std::span<const std::byte> payload) override {
    sd_bus_message* message = nullptr;
    int result = sd_bus_message_new_signal(bus_, &message, kPath, kInterface,
                                           MemberOf(topic).c_str());
    if (result >= 0) {
      result = sd_bus_message_append_array(message, 'y', payload.data(),
                                           payload.size());
    }
    if (result >= 0) result = sd_bus_send(bus_, message, nullptr);
    sd_bus_message_unref(message);
    uint64_t waiting = 0;
    if (result >= 0) result = sd_bus_get_n_queued_write(bus_, &waiting);
    if (result >= 0 && waiting > 0) return Flush();
    return ToStatus(result, "sd_bus_send");
  }

  absl::Status Flush() override {
    return ToStatus(sd_bus_flush(bus_), "sd_bus_flush");
  }

  absl::Status Receive(const std::atomic<bool>& done) override {
    while (!done) {
      int result = sd_bus_process(bus_, nullptr);
      if (result == 0) result = sd_bus_wait(bus_, UINT64_MAX);
      if (result < 0) return ToStatus(result, "sd_bus_process");
    }
    return absl::OkStatus();
  }

 private:
  static int OnSignal(sd_bus_message* message, void* self, sd_bus_error*) {
    const void* data = nullptr;
    size_t size = 0;
    const int result = sd_bus_message_read_array(message, 'y', &data, &size);
    if (result < 0) return result;
    static_cast<DbusClient*>(self)->handler_(
        {static_cast<const std::byte*>(data), size});
    return 0;
  }

  sd_bus* bus_ = nullptr;
  Handler handler_;
};

class Dbus : public Peer {
 public:
  std::string name() const override { return "dbus"; }
  std::string Missing() const override { return MissingProgram("dbus-daemon"); }
  uint64_t window_bytes() const override { return 8 << 20; }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    const std::string path = absl::StrCat(work.folder, "/dbus.sock");
    const std::string config = absl::StrCat(work.folder, "/dbus.conf");
    auto status = WriteFile(
        config, absl::StrCat(
                    "<busconfig><listen>unix:path=", path,
                    "</listen><auth>EXTERNAL</auth><policy context=\"default\">"
                    "<allow send_destination=\"*\"/>"
                    "<allow receive_sender=\"*\"/>"
                    "</policy></busconfig>\n"));
    if (!status.ok()) return status;
    return StartUnixServer(work,
                           {{"dbus-daemon", "--nofork", "--nopidfile",
                             "--nosyslog", "--config-file=" + config}},
                           path);
  }

  absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const Work& work,
                                                      Use) const override {
    auto client = std::make_unique<DbusClient>();
    auto status = client->Connect(work.address);
    if (!status.ok()) return status;
    return client;
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeDbus() { return std::make_unique<Dbus>(); }

}  // namespace ipc::bench
