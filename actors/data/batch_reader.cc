#include "actors/data/batch_reader.h"

#include <algorithm>
#include <string>
#include <vector>

namespace reef::actors {
namespace {

std::uint64_t global_batch(const job::Training& training) {
  return std::uint64_t{training.leaves} * training.sequences_per_leaf;
}

Result<data::TokenShards> open_split(const job::Job& job, const char* split) {
  ATOLL_ASSIGN(auto shards, data::TokenShards::open(job.data.path, split));
  const auto vocabulary = static_cast<std::uint64_t>(nn::vocabulary_of(job.model));
  if (shards.vocab_size() > vocabulary) {
    return Error{Code::kData, job.data.path,
                 "the data has " + std::to_string(shards.vocab_size()) +
                     " tokens, the model's vocab_size is " + std::to_string(vocabulary)};
  }
  if (shards.tokens() <= job.training.context) {
    return Error{Code::kData, job.data.path,
                 std::string(split) + ": " + std::to_string(shards.tokens()) +
                     " tokens; one sample needs more than the context of " +
                     std::to_string(job.training.context)};
  }
  const bool about_sources =
      job.distillation && std::ranges::count(job.distillation->teachers,
                                             job::Teacher::Side::kSource, &job::Teacher::side) > 0;
  if (about_sources && !shards.pairs()) {
    return Error{Code::kJobValue, "spec.distillation.teachers",
                 "side: source asks about what is to be translated, but " + job.data.path +
                     " holds no pairs; say side: target, or prepare the data with --pairs"};
  }
  if (shards.pairs() && shards.pairs()->window != job.training.context) {
    return Error{Code::kData, job.data.path,
                 "holds pairs in windows of " + std::to_string(shards.pairs()->window) +
                     " tokens, spec.training.context is " + std::to_string(job.training.context) +
                     "; make them equal, here or with --window of 'atoll data prepare'"};
  }
  return shards;
}

}  // namespace

Result<BatchReader> BatchReader::open(const job::Job& job) {
  ATOLL_ASSIGN(auto train, open_split(job, "train"));
  ATOLL_ASSIGN(auto held_out, open_split(job, "validation"));
  // Islands take turns in one order, so that none reads what another has read.
  const std::uint64_t islands = job.island ? job.island->count() : 1;
  ATOLL_ASSIGN(const auto order,
               data::DataOrder::make(job.training.seed, train.tokens(), job.training.context,
                                     islands * global_batch(job.training)));
  const std::uint64_t first = job.island ? job.island->index * global_batch(job.training) : 0;
  return BatchReader(job.training, std::move(train), std::move(held_out), order, first);
}

Result<Batch> BatchReader::read(ops::Context& workers, ops::Pool& pool, const Round& round,
                                std::uint64_t leaf) const {
  const std::size_t length = training_.context;
  const std::size_t rows = training_.sequences_per_leaf;
  const ops::Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(length)};
  Batch batch{ops::Tensor::empty(pool, ops::DType::kI32, shape),
              ops::Tensor::empty(pool, ops::DType::kI32, shape)};
  std::vector<Status> done(rows);
  workers.parallel_for(rows, [&](std::size_t row) {
    std::vector<std::int32_t> window(length + 1);
    done[row] = read_window(round, leaf * rows + row, window);
    const auto tokens = batch.tokens.values<std::int32_t>().subspan(row * length, length);
    const auto targets = batch.targets.values<std::int32_t>().subspan(row * length, length);
    std::copy_n(window.begin(), length, tokens.begin());
    std::copy_n(window.begin() + 1, length, targets.begin());
    if (train_.pairs()) data::leave_out_sources(*train_.pairs(), tokens, targets);
  });
  for (const Status& status : done) ATOLL_TRY(status);
  return batch;
}

Status BatchReader::read_window(const Round& round, std::uint64_t sample,
                                std::span<std::int32_t> window) const {
  if (round.training())
    return train_.read(order_.position(round.step - 1, first_sample_ + sample), window);
  const std::uint64_t index = (round.evaluation - 1) * global_batch(training_) + sample;
  return held_out_.read(data::held_out_position(held_out_.tokens(), training_.context, index),
                        window);
}

}  // namespace reef::actors
