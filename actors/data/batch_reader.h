#pragma once
// A job's text, micro-batch by micro-batch.

#include <cstdint>
#include <span>

#include "actors/data/format/data_order.h"
#include "actors/data/format/token_shards.h"
#include "ops/tensor/context.h"
#include "runtime/base/round.h"
#include "scheduler/job/job.h"

namespace reef::actors {

/// i32 (sequences, context) each; a target is the token that follows, or negative where none counts
/// (data/format/pairs.h).
struct Batch {
  ops::Tensor tokens, targets;
};

/// Which windows of the text a leaf is made of, and the tokens in them: a pure function of job,
/// round and leaf.
/// Thread: any; reading changes nothing.
class BatchReader {
 public:
  /// Opens both splits. kData says what is missing or does not fit the model.
  static Result<BatchReader> open(const job::Job& job);

  /// Leaf `leaf` of the round's global batch, its sequences read by the workers, side by side.
  Result<Batch> read(ops::Context& workers, ops::Pool& pool, const Round& round,
                     std::uint64_t leaf) const;

 private:
  BatchReader(const job::Training& training, data::TokenShards train, data::TokenShards held_out,
              data::DataOrder order, std::uint64_t first_sample)
      : training_(training),
        train_(std::move(train)),
        held_out_(std::move(held_out)),
        order_(order),
        first_sample_(first_sample) {}

  Status read_window(const Round& round, std::uint64_t sample,
                     std::span<std::int32_t> window) const;

  job::Training training_;
  data::TokenShards train_;
  data::TokenShards held_out_;
  data::DataOrder order_;
  std::uint64_t first_sample_;  ///< of the island's, in each batch of all islands
};

}  // namespace reef::actors
