// SPDX-License-Identifier: Apache-2.0
//
// A message as a subscriber receives it: the payload and who sent it.

#ifndef IPC_LIBIPC_INCLUDE_IPC_MESSAGE_H_
#define IPC_LIBIPC_INCLUDE_IPC_MESSAGE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "ipc/attachments.h"
#include "ipc/export.h"

namespace ipc {

struct MessageOrigin;  // the library's

// Acknowledges one message of a subscription with Acknowledge::kManual. Takes
// a few words, not the payload; copies stand for the same message. From any
// thread, at any time.
class IPC_EXPORT AckToken {
 public:
  AckToken() = default;

  // The message is consumed: its publisher may forget it as soon as all
  // before it of the same publisher and topic are acknowledged, too. The order
  // does not matter; a second time does nothing. Does not block.
  // Errors: kInvalidArgument if this is of no message that a subscription has
  // handed over; kFailedPrecondition if that subscription acknowledges
  // automatically, or it or its client is gone.
  absl::Status Acknowledge() const;

 private:
  friend class Message;
  AckToken(std::shared_ptr<const MessageOrigin> origin, uint64_t sequence)
      : origin_(std::move(origin)), sequence_(sequence) {}

  std::shared_ptr<const MessageOrigin> origin_;
  uint64_t sequence_ = 0;
};

// Who published a message. `pid`, `uid` and `gid` are what the kernel told the
// broker when the publisher connected; no client can forge them. `name` is
// what the publisher calls itself.
struct PublisherInfo {
  std::string name;
  std::string session;  // 32 hexadecimal digits; new for each Client
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// One publisher's use of one topic, shared by all its messages.
struct Source {
  std::string topic;
  std::string type_name;    // full protobuf name; empty: raw bytes
  std::string schema_hash;  // SHA-256 of the FileDescriptorSet; empty: none
  PublisherInfo publisher;
};

// Inside a handler a Message borrows the payload: copy it (Clone) to keep it
// longer than the call. A Message from Next() owns its payload. Descriptors
// that came with it are shared by all copies, and closed with the last of them.
// Values may be read from any thread.
class IPC_EXPORT Message {
 public:
  Message() = default;
  Message(std::shared_ptr<const Source> source, uint64_t sequence,
          int64_t publish_time_ns, std::span<const std::byte> payload)
      : source_(std::move(source)),
        sequence_(sequence),
        publish_time_ns_(publish_time_ns),
        payload_(payload) {}

  // The payload's bytes, exactly as published.
  std::span<const std::byte> payload() const { return payload_; }
  // The same bytes as text.
  std::string_view text() const {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }

  // The descriptors that were published with it, in order; close-on-exec.
  // Borrowed: valid as long as this message is, in a handler at most until it
  // returns, or else a copy of it. Do not close them.
  std::span<const int> fds() const { return attachments_.fds(); }
  // A duplicate of fds()[index], close-on-exec, that the caller has to close.
  // Errors: kInvalidArgument if there is none with this index;
  // kResourceExhausted if the process has no room for it.
  absl::StatusOr<int> TakeFd(size_t index) const;
  // To publish them again, as they are.
  const Attachments& attachments() const { return attachments_; }

  std::string_view topic() const { return source().topic; }
  const PublisherInfo& publisher() const { return source().publisher; }
  const Source& source() const;

  // Counts from 1 for each publisher session and topic, without holes: a hole
  // is a loss, and the client's Gap event has named it.
  uint64_t sequence() const { return sequence_; }

  // When Publish was called, on CLOCK_MONOTONIC, since that clock's zero. In a
  // burst it may be up to 1 us early.
  absl::Duration publish_time() const {
    return absl::Nanoseconds(publish_time_ns_);
  }
  // Time passed since Publish was called. Reads the clock.
  absl::Duration Age() const;

  // A copy that owns its payload, and shares the descriptors.
  Message Clone() const;

  // For a subscription with SubscribeOptions::acknowledge of kManual: says that
  // the program is done with this message. See AckToken.
  absl::Status Acknowledge() const { return ack_token().Acknowledge(); }
  // The same for later, without keeping the message.
  AckToken ack_token() const { return AckToken(origin_, sequence_); }

  // For the library: where the message came from.
  void SetOrigin(std::shared_ptr<const MessageOrigin> origin) {
    origin_ = std::move(origin);
  }
  // For the library: what came with the message.
  void SetAttachments(Attachments attachments) {
    attachments_ = std::move(attachments);
  }
  // For the library: what keeps the payload there.
  void SetOwner(std::shared_ptr<const void> owner) {
    owner_ = std::move(owner);
  }
  // For the library: points this message at the next one of the same source.
  void Rebind(uint64_t sequence, int64_t publish_time_ns,
              std::span<const std::byte> payload) {
    sequence_ = sequence;
    publish_time_ns_ = publish_time_ns;
    payload_ = payload;
  }

 private:
  std::shared_ptr<const Source> source_;
  std::shared_ptr<const MessageOrigin> origin_;
  uint64_t sequence_ = 0;
  int64_t publish_time_ns_ = 0;
  std::span<const std::byte> payload_;
  std::shared_ptr<const void> owner_;  // of the payload; null: borrowed
  Attachments attachments_;
};

}  // namespace ipc

#endif  // IPC_LIBIPC_INCLUDE_IPC_MESSAGE_H_
