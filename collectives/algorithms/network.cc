#include "collectives/algorithms/network.h"

#include <algorithm>
#include <map>

#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

/// Since when each element of one rank's buffer is what the steps so far make of it.
class Ready {
 public:
  double at(const Range& range) const {
    double latest = 0;
    for (auto it = first(range); it != since_.end() && it->first < range.end; ++it)
      latest = std::max(latest, it->second);
    return latest;
  }
  void set(const Range& range, double when) {
    cut(range.begin);
    cut(range.end);
    since_.erase(since_.lower_bound(range.begin), since_.lower_bound(range.end));
    since_[range.begin] = when;
  }

 private:
  std::map<std::uint64_t, double>::const_iterator first(const Range& range) const {
    return std::prev(since_.upper_bound(range.begin));
  }
  void cut(std::uint64_t place) {
    since_.emplace(place, std::prev(since_.upper_bound(place))->second);
  }

  std::map<std::uint64_t, double> since_{{0, 0}};  ///< by where an interval begins
};

class Clockwork {
 public:
  Clockwork(const Schedule& schedule, const Network& network, std::size_t bytes_per_element)
      : network_(network),
        bytes_per_element_(static_cast<double>(bytes_per_element)),
        ready_(schedule.world),
        line_free_(network.lines),
        rank_free_(schedule.world) {}

  void run(const Step& step) {
    const double there = arrival(step.from, step.to, step.source);
    if (step.action == Action::kExchange) {
      const double back = arrival(step.to, step.from, step.destination());
      take(step.from, step.source, back, step.source.size());
    }
    take(step.to, step.destination(), there, step.source.size());
  }
  double finished() const { return finished_; }

 private:
  double arrival(Rank from, Rank to, const Range& range) {
    const Way& way = network_.way(from, to);
    const double leaves = std::max(ready_[from].at(range), line_free_[way.line]);
    line_free_[way.line] =
        leaves + static_cast<double>(range.size()) * bytes_per_element_ * way.seconds_per_byte;
    return line_free_[way.line] + way.latency;
  }
  void take(Rank rank, const Range& range, double arrives, std::uint64_t elements) {
    const double begins = std::max({arrives, ready_[rank].at(range), rank_free_[rank]});
    const double ends =
        begins + network_.seconds_per_message +
        static_cast<double>(elements) * bytes_per_element_ * network_.seconds_per_byte;
    rank_free_[rank] = ends;
    ready_[rank].set(range, ends);
    finished_ = std::max(finished_, ends);
  }

  const Network& network_;
  const double bytes_per_element_;
  std::vector<Ready> ready_;
  std::vector<double> line_free_, rank_free_;
  double finished_ = 0;
};

}  // namespace

Network network_of(const std::vector<std::uint32_t>& group_of_rank, const Line& inside,
                   const Line& between) {
  Network network;
  network.world = static_cast<Rank>(group_of_rank.size());
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> shared;
  for (const std::uint32_t from : group_of_rank) {
    for (const std::uint32_t to : group_of_rank) {
      const Line& line = from == to ? inside : between;
      std::size_t number = network.lines;
      if (from != to) number = shared.emplace(std::pair(from, to), network.lines).first->second;
      if (number == network.lines) ++network.lines;
      network.ways.push_back({8 / line.bits_per_second, line.round_trip / 2, number});
    }
  }
  return network;
}

double predict(const Schedule& schedule, const Network& network, std::size_t bytes_per_element) {
  CHECK_EQ(schedule.world, network.world);
  Clockwork clockwork(schedule, network, bytes_per_element);
  for (const Step& step : schedule.steps) clockwork.run(step);
  return clockwork.finished();
}

}  // namespace reef::collectives
