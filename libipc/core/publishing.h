// SPDX-License-Identifier: Apache-2.0
//
// A client's publishing side: its channels, the log, who reads reliably, and
// what goes to the socket next. No I/O, no lock: the client's mutex guards it.
//
// The stream to the broker is, in this order:
//   1. the rest of a frame that was cut
//   2. control frames; among them, for a reader that is new, the last values
//      that it gets, closed by JOINED; and while a reader is being caught up,
//      the frames sent again for it, closed by RESEND_END
//   3. the log, up to the first frame of a channel that is not open yet;
//      nothing of it before these marks. Of a publication that has expired a
//      header stands at its place
//
// So what was sent of the log before RESEND_END is exactly what the resend
// covers, a reader that joins gets the last value and then what follows it,
// and a channel's first frame follows the broker's OPENED, by which time its
// readers are known here.

#ifndef IPC_LIBIPC_CORE_PUBLISHING_H_
#define IPC_LIBIPC_CORE_PUBLISHING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libipc/base/monotonic_time.h"
#include "libipc/core/log.h"
#include "libipc/core/retained.h"
#include "libipc/wire/control.h"

namespace ipc::core {

// What a channel carries, and how.
struct ChannelType {
  std::string type_name = {};
  std::string schema_hash = {};
  std::string schema = {};   // FileDescriptorSet
  bool retain_last = false;  // new readers get the last publication first
  // What is older is not sent behind the loss of a connection.
  absl::Duration time_to_live = absl::InfiniteDuration();
};

// What a publication has beside its payload.
struct Carried {
  Descriptors descriptors = nullptr;
  // The payload is in the first of them, with so many bytes; 0: it is not.
  uint64_t memfd_bytes = 0;

  size_t count() const {
    return descriptors == nullptr ? 0 : descriptors->size();
  }
};

class Publishing {
 public:
  explicit Publishing(size_t window_bytes) : log_(window_bytes) {
    channels_.push_back(std::make_unique<Channel>());  // there is no channel 0
  }

  // -- Channels. Handles on one topic share a channel; a topic keeps its
  // channel and its count of sequences as long as the client lives.

  // Errors: kInvalidArgument if the topic is open with another type or time to
  // live, or without retain_last; kFailedPrecondition if it is so until what
  // was published is acknowledged.
  absl::StatusOr<ChannelNumber> Open(std::string_view topic,
                                     const ChannelType& type);
  void Release(ChannelNumber number);
  // The broker's answer: OK, its refusal, or kUnavailable while it is due.
  absl::Status ChannelStatus(ChannelNumber number) const;
  // The same, but OK while the answer is due.
  absl::Status Refusal(ChannelNumber number) const {
    const Channel& channel = Get(number);
    return channel.state == ChannelState::kRefused ? channel.refusal
                                                   : absl::OkStatus();
  }
  const std::string& topic(ChannelNumber number) const;
  uint32_t subscriptions(ChannelNumber number) const;

  // -- Publishing

  // Room for one publication. Small ones come as one part. Returns false while
  // the window is full, or holds too many descriptors.
  bool TryAppend(ChannelNumber number, size_t payload_bytes, int64_t time_ns,
                 const Carried& carried,
                 std::vector<std::span<std::byte>>* parts);
  bool TryAppend(ChannelNumber number, size_t payload_bytes, int64_t time_ns,
                 std::vector<std::span<std::byte>>* parts) {
    return TryAppend(number, payload_bytes, time_ns, {}, parts);
  }
  // The same for at most kFramePayloadBytesMax; null while the window is full.
  std::byte* TryAppendSmall(ChannelNumber number, size_t payload_bytes,
                            int64_t time_ns);
  // Frees what is acknowledged. Done by those who append or wait, not with
  // each acknowledgement, which would hold publishers up.
  void Trim();
  // Whether `TryAppend` is worth trying again: hysteresis, so that a waiting
  // publisher is not woken for each acknowledgement.
  bool HasRoom(size_t payload_bytes, const Carried& carried = {}) const;
  // Whether the log has as much room for what is not in its ring.
  bool HasRoomBeside(const Carried& carried) const;
  // What was accepted so far, for IsAcknowledged.
  std::vector<uint64_t> Accepted() const;
  bool IsAcknowledged(std::span<const uint64_t> accepted) const;
  // How many that is, over all channels.
  uint64_t unacknowledged() const;
  const Log& log() const { return log_; }
  uint64_t published() const { return published_; }
  uint64_t resent() const { return resent_; }
  uint64_t expired() const { return expired_; }

  // -- The stream to the broker

  // Appends a control frame to what goes out next.
  std::string* control() { return &control_; }
  // What is too old is so by this time. Before OnConnected, and before frames
  // from the broker.
  void SetTime(MonotonicTime now) { now_ = now; }
  // A new connection: HELLO is out, and WELCOME has come.
  void OnConnected();
  void OnDisconnected();
  // The next bytes to send; valid until Sent. Empty: nothing to send now.
  const std::vector<std::span<const std::byte>>& Gather();
  // They pass with the first byte of what was gathered; null: none do.
  const Descriptors& gathered_descriptors() const {
    return gathered_descriptors_;
  }
  void Sent(size_t bytes);
  bool HasUnsent() const;
  // Something other than the log waits to be sent.
  bool HasControl() const;
  uint64_t unsent_bytes() const { return connected_ ? log_.unsent_bytes() : 0; }

  // -- Frames from the broker. False: no such channel.

