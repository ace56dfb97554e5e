#include "collectives/algorithms/choose.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace reef::collectives {
namespace {

/// Bytes of the chunks that are tried: shorter ones fill a pipeline sooner, longer ones cost fewer
/// messages.
constexpr std::uint64_t kChunks[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20};

/// From rank 0 always on to the nearest that is left.
std::vector<Rank> nearest_first(const Network& network, std::uint64_t bytes) {
  std::vector<Rank> order = ranks_of(network.world);
  const auto seconds = [&](Rank from, Rank to) {
    const Way& way = network.way(from, to);
    return static_cast<double>(bytes) * way.seconds_per_byte + way.latency;
  };
  for (std::size_t i = 1; i < order.size(); ++i) {
    const auto left = order.begin() + static_cast<std::ptrdiff_t>(i);
    const auto nearest = std::min_element(left, order.end(), [&](Rank a, Rank b) {
      return std::pair(seconds(order[i - 1], a), a) < std::pair(seconds(order[i - 1], b), b);
    });
    std::iter_swap(left, nearest);
  }
  return order;
}

/// Reverses stretches while that helps: 2-opt (Croes, 1958).
void improve(std::vector<Rank>& order, const Network& network, std::uint64_t bytes) {
  double best = ring_seconds(order, network, bytes);
  for (bool better = true; better;) {
    better = false;
    for (std::size_t i = 1; i + 1 < order.size(); ++i) {
      for (std::size_t j = i + 2; j <= order.size(); ++j) {
        const auto begin = order.begin() + static_cast<std::ptrdiff_t>(i);
        const auto end = order.begin() + static_cast<std::ptrdiff_t>(j);
        std::reverse(begin, end);
        const double now = ring_seconds(order, network, bytes);
        if (now < best) {
          best = now;
          better = true;
        } else {
          std::reverse(begin, end);
        }
      }
    }
  }
}

std::vector<Rank> best_of_all(std::vector<Rank> order, const Network& network,
                              std::uint64_t bytes) {
  std::vector<Rank> best = order;
  double least = ring_seconds(order, network, bytes);
  while (std::next_permutation(order.begin() + 1, order.end())) {
    const double now = ring_seconds(order, network, bytes);
    if (now < least) {
      least = now;
      best = order;
    }
  }
  return best;
}

}  // namespace

double ring_seconds(const std::vector<Rank>& order, const Network& network, std::uint64_t bytes) {
  const std::size_t world = order.size();
  if (world < 2) return 0;
  const double part = static_cast<double>(bytes) / static_cast<double>(world);
  std::vector<double> busy(network.lines);
  double round = 0;
  for (std::size_t i = 0; i < world; ++i) {
    const Way& way = network.way(order[i], order[(i + 1) % world]);
    busy[way.line] += part * way.seconds_per_byte;
    round = std::max(round, busy[way.line] + way.latency);
  }
  return 2 * static_cast<double>(world - 1) * round;
}

std::vector<Rank> ring_order(const Network& network, std::uint64_t bytes) {
  std::vector<Rank> order = ranks_of(network.world);
  if (network.world < 3) return order;
  if (network.world <= kExhaustive) return best_of_all(std::move(order), network, bytes);
  order = nearest_first(network, bytes);
  if (network.world <= kImproved) improve(order, network, bytes);
  return order;
}

std::vector<Choice> all_reduce_choices(const AllReduceNeeds& needs, const Network& network) {
  const Rank world = network.world;
  const std::uint64_t bytes = needs.elements * needs.bytes_per_element;
  using Make = std::function<Schedule(std::uint64_t chunk)>;
  std::vector<Make> makes;
  if (std::has_single_bit(world)) {
    makes.push_back([&](auto chunk) { return halving_all_reduce(world, needs.elements, chunk); });
    makes.push_back([&](auto chunk) { return doubling_all_reduce(world, needs.elements, chunk); });
  }
  makes.push_back([&](auto chunk) { return tree_all_reduce(world, needs.elements, chunk); });
  makes.push_back([&, order = ring_order(network, bytes)](auto chunk) {
    return ring_all_reduce(order, needs.elements, chunk);
  });
  if (needs.groups.size() > 1) {
    for (const std::size_t gates :
         {std::size_t{1}, kEveryMember}) {  // of equals the first is taken
      makes.push_back([&, gates](auto chunk) {
        return hierarchical_all_reduce(needs.groups, needs.elements, chunk, gates);
      });
    }
  }

  std::vector<Choice> choices;
  for (const Make& make : makes) {
    std::optional<Choice> best;
    for (const std::uint64_t chunk_bytes : kChunks) {
      const std::uint64_t chunk = chunk_bytes / needs.bytes_per_element;
      Schedule schedule = make(chunk);
      if (needs.reproducible && !schedule.reproducible) break;
      const double seconds = predict(schedule, network, needs.bytes_per_element);
      if (!best || seconds < best->seconds) best = {std::move(schedule), chunk, seconds};
      if (chunk >= needs.elements) break;
    }
    if (best) choices.push_back(std::move(*best));
  }
  std::ranges::stable_sort(choices, {}, &Choice::seconds);
  return choices;
}

}  // namespace reef::collectives
