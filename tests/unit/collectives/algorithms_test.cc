#include "collectives/algorithms/algorithms.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>

#include "play.h"

namespace reef::collectives {
namespace {

constexpr std::uint64_t kChunk = 5;
constexpr Rank kWorlds[] = {1, 2, 3, 4, 7, 8, 13};
constexpr std::uint64_t kLengths[] = {0, 1, 2, 17, 64};

/// Of rank r element i, so that each sum has a closed form and says who is missing.
std::int64_t value(Rank rank, std::uint64_t i) {
  return static_cast<std::int64_t>(i + 1) << (2 * rank);
}
std::int64_t sum_at(Rank world, std::uint64_t i) {
  std::int64_t sum = 0;
  for (Rank rank = 0; rank < world; ++rank) sum += value(rank, i);
  return sum;
}
Buffers<std::int64_t> filled(const Schedule& schedule) {
  Buffers<std::int64_t> buffers;
  for (Rank rank = 0; rank < schedule.world; ++rank) {
    buffers.emplace_back(schedule.elements[rank]);
    for (std::uint64_t i = 0; i < schedule.elements[rank]; ++i) buffers[rank][i] = value(rank, i);
  }
  return buffers;
}

/// The order of a ring that is not the ranks' own.
std::vector<Rank> mixed(Rank world) {
  std::vector<Rank> order;
  for (Rank i = 0; i < world; i += 2) order.push_back(i);
  for (Rank i = 1; i < world; i += 2) order.push_back(i);
  return order;
}
std::vector<std::vector<Rank>> groups_of(Rank world, Rank groups) {
  std::vector<std::vector<Rank>> all(std::min(world, groups));
  for (Rank rank = 0; rank < world; ++rank) all[rank * rank % all.size()].push_back(rank);
  std::erase_if(all, [](const auto& group) { return group.empty(); });
  return all;
}

struct Algorithm {
  const char* name;
  bool power_of_two;
  std::function<Schedule(Rank world, std::uint64_t elements)> make;
};
const Algorithm kAllReduces[] = {
    {"ring", false, [](Rank w, auto n) { return ring_all_reduce(ranks_of(w), n, kChunk); }},
    {"mixed ring", false, [](Rank w, auto n) { return ring_all_reduce(mixed(w), n, kChunk); }},
    {"tree", false, [](Rank w, auto n) { return tree_all_reduce(w, n, kChunk); }},
    {"halving", true, [](Rank w, auto n) { return halving_all_reduce(w, n, kChunk); }},
    {"doubling", true, [](Rank w, auto n) { return doubling_all_reduce(w, n, kChunk); }},
    {"two groups", false,
     [](Rank w, auto n) { return hierarchical_all_reduce(groups_of(w, 2), n, kChunk); }},
    {"four groups", false,
     [](Rank w, auto n) { return hierarchical_all_reduce(groups_of(w, 4), n, kChunk); }},
    {"one gate", false,
     [](Rank w, auto n) { return hierarchical_all_reduce(groups_of(w, 2), n, kChunk, 1); }},
};

/// For each world, length and all-reduce that can be.
void for_each_all_reduce(const std::function<void(const Schedule&)>& check_it) {
  for (const Algorithm& algorithm : kAllReduces) {
    for (const Rank world : kWorlds) {
      if (algorithm.power_of_two && !std::has_single_bit(world)) continue;
      for (const std::uint64_t elements : kLengths) {
        SCOPED_TRACE(std::string(algorithm.name) + ", world " + std::to_string(world) +
                     ", elements " + std::to_string(elements));
        const Schedule schedule = algorithm.make(world, elements);
        ASSERT_TRUE(check(schedule).ok()) << check(schedule).error().text();
        check_it(schedule);
      }
    }
  }
}

TEST(Collectives, AllReduceSumsEveryElementOfEveryRankOnce) {
  for_each_all_reduce([](const Schedule& schedule) {
    auto buffers = filled(schedule);
    play(schedule, buffers);
    for (const auto& buffer : buffers) {
      for (std::uint64_t i = 0; i < buffer.size(); ++i)
        ASSERT_EQ(buffer[i], sum_at(schedule.world, i));
    }
  });
}

TEST(Collectives, RanksThatKnowOnlyTheirOwnStepsComeToTheSame) {
  for_each_all_reduce([](const Schedule& schedule) {
    if (schedule.world > 8 || schedule.elements[0] > 17) return;
    auto right = filled(schedule);
    play(schedule, right);
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      auto buffers = filled(schedule);
      Ranks(schedule, buffers, seed);
      ASSERT_EQ(buffers, right);
    }
  });
}

TEST(Collectives, ReproducibleOnesAddAlongTheLeafTreeAndOthersSayThatTheyDoNot) {
  for_each_all_reduce([](const Schedule& schedule) {
    const Rank world = schedule.world;
    if (!std::has_single_bit(world)) return;
    Buffers<float> buffers(world);
    for (Rank rank = 0; rank < world; ++rank) {
      for (std::uint64_t i = 0; i < schedule.elements[rank]; ++i)
        buffers[rank].push_back(wild(rank, i));
    }
    play(schedule, buffers);
    bool same = true;
    for (const auto& buffer : buffers) {
      for (std::uint64_t i = 0; i < buffer.size(); ++i)
        same = same && buffer[i] == tree_sum(0, world, i);
    }
    if (schedule.reproducible) {
      ASSERT_TRUE(same);
    } else if (world >= 4 && schedule.elements[0] == 64) {
      ASSERT_FALSE(same) << "with so many wild numbers another order shows";
    }
  });
}

TEST(Collectives, ReduceScatterLeavesEachRankItsPartAndAllGatherSpreadsThem) {
  for (const Rank world : kWorlds) {
    for (const std::uint64_t elements : kLengths) {
      for (const auto& order : {ranks_of(world), mixed(world)}) {
        const Schedule scatter = ring_reduce_scatter(order, elements, kChunk);
        ASSERT_TRUE(check(scatter).ok());
        auto buffers = filled(scatter);
        play(scatter, buffers);
        for (Rank rank = 0; rank < world; ++rank) {
          const Range own = part_of({0, elements}, world, rank);
          for (std::uint64_t i = own.begin; i < own.end; ++i)
            ASSERT_EQ(buffers[rank][i], sum_at(world, i));
        }
        const Schedule gather = ring_all_gather(order, elements, kChunk);
        ASSERT_TRUE(check(gather).ok());
        play(gather, buffers);
        for (const auto& buffer : buffers) {
          for (std::uint64_t i = 0; i < elements; ++i) ASSERT_EQ(buffer[i], sum_at(world, i));
        }
      }
    }
  }
}

TEST(Collectives, BroadcastReachesAllFromAnyRoot) {
  for (const Rank world : kWorlds) {
    for (Rank root = 0; root < world; ++root) {
      const Schedule schedule = broadcast(world, root, 17, kChunk);
      ASSERT_TRUE(check(schedule).ok());
      auto buffers = filled(schedule);
      const auto right = buffers[root];
      play(schedule, buffers);
      for (const auto& buffer : buffers) ASSERT_EQ(buffer, right);
    }
  }
}

TEST(Collectives, AllToAllBringsEachRankWhatEachHasForIt) {
  for (const Rank world : kWorlds) {
    std::vector<std::vector<std::uint64_t>> counts(world, std::vector<std::uint64_t>(world));
    for (Rank from = 0; from < world; ++from) {
      for (Rank to = 0; to < world; ++to) counts[from][to] = (3 * from + 5 * to) % 11;
    }
    const Schedule schedule = all_to_all(counts, kChunk);
    ASSERT_TRUE(check(schedule).ok());
    auto buffers = filled(schedule);
    const auto before = buffers;
    Ranks(schedule, buffers, world);
    for (Rank from = 0; from < world; ++from) {
      std::uint64_t at = 0;
      for (Rank to = 0; to < world; ++to) {
        const Range sent{at, at + counts[from][to]};
        at = sent.end;
        if (from == to) continue;
        EXPECT_EQ(taken(buffers[to], all_to_all_target(counts, from, to)),
                  taken(before[from], sent));
      }
    }
  }
}

TEST(Collectives, SendNoMoreThanTheirDescriptionSays) {
  const auto sent = [](const Schedule& schedule, Rank rank) {
    std::uint64_t sum = 0;
    for (Rank to = 0; to < schedule.world; ++to) sum += elements_between(schedule, rank, to);
    return sum;
  };
  for (const Rank world : {2u, 4u, 8u}) {
    const std::uint64_t n = 64 * world;
    for (Rank rank = 0; rank < world; ++rank) {
      EXPECT_EQ(sent(ring_all_reduce(ranks_of(world), n, kChunk), rank),
                2 * n * (world - 1) / world);
      EXPECT_EQ(sent(halving_all_reduce(world, n, kChunk), rank), 2 * n * (world - 1) / world);
      EXPECT_EQ(sent(doubling_all_reduce(world, n, kChunk), rank), n * std::countr_zero(world));
    }
  }
}

TEST(Collectives, AHierarchySendsABufferAcrossAndARingMore) {
  const std::uint64_t n = 120;
  const auto across = [](const Schedule& schedule) {
    std::uint64_t sum = 0;
    for (const Rank from : {0u, 1u}) {
      for (const Rank to : {2u, 3u}) sum += elements_between(schedule, from, to);
    }
    return sum;
  };
  EXPECT_EQ(across(hierarchical_all_reduce({{0, 1}, {2, 3}}, n, kChunk)), n);
  EXPECT_EQ(across(hierarchical_all_reduce({{0, 1}, {2, 3}}, n, kChunk, 1)), n);
  EXPECT_EQ(across(ring_all_reduce({0, 1, 2, 3}, n, kChunk)), 3 * n / 2);
  EXPECT_EQ(across(ring_all_reduce({0, 2, 1, 3}, n, kChunk)), 3 * n);
}

TEST(Collectives, ACheckNamesTheStepThatIsWrong) {
  Schedule schedule = ring_all_reduce(ranks_of(3), 12, kChunk);
  schedule.steps[2].to = 3;
  EXPECT_EQ(check(schedule).error().where, "ring, step 2");
  schedule.steps[2] = {0, 1, {10, 13}, 0, Action::kPut};
  EXPECT_FALSE(check(schedule).ok());
  schedule.steps[2] = {0, 1, {3, 3}, 0, Action::kPut};
  EXPECT_FALSE(check(schedule).ok());
  schedule.steps[2] = {0, 1, {3, 4}, 4, Action::kExchange};
  EXPECT_FALSE(check(schedule).ok());
  schedule.steps[2] = {0, 1, {3, 4}, 4, Action::kPut};
  EXPECT_TRUE(check(schedule).ok());
}

}  // namespace
}  // namespace reef::collectives
