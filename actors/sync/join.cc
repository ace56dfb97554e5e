#include "actors/sync/join.h"

#include "scheduler/plan/strips.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: strip -> kept, sent; act combine k: kept, received -> kept, sent; the last act:
/// -> sum.
class Join final : public Task {
 public:
  Join(const TaskSetup& setup, const plan::Actor& actor)
      : rank_(actor.rank),
        ranks_(setup.plan.ranks),
        exchanges_(static_cast<std::uint32_t>(actor.acts.size() - 1)),
        dtype_(setup.model.activations),
        sequences_(setup.job.training.sequences_per_leaf),
        width_(nn::width_of(setup.job.model)) {
    const plan::Edge& sum = setup.plan.edges[actor.acts.back().outputs[0].edge];
    elements_ = sum.bytes / ops::size_of(dtype_);
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    follow_input(firing);
    if (input.empty) return {};
    const auto done = static_cast<std::uint32_t>(firing.act);  // exchanges before this act
    Tensor value = input.tensors.at(0);
    if (done == 0) {
      ATOLL_TRY(check(value, plan::strip_of(elements_, ranks_, rank_).count));
    } else {
      ATOLL_ASSIGN(value, joined(firing, done));
    }
    if (done == exchanges_) {
      const auto rows = static_cast<std::int64_t>(elements_) / width_ / sequences_;
      firing.outputs[0]->tensors = {value.reshape({sequences_, rows, width_})};
      return {};
    }
    for (Token* output : firing.outputs) output->tensors = {value};
    return {};
  }

 private:
  Status check(const Tensor& strip, std::uint64_t elements) const {
    if (strip.dtype() == dtype_ && strip.shape() == ops::Shape{static_cast<std::int64_t>(elements)})
      return {};
    return Error{Code::kTensor, "strip", "is not this rank's of the sum"};
  }

  /// What the lower ranks had comes first.
  Result<Tensor> joined(Firing& firing, std::uint32_t done) const {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    if (received.empty || received.round != kept.round || received.micro != kept.micro)
      return Error{Code::kProto, "strip", "a rank sent the strips of something else"};
    const std::uint32_t partner = plan::first_held(rank_ ^ (1u << (done - 1)), done - 1);
    const Tensor &mine = kept.tensors.at(0), &other = received.tensors.at(0);
    ATOLL_TRY(check(other, plan::strip_of(elements_, ranks_, partner, 1u << (done - 1)).count));
    const bool lower = partner < plan::first_held(rank_, done - 1);
    Tensor both =
        Tensor::empty(firing.context.pool(), dtype_, {mine.elements() + other.elements()});
    std::byte* to = both.raw();
    for (const Tensor* part : {lower ? &other : &mine, lower ? &mine : &other}) {
      firing.context.copy_within(to, part->raw(), part->size_bytes());
      to += part->size_bytes();
    }
    return both;
  }

  const std::uint32_t rank_;
  const std::uint32_t ranks_;
  const std::uint32_t exchanges_;
  const ops::DType dtype_;
  const std::int64_t sequences_;
  const std::int64_t width_;
  std::uint64_t elements_ = 0;  ///< of the sum
};

}  // namespace

Result<std::unique_ptr<Task>> make_join(const TaskSetup& setup, const plan::Actor& actor) {
  const plan::Edge& sum = setup.plan.edges[actor.acts.back().outputs[0].edge];
  const std::uint64_t row = ops::size_of(setup.model.activations) *
                            static_cast<std::uint64_t>(nn::width_of(setup.job.model)) *
                            setup.job.training.sequences_per_leaf;
  if (sum.bytes == 0 || sum.bytes % row != 0)
    return Error{Code::kProto, actor.name, "joins what is not hidden"};
  return std::unique_ptr<Task>(std::make_unique<Join>(setup, actor));
}

}  // namespace reef::actors
