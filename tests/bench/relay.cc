// SPDX-License-Identifier: Apache-2.0
//
// The contestant `relay`: best possible clients over a relay that only copies
// (relay_server.h). What they send has the size of the bus's frames, a header
// of 40 bytes before each payload, so that as many bytes cross the wire. The
// publisher copies small messages behind one another and sends 16 KiB at once;
// the subscriber reads 128 KiB at once and counts.

#include <errno.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/clock.h"
#include "tests/bench/contestant.h"
#include "tests/bench/latency.h"
#include "tests/bench/load.h"
#include "tests/bench/payload.h"
#include "tests/bench/relay_server.h"
#include "tests/bench/role.h"

namespace ipc::bench {
namespace {

// The bus's frame header (proto/PROTOCOL.md).
constexpr size_t kHeaderBytes = 40;
// The bus's client flushes a burst at this size.
constexpr size_t kBatchBytes = 16 * 1024;
// Lines 0 and 1 are those of a round trip.
constexpr uint8_t kLoadLine = 2;

// A blocking connection that feeds and reads the given lines.
absl::StatusOr<Fd> Connect(const std::string& path, uint8_t feeds,
                           uint8_t reads) {
  auto fd = ConnectUnix(path);
  if (!fd.ok()) return fd;
  EnlargeSendBuffer(fd->get());
  const uint8_t lines[2] = {feeds, reads};
  char answer;
  auto status = SendAll(fd->get(), lines, sizeof(lines));
  if (status.ok()) status = ReceiveAll(fd->get(), &answer, 1);
  if (!status.ok()) return status;
  return fd;
}

// The subscriber's count. It looks at one number in each read: as the stream
// keeps its order, that and the count of bytes prove that nothing is missing.
class ByteCount {
 public:
  explicit ByteCount(uint64_t payload_bytes)
      : frame_bytes_(kHeaderBytes + payload_bytes) {}

  void OnBytes(const char* data, size_t size) {
    const uint64_t frame = (bytes_ + frame_bytes_ - 1) / frame_bytes_;
    const size_t start = frame * frame_bytes_ - bytes_ + kHeaderBytes;
    if (start + kSequenceBytes <= size && GetSequence(data + start) != frame) {
      wrong_++;
    }
    bytes_ += size;
  }

  uint64_t messages() const { return bytes_ / frame_bytes_; }
  absl::Status Finish() const {
    if (wrong_ == 0 && bytes_ % frame_bytes_ == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(wrong_, " numbers are wrong"));
  }

