#pragma once
// The outer store of an island: takes its shards' progress, exchanges it with the other islands'
// stores, and gives the shards what updates of the global weights change in theirs. Training goes
// on meanwhile; only after the last step the store waits for the others, for a while.

#include <memory>

#include "actors/core/factory.h"

namespace reef::actors {

/// Failure: kProto for a plan whose job is no island's, or that does not join it to each shard.
Result<std::unique_ptr<Task>> make_outer_store(const TaskSetup& setup, const plan::Actor& actor);

/// An island that has begun anew takes the others' weights in its first round, and its layers see
/// them behind the second: what these two make of the weights does not count.
inline constexpr std::uint64_t kCatchUpRounds = 2;
bool counts(const job::Island& island, const Round& round);

/// Whether shards send what they hold of this fragment in a round: then their token has the masters
/// that they speak for, in canonical order, of every such fragment. A correction has those that a
/// shard holds, of the fragments that its scalars list.
bool is_told(const job::LocalSteps& local, const Round& round, std::uint32_t fragment);

}  // namespace reef::actors
