#include "actors/data/data_loader.h"

#include "actors/data/batch_reader.h"
#include "ops/cpu/thread_pool.h"
#include "ops/nn/ring_attention.h"
#include "scheduler/plan/leaf_order.h"

namespace reef::actors {
namespace {

class DataLoader final : public Task {
 public:
  DataLoader(const TaskSetup& setup, const plan::Actor& actor, BatchReader reader,
             RoundSchedule schedule)
      : replica_(actor.replica),
        share_{setup.plan.context, actor.replica % setup.plan.context},
        order_(setup.plan),
        reader_(std::move(reader)),
        workers_(setup.job.data.workers),
        schedule_(schedule),
        student_(setup.job.distillation.has_value()) {}

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
    const std::uint64_t leaf = order_.leaf(replica_, micro_);
    ATOLL_ASSIGN(Batch batch, reader_.read(workers_, firing.context.pool(), round_, leaf));
    if (!share_.is_whole()) {
      batch.tokens = nn::part_of(firing.context, share_, batch.tokens);
      batch.targets = nn::part_of(firing.context, share_, batch.targets);
    }
    const std::size_t ranks = firing.outputs.size() / 2;
    for (std::size_t t = 0; t < ranks; ++t) {
      fill(*firing.outputs[t], batch.tokens);
      fill(*firing.outputs[ranks + t], batch.targets);
      // Whoever asks teachers needs to know about what.
      if (student_) firing.outputs[ranks + t]->tensors.push_back(batch.tokens);
    }
    micro_ = (micro_ + 1) % order_.micro_batches(replica_);
    return {};
  }

 private:
  void fill(Token& token, const ops::Tensor& tensor) const {
    token.round = round_;
    token.micro = micro_;
    token.tensors = {tensor};
  }

  std::uint32_t replica_;
  nn::ContextShare share_;  ///< of each sequence that its replica has
  plan::LeafOrder order_;
  BatchReader reader_;
  ops::ThreadPool workers_;
  RoundSchedule schedule_;
  bool student_;
  Round round_;
  std::uint32_t micro_ = 0;
  bool begun_ = false;
  bool held_ = false;
};

}  // namespace

Status check_data(const job::Job& job) {
  if (const auto reader = BatchReader::open(job); !reader.ok()) return reader.error();
  return {};
}

Result<std::unique_ptr<Task>> make_data_loader(const TaskSetup& setup, const plan::Actor& actor) {
  const job::Job& job = setup.job;
  ATOLL_ASSIGN(auto reader, BatchReader::open(job));
  ATOLL_ASSIGN(const std::uint64_t first, first_step(job));
  const RoundSchedule schedule{first,
                               job.training.steps,
                               job.evaluation.every,
                               job.evaluation.rounds,
                               job.checkpoints.every,
                               job.local_steps.has_value()};
  return std::unique_ptr<Task>(
      std::make_unique<DataLoader>(setup, actor, std::move(reader), schedule));
}

}  // namespace reef::actors
