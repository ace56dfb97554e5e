#include "runtime/link/sim/sim.h"

#include <algorithm>

#include "runtime/link/state.h"

namespace reef::link::sim {
namespace {

constexpr std::size_t kPrefix = 2;  // the length, as over TCP

Duration time_for(std::size_t bytes, double bits_per_second) {
  if (bits_per_second <= 0) return {};
  return Duration(static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 / bits_per_second));
}

}  // namespace

/// One end, with the direction in which it sends.
class SimNetwork::End final : public QueuedState {
 public:
  End(SimNetwork& network, std::string peer_name, Line line, bool held)
      : QueuedState(network, std::move(peer_name)), network_(network), line_(line), held_(held) {}
  void join(const std::shared_ptr<End>& peer) { peer_ = peer; }

  void hold() { held_ = true; }
  void let_go() {
    held_ = false;
    std::vector<Task> waiting = std::move(waiting_);
    waiting_.clear();
    for (Task& task : waiting) arrive_after(network_.clock_.now() + line_.delay, std::move(task));
  }
  void cut() { fail({Code::kPeerLost, peer_name(), "the line was cut"}); }

 private:
  void flush() override {
    const auto peer = peer_.lock();
    if (!peer) return;
    for (; moved_ < queue_.size() && in_flight_ < line_.window; ++moved_) {
      Outgoing& out = queue_[moved_];
      in_flight_ += out.size;
      const Time start = std::max(network_.clock_.now(), free_at_);
      free_at_ = start + time_for(out.size + kPrefix, line_.bits_per_second);
      network_.at(free_at_, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) static_cast<End&>(*self).transmitted();
      });
      arrive_after(free_at_ + delay_of_frame(),
                   [to = peer_, frame = std::move(out.frame)]() mutable {
                     if (const auto end = to.lock()) end->arrived(std::move(frame));
                   });
    }
  }

  Duration delay_of_frame() {
    Duration delay = line_.delay;
    if (line_.jitter > Duration()) {
      delay += Duration(static_cast<std::int64_t>(network_.random_.below(
          static_cast<std::uint64_t>(line_.jitter.count()), network_.draws_++, 0)));
    }
    if (line_.loss > 0 && network_.random_.uniform(network_.draws_++, 1) < line_.loss) {
      delay += line_.retransmit;
    }
    return delay;
  }

  /// Nothing overtakes on a reliable line: an arrival waits for the one before.
  void arrive_after(Time when, Task task) {
    last_arrival_ = std::max(last_arrival_, when);
    network_.at(last_arrival_, [self = std::static_pointer_cast<End>(shared_from_this()),
                                task = std::move(task)]() mutable {
      if (self->held_) {
        self->waiting_.push_back(std::move(task));
      } else {
        task();
      }
    });
  }

  void transmitted() {
    if (failed()) return;
    --moved_;
    complete_front();
  }

  void taken(std::size_t size) override {
    const auto peer = peer_.lock();
    if (!peer) return;
    network_.post([peer, size] {
      peer->in_flight_ -= size;
      if (!peer->failed()) peer->flush();
    });
  }

  void release() override {
    incoming_.clear();
    const auto peer = peer_.lock();
    if (!peer) return;
    arrive_after(std::max(network_.clock_.now(), free_at_) + line_.delay, [to = peer_] {
      if (const auto end = to.lock()) end->ended();
    });
  }

  SimNetwork& network_;
  Line line_;
  std::weak_ptr<End> peer_;
  bool held_;
  std::vector<Task> waiting_;
  std::size_t moved_ = 0;
  std::size_t in_flight_ = 0;
  Time free_at_{};
  Time last_arrival_{};
};

SimNetwork::SimNetwork(std::uint64_t seed) : random_(seed, "sim network") {}

SimNetwork::~SimNetwork() {
  while (!events_.empty()) {
    const auto events = std::move(events_);
    events_.clear();
    times_.clear();
  }
}

void SimNetwork::post(Task task) { at(clock_.now(), std::move(task)); }

TimerId SimNetwork::at(Time when, Task task) {
  const TimerId id = next_++;
  when = std::max(when, clock_.now());
  events_.emplace(std::pair(when, id), std::move(task));
  times_.emplace(id, when);
  return id;
}

void SimNetwork::cancel(TimerId timer) {
  const auto time = times_.find(timer);
  if (time == times_.end()) return;
  const auto dropped = events_.extract({time->second, timer});
  times_.erase(time);
}

SimNetwork::HostPair SimNetwork::host_pair(const std::string& left, const std::string& right) {
  return std::minmax(left, right);
}

std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> SimNetwork::connect(
    const std::string& left, const std::string& right, const Line& line) {
  const HostPair hosts = host_pair(left, right);
  std::erase_if(ends_, [](const auto& entry) { return entry.second.expired(); });
  const bool held = partitioned_.contains(hosts);
  const auto a = std::make_shared<End>(*this, "sim " + right, line, held);
  const auto b = std::make_shared<End>(*this, "sim " + left, line, held);
  a->join(b);
  b->join(a);
  ends_.emplace(hosts, a);
  ends_.emplace(hosts, b);
  return {make_handle(a), make_handle(b)};
}

void SimNetwork::for_each_end(const HostPair& hosts, const std::function<void(End&)>& act) {
  const auto [first, last] = ends_.equal_range(hosts);
  std::vector<std::weak_ptr<End>> ends;  // a copy: callbacks may connect
  for (auto it = first; it != last; ++it) ends.push_back(it->second);
  for (const auto& weak : ends) {
    if (const auto end = weak.lock()) act(*end);
  }
}

void SimNetwork::cut(const std::string& left, const std::string& right) {
  for_each_end(host_pair(left, right), [](End& end) { end.cut(); });
}

void SimNetwork::partition(const std::string& left, const std::string& right) {
  partitioned_.insert(host_pair(left, right));
  for_each_end(host_pair(left, right), [](End& end) { end.hold(); });
}

void SimNetwork::heal(const std::string& left, const std::string& right) {
  partitioned_.erase(host_pair(left, right));
  for_each_end(host_pair(left, right), [](End& end) { end.let_go(); });
}

bool SimNetwork::step() {
  if (events_.empty() || events_.begin()->first.first == kNoDeadline) return false;
  const auto event = events_.extract(events_.begin());
  times_.erase(event.key().second);
  clock_.set(event.key().first);
  ++events_run_;
  event.mapped()();
  return true;
}

void SimNetwork::run_until(Time until) {
  while (!events_.empty() && events_.begin()->first.first <= until && step()) {
  }
  clock_.set(std::max(until, clock_.now()));
}

bool SimNetwork::run_while_not(const std::function<bool()>& condition, Duration limit) {
  const Time end = clock_.now() + limit;
  while (!condition()) {
    if (events_.empty() || events_.begin()->first.first > end || !step()) return false;
  }
  return true;
}

}  // namespace reef::link::sim
