#include "actors/data/data_loader.h"

#include "actors/data/format/data_order.h"
#include "actors/data/format/token_shards.h"

namespace reef::actors {
namespace {

class DataLoader final : public Task {
 public:
  DataLoader(const TaskSetup& setup, const plan::Actor& actor, data::TokenShards train,
             data::TokenShards held_out, data::DataOrder order, RoundSchedule schedule)
      : training_(setup.job.training),
        replica_(actor.replica),
        micro_batches_(setup.plan.leaves / setup.plan.replicas),
        train_(std::move(train)),
        held_out_(std::move(held_out)),
        order_(order),
        schedule_(schedule) {}

  bool willing() const override {
    if (micro_ != 0) return true;  // a round that has begun is finished
    return !held_ && !(begun_ && round_.last);
  }

  std::uint64_t hold() override {
    held_ = true;
    return begun_ ? round_.step : schedule_.first_step;
  }

  void release(std::uint64_t step) override {
    held_ = false;
    schedule_.steps = step;
  }

  Status run(Firing& firing) override {
    if (micro_ == 0) {
      round_ = schedule_.next(begun_ ? &round_ : nullptr);
      begun_ = true;
    }
    const auto rows = static_cast<std::int64_t>(training_.sequences_per_leaf);
    const auto length = static_cast<std::int64_t>(training_.context);
    auto tokens = ops::Tensor::empty(firing.context.pool(), ops::DType::kI32, {rows, length});
    auto targets = ops::Tensor::empty(firing.context.pool(), ops::DType::kI32, {rows, length});
    std::vector<std::int32_t> window(training_.context + 1);
    for (std::int64_t row = 0; row < rows; ++row) {
      ATOLL_TRY(read(static_cast<std::uint64_t>(row), window));
      std::copy(window.begin(), window.end() - 1, tokens.data<std::int32_t>() + row * length);
      std::copy(window.begin() + 1, window.end(), targets.data<std::int32_t>() + row * length);
    }
    fill(*firing.outputs[0], std::move(tokens));
    fill(*firing.outputs[1], std::move(targets));
    micro_ = (micro_ + 1) % micro_batches_;
    return {};
  }

 private:
  Status read(std::uint64_t row, std::span<std::int32_t> window) {
    const std::uint64_t leaf = std::uint64_t{replica_} * micro_batches_ + micro_;
    const std::uint64_t sample = leaf * training_.sequences_per_leaf + row;
    if (round_.training()) return train_.read(order_.position(round_.step - 1, sample), window);
    const std::uint64_t global_batch =
        std::uint64_t{training_.leaves} * training_.sequences_per_leaf;
    const std::uint64_t windows = (held_out_.tokens() - 1) / training_.context;
    const std::uint64_t index = ((round_.evaluation - 1) * global_batch + sample) % windows;
    return held_out_.read(index * training_.context, window);
  }

  void fill(Token& token, ops::Tensor tensor) const {
    token.round = round_;
    token.micro = micro_;
    token.tensors = {std::move(tensor)};
  }

  const job::Training& training_;
  std::uint32_t replica_;
  std::uint32_t micro_batches_;
  data::TokenShards train_;
  data::TokenShards held_out_;
  data::DataOrder order_;
  RoundSchedule schedule_;
  Round round_;
  std::uint32_t micro_ = 0;
  bool begun_ = false;
  bool held_ = false;
};

Result<data::TokenShards> open_split(const job::Job& job, const char* split) {
  ATOLL_ASSIGN(auto shards, data::TokenShards::open(job.data.path, split));
  const auto vocabulary = static_cast<std::uint64_t>(job.model.vocab_size);
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
  return shards;
}

}  // namespace

Status check_data(const job::Job& job) {
  for (const char* split : {"train", "validation"}) {
    if (const auto shards = open_split(job, split); !shards.ok()) return shards.error();
  }
  return {};
}

Result<std::unique_ptr<Task>> make_data_loader(const TaskSetup& setup, const plan::Actor& actor) {
  const job::Job& job = setup.job;
  ATOLL_ASSIGN(auto train, open_split(job, "train"));
  ATOLL_ASSIGN(auto held_out, open_split(job, "validation"));
  const std::uint64_t global_batch =
      std::uint64_t{job.training.leaves} * job.training.sequences_per_leaf;
  ATOLL_ASSIGN(const auto order, data::DataOrder::make(job.training.seed, train.tokens(),
                                                       job.training.context, global_batch));
  ATOLL_ASSIGN(const std::uint64_t first, first_step(job));
  const RoundSchedule schedule{first, job.training.steps, job.evaluation.every,
                               job.evaluation.rounds, job.checkpoints.every};
  return std::unique_ptr<Task>(std::make_unique<DataLoader>(setup, actor, std::move(train),
                                                            std::move(held_out), order, schedule));
}

}  // namespace reef::actors
