// SPDX-License-Identifier: Apache-2.0
//
// The contestant `redis`: redis-server on a Unix socket and libhiredis.
// Publishers send PUBLISH in pipelines of 64 KiB (a message at once, for a
// round trip) and read the replies of the one before meanwhile. The server
// keeps what a subscriber is too slow for in memory without bound, as it would
// close the connection else; the window bounds it.

#include <hiredis/hiredis.h>

#include "absl/strings/str_cat.h"
#include "tests/bench/peer.h"

namespace ipc::bench {
namespace {

constexpr size_t kPipelineBytes = 64 * 1024;

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

absl::StatusOr<Context> ConnectRedis(const std::string& path) {
  Context context(redisConnectUnix(path.c_str()));
  if (context == nullptr || context->err != 0) {
    return absl::UnavailableError("cannot connect to redis-server");
  }
  context->reader->maxbuf = 0;  // keep the buffer between messages
  return context;
}

absl::StatusOr<Reply> Take(redisContext* context) {
  void* reply = nullptr;
  if (redisGetReply(context, &reply) != REDIS_OK) {
    return absl::UnavailableError(absl::StrCat("redis: ", context->errstr));
  }
  Reply taken(static_cast<redisReply*>(reply));
  if (taken->type == REDIS_REPLY_ERROR) {
    return absl::InternalError(std::string(taken->str, taken->len));
  }
  return taken;
}

// A connection that subscribes can do nothing else: there are two.
class RedisClient : public PeerClient {
 public:
  RedisClient(Context publisher, Context subscriber, Use use)
      : publisher_(std::move(publisher)),
        subscriber_(std::move(subscriber)),
        pipeline_bytes_(use == Use::kBulk ? kPipelineBytes : 0) {}

  absl::Status Subscribe(const std::string& topic, Handler handler) override {
    handler_ = std::move(handler);
    redisAppendCommand(subscriber_.get(), "SUBSCRIBE %s", topic.c_str());
    return Take(subscriber_.get()).status();
  }

  absl::Status Publish(const std::string& topic,
                       std::span<const std::byte> payload) override {
    const char* words[] = {"PUBLISH", topic.data(),
                           reinterpret_cast<const char*>(payload.data())};
    const size_t sizes[] = {7, topic.size(), payload.size()};
    if (redisAppendCommandArgv(publisher_.get(), 3, words, sizes) != REDIS_OK) {
      return absl::InternalError(publisher_->errstr);
    }
    kept_++;
    kept_bytes_ += payload.size() + topic.size();
    return kept_bytes_ > pipeline_bytes_ ? Flush() : absl::OkStatus();
  }

  absl::Status Flush() override {
    for (int done = 0; done == 0;) {
      if (redisBufferWrite(publisher_.get(), &done) != REDIS_OK) {
        return absl::UnavailableError(publisher_->errstr);
      }
    }
    for (; unanswered_ > 0; --unanswered_) {
      auto reply = Take(publisher_.get());
      if (!reply.ok()) return reply.status();
    }
    unanswered_ = std::exchange(kept_, 0);
    kept_bytes_ = 0;
    return absl::OkStatus();
  }

  absl::Status Receive(const std::atomic<bool>& done) override {
    while (!done) {
      auto reply = Take(subscriber_.get());
      if (!reply.ok()) return reply.status();
      if ((*reply)->elements != 3) {
        return absl::InternalError("not a message of a subscription");
      }
      const redisReply& payload = *(*reply)->element[2];
      handler_(std::as_bytes(std::span(payload.str, payload.len)));
    }
    return absl::OkStatus();
  }

 private:
  const Context publisher_;
  const Context subscriber_;
  const size_t pipeline_bytes_;
  Handler handler_;
  uint64_t kept_ = 0;  // commands not yet written
  size_t kept_bytes_ = 0;
  uint64_t unanswered_ = 0;  // commands written, replies not yet read
};

class Redis : public Peer {
 public:
  std::string name() const override { return "redis"; }
  std::string Missing() const override {
    return MissingProgram("redis-server");
  }
  uint64_t window_bytes() const override { return 16 << 20; }

  absl::StatusOr<Broker> StartBroker(const Work& work) const override {
    const std::string path = absl::StrCat(work.folder, "/redis.sock");
    return StartUnixServer(
        work,
        {{"redis-server", "--port", "0", "--unixsocket", path, "--dir",
          work.folder, "--save", "", "--appendonly", "no",
          "--client-output-buffer-limit", "pubsub 0 0 0"}},
        path);
  }

  absl::StatusOr<std::unique_ptr<PeerClient>> Connect(const Work& work,
                                                      Use use) const override {
    auto publisher = ConnectRedis(work.address);
    if (!publisher.ok()) return publisher.status();
    auto subscriber = ConnectRedis(work.address);
    if (!subscriber.ok()) return subscriber.status();
    return std::make_unique<RedisClient>(*std::move(publisher),
                                         *std::move(subscriber), use);
  }
};

}  // namespace

std::unique_ptr<Contestant> MakeRedis() { return std::make_unique<Redis>(); }

}  // namespace ipc::bench
