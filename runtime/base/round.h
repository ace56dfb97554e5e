#pragma once
// A job's rounds: a pure function from round number to what the round does, so that every loader in
// every datacenter agrees without a message. Training step s is followed, when it is due, by
// evaluation rounds. Where a job trains by local steps the last step is followed by one more round,
// in which its shards take what the others' progress makes of their weights.

#include <cstdint>

namespace reef {

/// What a token says of the round it belongs to; stamped by the loader, carried by everything after
/// it.
struct Round {
  std::uint64_t number = 0;  ///< 0-based, counts training and evaluation rounds
  std::uint64_t step =
      0;  ///< training steps finished once this round is over, from the job's very start
  std::uint32_t evaluation = 0;  ///< 0: a training round; else 1 + index of the held-out batch
  bool snapshot = false;         ///< after this round the state is written
  bool last = false;             ///< no round follows
  /// Of a training round: all progress is told, as the last step's. Of an evaluation round: the one
  /// behind that, which is no part of an evaluation.
  bool settling = false;
  bool training() const { return evaluation == 0; }
  bool operator==(const Round&) const = default;
};

struct RoundSchedule {
  std::uint64_t first_step = 0;  ///< steps already done in the checkpoint that the job resumes from
  std::uint64_t steps = 0;       ///< the last training step; lowered when the user stops the job
  std::uint64_t evaluate_every = 0;  ///< 0: only at the end
  std::uint32_t evaluation_rounds = 0;
  std::uint64_t snapshot_every = 0;  ///< 0: only at the end
  bool settles = false;              ///< the job trains by local steps

  /// The round after `previous` (nullptr: the first round). Must not be asked after a last round.
  Round next(const Round* previous) const;
};

}  // namespace reef
