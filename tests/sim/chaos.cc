// SPDX-License-Identifier: Apache-2.0
//
// The dice.

#include "tests/sim/chaos.h"

#include <algorithm>
#include <utility>

namespace ipc::sim {
namespace {

constexpr absl::Duration kQuiesceLimit = absl::Seconds(30);

const std::vector<std::string>& Topics() {
  static const auto& topics = *new std::vector<std::string>{
      "a", "a/b", "a/c", "a/b/c", "x/y", "x/y/z", "z"};
  return topics;
}

const std::vector<std::string>& Patterns() {
  static const auto& patterns = *new std::vector<std::string>{
      "a",   "a/b",  "a/c", "x/y",    "z",    "**",
      "a/*", "a/**", "*/*", "x/**/z", "*/**", "**/c"};
  return patterns;
}

// What kind of run it is.
struct Plan {
  Plan(Random* random, bool stalls);

  size_t clients = 3;
  int steps = 2000;
  size_t window_bytes = 128 * 1024;
  std::vector<size_t> pipe_bytes;
  uint64_t reliable_queue_bytes_max = kReliableQueueBytesMax;
  absl::Duration stall_timeout = kStallTimeoutMax;  // nobody stalls for so long
  // For each step.
  double publish = 0.1;
  double subscribe = 0.01;
  double unsubscribe = 0.002;
  double advertise = 0.01;
  double release = 0.002;
  double consume = 0.1;
  double cut = 0;
  double kill_broker = 0;
  double kill_client = 0;
  double stall = 0;
  double pause = 0;
  double sent_late = 0;
  // Of its kind.
  double large = 0.02;
  double best_effort = 0.3;
  double pull = 0.3;
  double manual = 0;
  double retain = 0;         // of the topics that are advertised
  double other_drops = 0.5;  // of best effort: the newest, or "latest"
  double group = 0;
  double clean_stop = 0;  // of the broker, which leaves no sign of itself
  bool late = false;      // absences may be longer than the recovery grace
  double mortal = 0;      // of the topics that are advertised
  absl::Duration time_to_live;
  uint64_t reconnect_ms = 100;
  uint64_t stall_ms = 100;
  uint64_t pause_ms = 60;
};

Plan::Plan(Random* random, bool stalls) {
  auto sometimes = [random](double chance, double low, double high) {
    if (!random->Chance(chance)) return 0.0;
    return low + (high - low) * static_cast<double>(random->Below(1000)) / 1000;
  };
  clients = random->Between(2, 6);
  steps = static_cast<int>(random->Between(300, 3000));
  static constexpr size_t kWindows[] = {4096, 16 * 1024, 128 * 1024,
                                        256 * 1024};
  window_bytes = kWindows[random->Below(4)];
  static constexpr size_t kPipes[] = {700, 4096, 32 * 1024, 256 * 1024};
  for (uint64_t i = random->Between(1, 2); i > 0; --i) {
    pipe_bytes.push_back(kPipes[random->Below(4)]);
  }
  if (random->Chance(0.6)) {
    reliable_queue_bytes_max = random->Chance(0.5) ? 1 : 200 * 1024;
  }
  publish = 0.02 + sometimes(0.9, 0, 0.3);
  subscribe = sometimes(0.9, 0.001, 0.02);
  unsubscribe = sometimes(0.5, 0.0005, 0.01);
  advertise = sometimes(0.7, 0.001, 0.02);
  release = sometimes(0.5, 0.0005, 0.01);
  consume = 0.01 + sometimes(0.7, 0, 0.2);
  cut = sometimes(0.6, 0.0005, 0.01);
  kill_broker = sometimes(0.7, 0.0005, 0.006);
  kill_client = sometimes(0.4, 0.0003, 0.003);
  stall = sometimes(0.4, 0.0005, 0.01);
  pause = sometimes(0.4, 0.0005, 0.004);
  sent_late = sometimes(0.4, 0.01, 0.2);
  large = sometimes(0.6, 0.002, 0.1);
  best_effort = sometimes(0.6, 0.1, 0.7);
  pull = sometimes(0.7, 0.1, 1);
  clean_stop = sometimes(0.3, 0.2, 1);
  retain = sometimes(0.6, 0.2, 1);
  manual = sometimes(0.3, 0.1, 1);
  group = sometimes(0.4, 0.2, 0.8);
  reconnect_ms = random->Chance(0.5) ? 20 : 600;
  if (clean_stop > 0) {
    reconnect_ms = 50;
    stall_ms = 30;
  }
  if (!stalls && random->Chance(0.1)) {
    late = true;
    reconnect_ms = 9000;
    pause_ms = stall_ms = 3000;
    pause *= 5;
  } else if (!stalls && random->Chance(0.1)) {
    // Publishers that do not answer JOIN in time, but no other faults.
    kill_broker = cut = 0;
    pause_ms = stall_ms = 3000;
    stall += 0.005;
  } else if (stalls || random->Chance(0.2)) {
    stall_timeout = absl::Milliseconds(random->Between(100, 400));
    pull = 0.7;
    pause += 0.004;
    consume = sometimes(0.5, 0.001, 0.05);
  }
  if (stalls) kill_broker = kill_client = cut = 0;
}

// With dice of their own, so that runs without are what they were.
Random DrawTimeToLive(uint64_t seed, Plan* plan) {
  Random dice(seed * 2 + (uint64_t{1} << 40));
  if (dice.Chance(0.4)) {
    plan->mortal = dice.Chance(0.3) ? 1 : 0.5;
    static constexpr int64_t kMicroseconds[] = {1000, 4000, 20'000, 150'000};
    plan->time_to_live = absl::Microseconds(kMicroseconds[dice.Below(4)]);
  }
  return dice;
}

class Chaos {
 public:
  explicit Chaos(const ChaosOptions& options)
      : dice_(options.seed * 2 + 1),
        plan_(&dice_, options.stalls),
        ages_(DrawTimeToLive(options.seed, &plan_)),
        world_({.seed = options.seed,
                .pipe_bytes = plan_.pipe_bytes,
                .reliable_queue_bytes_max = plan_.reliable_queue_bytes_max,
                .stall_timeout = plan_.stall_timeout,
                .keep_trace = options.keep_trace,
                .print_trace = options.print_trace}) {
    if (options.fault != nullptr) world_.Plant(options.fault);
    if (plan_.late) world_.history().AllowLoss();
    if (plan_.stall_timeout < kStallTimeoutMax) {
      world_.history().AllowStalls();
    }
  }