 private:
  const uint64_t frame_bytes_;
  uint64_t bytes_ = 0;
  uint64_t wrong_ = 0;
};

absl::Status PublishSmall(int fd, const Work& work) {
  const std::string frame(kHeaderBytes + work.payload_bytes, 'x');
  std::vector<char> batch(kBatchBytes + frame.size());
  size_t size = 0;
  for (uint64_t i = 0; i < work.messages; ++i) {
    std::memcpy(&batch[size], frame.data(), frame.size());
    PutSequence(&batch[size + kHeaderBytes], i);
    size += frame.size();
    if (size < kBatchBytes && i + 1 < work.messages) continue;
    if (auto status = SendAll(fd, batch.data(), size); !status.ok()) {
      return status;
    }
    size = 0;
  }
  return absl::OkStatus();
}

absl::Status PublishLarge(int fd, const Work& work) {
  std::vector<char> frame(kHeaderBytes + work.payload_bytes, 'x');
  for (uint64_t i = 0; i < work.messages; ++i) {
    PutSequence(&frame[kHeaderBytes], i);
    if (auto status = SendAll(fd, frame.data(), frame.size()); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

class Relay : public Contestant {
 public:
  std::string name() const override { return kReference; }

  std::string Refuses(const Scenario& scenario) const override {
    if (scenario.publishers > 1) return "knows no messages to keep whole";
    return scenario.typed ? "knows no types" : "";
  }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    return StartRoleBroker(name(), work, "relay.sock");
  }

  absl::Status RunBroker(const Work& work, Control& control) const override {
    RelayServer server;
    if (auto status = server.Listen(work.address); !status.ok()) return status;
    control.Ready();
    return server.Run();
  }

  absl::Status RunPublisher(const Work& work, Control& control) const override {
    auto fd = Connect(work.address, /*feeds=*/0, kNoLine);
    if (!fd.ok()) return fd.status();
    control.Ready();
    if (auto status = control.AwaitGo(); !status.ok()) return status;
    const int64_t start_ns = MonotonicNs();
    const int64_t start_cpu_ns = ThreadCpuNs();
    auto status = work.payload_bytes < kBatchBytes
                      ? PublishSmall(fd->get(), work)
                      : PublishLarge(fd->get(), work);
    if (!status.ok()) return status;
    control.Done({start_ns, ThreadCpuNs() - start_cpu_ns});
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunSubscriber(const Work& work,
                             Control& control) const override {
    auto fd = Connect(work.address, kNoLine, /*reads=*/0);
    if (!fd.ok()) return fd.status();
    std::vector<char> buffer(kRelayReadBytes);
    ByteCount count(work.payload_bytes);
    control.Ready();
    while (count.messages() < work.messages) {
      const ssize_t size = recv(fd->get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return absl::UnavailableError("the relay has closed");
      count.OnBytes(buffer.data(), static_cast<size_t>(size));
    }
    const int64_t end_ns = MonotonicNs();
    if (auto status = count.Finish(); !status.ok()) return status;
    control.Done({end_ns, static_cast<int64_t>(count.messages()), 0});
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunPinger(const Work& work, Control& control) const override {
    auto fd = Connect(work.address, /*feeds=*/0, /*reads=*/1);
    if (!fd.ok()) return fd.status();
    std::vector<char> frame(kHeaderBytes + work.payload_bytes, 'x');
    LatencyRecorder recorder(work.messages);
    control.Ready();
    if (auto status = control.AwaitGo(); !status.ok()) return status;
    while (recorder.added() < work.messages) {
      PutSequence(&frame[kHeaderBytes], recorder.added());
      const int64_t start_ns = MonotonicNs();
      auto status = SendAll(fd->get(), frame.data(), frame.size());
      if (status.ok()) {
        status = ReceiveAll(fd->get(), frame.data(), frame.size());
      }
      if (!status.ok()) return status;
      const int64_t end_ns = MonotonicNs();
      if (GetSequence(&frame[kHeaderBytes]) != recorder.added()) {
        return absl::DataLossError("the answer is of another message");
      }
      recorder.Add(end_ns - start_ns);
    }
    recorder.Report(control);
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunEcho(const Work& work, Control& control) const override {
    auto fd = Connect(work.address, /*feeds=*/1, /*reads=*/0);
    if (!fd.ok()) return fd.status();
    std::vector<char> frame(kHeaderBytes + work.payload_bytes);
    control.Ready();
    for (uint64_t i = 0; i < work.messages; ++i) {
      auto status = ReceiveAll(fd->get(), frame.data(), frame.size());
      if (status.ok()) {
        status = SendAll(fd->get(), frame.data(), frame.size());
      }
      if (!status.ok()) return status;
    }
    control.AwaitStop();
    return absl::OkStatus();
  }

  absl::Status RunLoadPublisher(const Work& work,
                                Control& control) const override {
    auto fd = Connect(work.address, kLoadLine, kNoLine);
    if (!fd.ok()) return fd.status();
    std::vector<char> frame(kHeaderBytes + work.payload_bytes, 'x');
    control.Ready();
    return PublishLoad(work, control, [&](uint64_t) {
      return SendAll(fd->get(), frame.data(), frame.size());
    });
  }

  absl::Status RunLoadSubscriber(const Work& work,
                                 Control& control) const override {
    auto fd = Connect(work.address, kNoLine, kLoadLine);
    if (!fd.ok()) return fd.status();
    std::vector<char> buffer(kRelayReadBytes);
    EndAtStop(control);
    control.Ready();
    while (recv(fd->get(), buffer.data(), buffer.size(), 0) > 0) {
    }
    return absl::UnavailableError("the relay has closed");
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeRelay() { return std::make_unique<Relay>(); }

}  // namespace ipc::bench