  bool OnOpened(const wire::Opened& opened);
  // The answer to OPEN `request`; false if it is not one of ours.
  bool OnRefusedOpen(uint64_t request, const absl::Status& status,
                     std::string* topic);
  bool OnMatches(ChannelNumber number, uint32_t subscriptions);
  bool OnAck(ChannelNumber number, uint64_t sequence);
  void OnJoin(const wire::Join& join);
  void OnLeave(ReaderId reader);
  void OnResend(const wire::Resend& resend);

 private:
  // Frames sent again are copied to the control stream in pieces of this size.
  static constexpr size_t kResendPieceBytes = size_t{128} * 1024;

  enum class ChannelState { kClosed, kOpening, kOpen, kRefused };
  struct Channel {
    ChannelNumber number{};
    std::string topic;
    ChannelType type;
    ChannelState state = ChannelState::kClosed;
    int handles = 0;
    bool retain_last = false;  // as long as there are handles
    bool retain_told = false;  // in the last OPEN
    absl::Duration time_to_live = absl::InfiniteDuration();
    absl::Status refusal;
    uint64_t next_sequence = 1;
    bool readers_known = false;
    std::vector<wire::Reader> readers;
    uint32_t subscriptions = 0;
  };
  // What is sent to one reader alone: what was sent before of the log, and in
  // front of that what is kept of channels that retain.
  struct Job {
    ReaderId reader{};
    std::vector<wire::Resend::From> channels;  // wanted, by number
    uint64_t kept = 0;     // the last that was looked at, see Retained
    uint64_t offset = 0;   // of the next frame of the log to look at
    bool values = false;   // for a reader that joins: chosen, so not too old
    bool passing = false;  // over the rest of a publication that has expired
  };
  // Descriptors of a frame that is sent again.
  struct Mark {
    size_t at = 0;  // where it begins in the control frames
    Descriptors descriptors;
  };
  // A reader that is to be answered JOINED.
  struct Joining {
    wire::Join join;
    std::optional<Job> values;  // once they are chosen
  };

  Channel* Find(ChannelNumber number);
  const Channel& Get(ChannelNumber number) const {
    return *channels_[ToNumber(number)];
  }
  void SendOpen(Channel* channel);
  void CloseIfDone(Channel* channel);
  uint64_t NextUnsent(ChannelNumber number);
  // Whether `reader` is noted, with all from `from` on.
  static bool Owes(const Channel& channel, ReaderId reader, uint64_t from);
  void SetReader(Channel* channel, const wire::Reader& reader);
  // Of a frame that was not sent: whether it never will be.
  bool IsRefused(const wire::FrameHeader& header) const;
  // The offset of the first frame that must wait.
  uint64_t Gate();
  // Of a channel that is refused, not open, or not asked for yet.
  uint64_t ChannelGate();
  absl::Status CheckRetain(const Channel& channel) const;
  // The next reader to join waits for the end of a publication.
  bool JoinWaits();
  void AnswerJoins();
  Job ValuesFor(const wire::Join& join);
  void Note(const wire::Join& join);
  void ContinueJobs();
  // Appends a piece of what `job` is about; returns whether that was the last.
  bool Continue(Job* job);
  // Appends the next frame of `job`, if it is wanted.
  void ResendFrame(Job* job);
  void AppendForReader(std::span<const std::byte> frame, ReaderId reader,
                       const Descriptors& descriptors);
  // Gathers of the control frames as much as may leave at once; false if there
  // is more.
  bool GatherControl();
  void GatherLog();

  // -- What has expired (expiry.cc)
  absl::Status CheckTimeToLive(const Channel& channel,
                               absl::Duration time_to_live) const;
  bool IsTooOld(const wire::FrameHeader& header) const;
  // What waits for the new connection.
  void ExpireUnsent();
  // Whether the publication of the log that begins at `offset`, which a reader
  // is to get, has expired.
  bool ExpiresAt(uint64_t offset);
  // Sends in place of what comes next in the log what stands for it.
  void PassExpired();
  void AppendExpired(const wire::FrameHeader& header, uint8_t flags,
                     ReaderId reader);
  // Whether the last publication that was sent is one for new readers.
  bool HasValue(ChannelNumber number, uint64_t last) const;

  Log log_;
  std::vector<std::unique_ptr<Channel>> channels_;  // by number, from 1
  absl::flat_hash_map<std::string, ChannelNumber> by_topic_;
  std::vector<uint64_t> acknowledged_ = {0};  // by channel number
  uint64_t unopened_ = 0;                     // channels in kOpening
  bool refused_in_log_ = false;  // the log may hold what is not to be sent
  Retained retained_;

  bool connected_ = false;
  std::string control_;
  std::deque<Mark> marks_;          // in order
  std::string sending_;             // control frames that Gather has handed out
  size_t sending_sent_ = 0;         // of them
  std::deque<Mark> sending_marks_;  // from there on
  size_t cut_bytes_ = 0;            // of the last Gather: before `sending_`
  std::deque<Joining> joins_;
  std::deque<Job> jobs_;  // readers that are being caught up
  std::vector<std::span<const std::byte>> segments_;
  Descriptors gathered_descriptors_;

  MonotonicTime now_;
  bool any_time_to_live_ = false;  // of any channel, ever
  uint64_t expired_end_ = 0;       // nothing unsent behind it has expired

  uint64_t published_ = 0;
  uint64_t resent_ = 0;
  uint64_t expired_ = 0;
};

// Requests that Publishing makes by itself have this bit in their number, and
// the channel in the rest.
inline constexpr uint64_t kOpenRequestBit = uint64_t{1} << 62;

}  // namespace ipc::core

#endif  // IPC_LIBIPC_CORE_PUBLISHING_H_