  ChaosResult Run();

 private:
  bool Roll(double chance) { return dice_.Chance(chance); }
  int AnyClient() {
    std::vector<int> living = world_.Living();
    return living.empty() ? -1 : dice_.Pick(living);
  }
  absl::Duration UpTo(uint64_t ms) {
    return absl::Microseconds(dice_.Below(ms * 1000 + 1));
  }

  void Start();
  void Step();
  void StartClient();
  void Move();
  void LookAfterConnections();
  void ActOfApplication(Client* client);
  void Advertise(Client* client, const std::string& topic, bool retain_last);
  void Publish(Client* client);
  void Subscribe(Client* client);
  void Fault();
  void EndBroker();
  void WatchAbsences();

  Random dice_;
  Plan plan_;
  Random ages_;
  World world_;
  std::map<std::pair<int, std::string>, absl::Duration> time_to_live_;
  std::map<int, MonotonicTime> connect_at_;  // by process
  std::map<int, MonotonicTime> ready_at_;    // last seen, by process
  MonotonicTime start_broker_at_ = MonotonicTime::Never();
  MonotonicTime started_;
  bool restarted_ = false;  // the next broker sees that there was one
  uint64_t broker_deaths_ = 0;
};

ChaosResult Chaos::Run() {
  Start();
  for (int i = 0; i < plan_.steps && world_.history().ok(); ++i) Step();
  if (!world_.broker_up()) world_.StartBroker(restarted_);
  if (world_.history().ok()) world_.Quiesce(kQuiesceLimit);
  const History& history = world_.history();
  return {.hash = world_.hash(),
          .failure = history.failure(),
          .trace = world_.trace(),
          .accepted = history.accepted(),
          .handled = history.handled(),
          .gaps = history.gaps(),
          .expired = history.expired(),
          .untold = history.untold(),
          .broker_deaths = broker_deaths_};
}

void Chaos::Start() {
  restarted_ = Roll(0.7);
  started_ = world_.now();
  if (Roll(0.8)) world_.StartBroker(restarted_);
  if (!world_.broker_up()) start_broker_at_ = world_.now() + UpTo(20);
  for (size_t i = 0; i < plan_.clients; ++i) StartClient();
}

void Chaos::StartClient() {
  int process = world_.AddClient(plan_.window_bytes);
  Client& client = world_.client(process);
  if (Roll(0.8)) {
    const bool retain_last = Roll(plan_.retain);
    Advertise(&client, dice_.Pick(Topics()), retain_last);
  }
  if (Roll(0.7)) Subscribe(&client);
}

void Chaos::Step() {
  world_.Advance(absl::Nanoseconds(dice_.Below(100'000)));
  LookAfterConnections();
  if (plan_.late) WatchAbsences();
  for (int i = 0; i < 3; ++i) Move();
  if (int process = AnyClient(); process >= 0) {
    Client& client = world_.client(process);
    switch (dice_.Below(3)) {
      case 0:
        client.FinishSend();
        break;
      case 1:
        client.Send(Roll(plan_.sent_late));
        break;
      default:
        client.OnTime(world_.now());
    }
    ActOfApplication(&client);
    if (Roll(0.1)) world_.NoticeBreak(process);
  }
  Fault();
}

void Chaos::Move() {
  std::vector<ConnectionId> links = world_.links();
  if (links.empty()) return;
  ConnectionId id = dice_.Pick(links);
  uint64_t kind = dice_.Below(5);
  size_t bytes =
      Roll(0.6) ? 256 * 1024 : dice_.Between(1, Roll(0.5) ? 100 : 20'000);
  if (kind < 2) {
    world_.MoveUp(id, bytes);
  } else if (kind < 4) {
    world_.MoveDown(id, bytes);
  } else {
    world_.MoveOut(id);
  }
}

void Chaos::LookAfterConnections() {
  if (start_broker_at_ <= world_.now()) {
    start_broker_at_ = MonotonicTime::Never();
    world_.StartBroker(restarted_);
    started_ = world_.now();
    connect_at_.clear();
  }
  if (!world_.broker_up()) return;
  for (int process : world_.Living()) {
    if (world_.client(process).link() != nullptr) continue;
    auto [at, added] = connect_at_.try_emplace(process);
    if (added) at->second = world_.now() + UpTo(plan_.reconnect_ms);
    if (at->second > world_.now()) continue;
    connect_at_.erase(at);
    world_.Connect(process);
  }
}

void Chaos::ActOfApplication(Client* client) {
  if (Roll(plan_.publish)) {
    for (uint64_t i = dice_.Between(1, 10); i > 0; --i) Publish(client);
  }
  if (Roll(plan_.consume * 5)) {
    for (uint64_t i = dice_.Between(1, 20); i > 0; --i) {
      bool consumed = client->ConsumeOne(world_.now());
      consumed |= client->AcknowledgeOne(dice_.Next(), world_.now());
      if (!consumed) break;
    }
  }
  if (Roll(plan_.subscribe) && client->subscriptions().size() < 4) {
    Subscribe(client);
  }
  std::vector<SubscriptionId> subscriptions = client->subscriptions();
  if (Roll(plan_.unsubscribe) && !subscriptions.empty()) {
    client->Unsubscribe(dice_.Pick(subscriptions));
  }
  const std::string& topic = dice_.Pick(Topics());
  if (Roll(plan_.advertise) && client->advertised().size() < 3 &&
      !client->advertises(topic)) {
    Advertise(client, topic, Roll(plan_.retain));
  }
  if (Roll(plan_.release) && client->advertises(topic)) client->Release(topic);
}

// A client that advertises a topic again gives it the time that it had.
void Chaos::Advertise(Client* client, const std::string& topic,
                      bool retain_last) {
  auto [lives, drawn] = time_to_live_.try_emplace({client->process(), topic},
                                                  absl::InfiniteDuration());
  if (drawn && ages_.Chance(plan_.mortal)) lives->second = plan_.time_to_live;
  client->Advertise(topic, retain_last, lives->second);
}

void Chaos::Publish(Client* client) {
  if (client->advertised().empty()) return;
  auto topic = client->advertised().begin();
  std::advance(topic, dice_.Below(client->advertised().size()));
  size_t bytes = dice_.Below(201);
  if (Roll(plan_.large)) bytes = dice_.Below(300 * 1024);
  client->Publish(topic->first, bytes, world_.now());
}

void Chaos::Subscribe(Client* client) {
  SubscribeTo to{.pattern = dice_.Pick(Patterns())};
  to.reliable = !Roll(plan_.best_effort);
  to.depth = static_cast<uint32_t>(dice_.Between(1, Roll(0.7) ? 4 : 1000));
  to.bytes = Roll(0.7) ? 1 << 20 : dice_.Between(1, 10'000);
  to.pull = to.reliable && Roll(plan_.pull);
  to.manual = to.reliable && !to.pull && Roll(plan_.manual);
  if (!to.reliable && Roll(plan_.other_drops)) {
    to.latest = Roll(0.5);
    to.drop_newest = !to.latest;
  }
  if (to.reliable && Roll(plan_.group)) {
    to.group = "g";
    // So few that members meet.
    to.pattern = Roll(0.5) ? "**" : "a/*";
  }
  client->Subscribe(to);
}

void Chaos::Fault() {
  if (Roll(plan_.kill_broker) && world_.broker_up()) EndBroker();
  if (Roll(plan_.pause)) world_.Advance(UpTo(plan_.pause_ms));
  int process = AnyClient();
  if (process < 0) return;
  if (Roll(plan_.cut)) world_.Cut(process);
  if (Roll(plan_.stall)) {
    world_.Stall(process, Roll(0.5) ? Direction::kUp : Direction::kDown,
                 UpTo(plan_.stall_ms));
  }
  if (Roll(plan_.kill_client)) {
    if (Roll(0.2)) {
      world_.EndClient(process);
    } else {
      world_.KillClient(process, Roll(0.5));
    }
    StartClient();
  }
}

// The broker sees an absence begin up to a stall earlier than the client.
void Chaos::WatchAbsences() {
  for (int process : world_.Living()) {
    MonotonicTime& ready_at = ready_at_[process];
    if (world_.client(process).ready()) ready_at = world_.now();
    if (world_.now() - ready_at > absl::Seconds(1)) {
      world_.history().AllowRepetition(process);
    }
  }
}

void Chaos::EndBroker() {
  // A broker without a sign of an earlier one must get the time in which it
  // cannot know who is on the way back to it.
  if (!restarted_ && world_.now() - started_ < kStartHold) return;
  restarted_ = !Roll(plan_.clean_stop);
  if (restarted_) {
    world_.KillBroker();
  } else {
    world_.StopBroker();
  }
  ++broker_deaths_;
  start_broker_at_ = world_.now() + UpTo(30);
}

}  // namespace

ChaosResult RunChaos(const ChaosOptions& options) {
  return Chaos(options).Run();
}

}  // namespace ipc::sim
