#include "collectives/local/shared_memory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "play.h"
#include "tests/unit/scratch_folder.h"

namespace reef::collectives {
namespace {

using namespace std::chrono_literals;

constexpr Rank kWorlds[] = {1, 2, 3, 4, 7};
/// Chunks are of 16 elements: part of one, one, some, many.
constexpr std::size_t kChunkBytes = 64;
constexpr std::size_t kLengths[] = {0, 1, 5, 32, 77, 1000};

std::vector<float> filled(Rank rank, std::size_t length) {
  std::vector<float> values(length);
  for (std::size_t i = 0; i < length; ++i) values[i] = wild(rank, i);
  return values;
}
class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemoryOptions options(Rank rank, Rank world) {
    return {(folder_ / "group").string(), rank, world, kChunkBytes};
  }
  Deadline soon(Duration in = 5s) { return system_clock().now() + in; }
  std::unique_ptr<LocalGroup> join(Rank rank, Rank world) {
    auto group = join_shared_memory(options(rank, world), soon());
    EXPECT_TRUE(group.ok()) << group.error().text();
    return std::move(group).value();
  }
  /// Members as threads: what they share does not know the difference.
  void as_threads(Rank world, const std::function<void(LocalGroup&)>& member) {
    std::vector<std::thread> threads;
    for (Rank rank = 0; rank < world; ++rank)
      threads.emplace_back([this, rank, world, &member] { member(*join(rank, world)); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(std::filesystem::exists(folder_ / "group"));
  }
  /// A member as a process that does this and ends with what it returns.
  pid_t fork_member(Rank rank, Rank world, const std::function<int(LocalGroup&)>& member) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(member(*join(rank, world)));
    return child;
  }
  static int status_of(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  ScratchFolder folder_;
};

TEST_F(SharedMemoryTest, AllReduceGivesAllTheLeafTreesBits) {
  for (const Rank world : kWorlds) {
    as_threads(world, [&](LocalGroup& group) {
      for (const std::size_t length : kLengths) {
        auto values = filled(group.rank(), length);
        ASSERT_TRUE(group.all_reduce(values, soon()).ok());
        for (std::size_t i = 0; i < length; ++i)
          ASSERT_EQ(values[i], tree_sum(0, world, i)) << world << " " << length << " " << i;
      }
    });
  }
}

TEST_F(SharedMemoryTest, OtherOperationsFollowEachOtherInOneGroup) {
  for (const Rank world : kWorlds) {
    as_threads(world, [&](LocalGroup& group) {
      for (const std::size_t length : kLengths) {
        const Range own = part_of({0, length}, world, group.rank());
        auto values = filled(group.rank(), length);
        ASSERT_TRUE(group.reduce_scatter(values, soon()).ok());
        for (std::size_t i = 0; i < length; ++i) {
          const bool mine = i >= own.begin && i < own.end;
          ASSERT_EQ(values[i], mine ? tree_sum(0, world, i) : wild(group.rank(), i));
        }
        ASSERT_TRUE(group.all_gather(values, soon()).ok());
        for (std::size_t i = 0; i < length; ++i) ASSERT_EQ(values[i], tree_sum(0, world, i));
        const Rank root = static_cast<Rank>(length) % world;
        auto sent = filled(group.rank(), length);
        ASSERT_TRUE(group.broadcast(sent, root, soon()).ok());
        ASSERT_EQ(sent, filled(root, length));
      }
    });
  }
}

TEST_F(SharedMemoryTest, ProcessesComeToTheSame) {
  const Rank world = 3;
  std::vector<pid_t> children;
  for (Rank rank = 0; rank < world; ++rank) {
    children.push_back(fork_member(rank, world, [&](LocalGroup& group) {
      for (int round = 0; round < 20; ++round) {
        auto values = filled(group.rank(), 5000);
        if (!group.all_reduce(values, soon()).ok()) return 1;
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (values[i] != tree_sum(0, world, i)) return 2;
        }
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
}

TEST_F(SharedMemoryTest, NamesTheMemberThatDiesToAllOthersAtOnce) {
  const Rank world = 4;
  std::vector<pid_t> children;
  for (Rank rank = 0; rank < world; ++rank) {
    children.push_back(fork_member(rank, world, [&](LocalGroup& group) {
      auto values = filled(group.rank(), 5000);
      for (int round = 0;; ++round) {
        if (group.rank() == 2 && round == 3) ::raise(SIGKILL);
        const Time before = system_clock().now();
        const Status status = group.all_reduce(values, soon(10s));
        if (status.ok()) continue;
        const bool named =
            status.error().code == Code::kPeerLost && status.error().where == "rank 2";
        const bool soon_enough = system_clock().now() - before < 1s;
        // And it stays so.
        const bool stays = group.broadcast(values, 0, soon(10s)).error() == status.error();
        return named && soon_enough && stays ? 0 : 1;
      }
    }));
  }
  for (Rank rank = 0; rank < world; ++rank)
    EXPECT_EQ(status_of(children[rank]), rank == 2 ? -1 : 0);
}

TEST_F(SharedMemoryTest, NamesTheMemberThatStopsWhenTheDeadlineIsOver) {
  const Rank world = 3;
  std::vector<pid_t> children;
  for (Rank rank = 0; rank < world; ++rank) {
    children.push_back(fork_member(rank, world, [&](LocalGroup& group) {
      auto values = filled(group.rank(), 5000);
      if (group.rank() == 1) ::raise(SIGSTOP);
      const Status status = group.all_reduce(values, soon(300ms));
      if (group.rank() == 1) return 0;  // goes on when the others have gone
      return !status.ok() && status.error().where == "rank 1" ? 0 : 1;
    }));
  }
  EXPECT_EQ(status_of(children[0]), 0);
  EXPECT_EQ(status_of(children[2]), 0);
  ::kill(children[1], SIGCONT);
  EXPECT_EQ(status_of(children[1]), 0);
}

TEST_F(SharedMemoryTest, WaitsForNobodyWhoIsDone) {
  // The first to be done goes; what it did counts.
  std::vector<pid_t> children;
  for (Rank rank = 0; rank < 4; ++rank) {
    children.push_back(fork_member(rank, 4, [&](LocalGroup& group) {
      auto values = filled(group.rank(), 40);
      return group.all_reduce(values, soon()).ok() ? 0 : 1;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
}

TEST_F(SharedMemoryTest, SaysWhoDidNotComeAndWhatIsWrongWithAFile) {
  const auto alone = join_shared_memory(options(0, 2), soon(50ms));
  EXPECT_EQ(alone.error().code, Code::kTimedOut);
  EXPECT_EQ(alone.error().where, "rank 1");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "group"));
  const auto orphan = join_shared_memory(options(1, 2), soon(50ms));
  EXPECT_EQ(orphan.error().code, Code::kTimedOut);
  EXPECT_EQ(orphan.error().where, "rank 0");
  ASSERT_TRUE(write_file(folder_ / "group", as_bytes("somebody else's"), 0644).ok());
  EXPECT_EQ(join_shared_memory(options(0, 2), soon()).error().code, Code::kPath);
  EXPECT_EQ(join_shared_memory(options(1, 2), soon()).error().code, Code::kPath);
  EXPECT_EQ(join_shared_memory({"/nowhere/group", 0, 2, 64}, soon()).error().code, Code::kPath);
}

}  // namespace
}  // namespace reef::collectives
