#include "actors/sync/halving.h"

#include "actors/sync/exchanges.h"
#include "collectives/algorithms/leaf_tree.h"
#include "ops/functional/functional.h"
#include "ops/nn/spec.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: gradients -> kept, sent; act combine k: kept, received -> kept, sent; the last act:
/// -> reduced, [tied reduced]. All fire once a round, or once a micro-batch: then the last act adds
/// the sums over replicas along the upper levels of the leaf tree, and only its last firing has
/// outputs. A codec that rounds may do so on the wire: as each sum has one owner, no replica sees
/// another one.
class HalvingSync final : public Task {
 public:
  HalvingSync(const TaskSetup& setup, const plan::Actor& actor)
      : replica_(actor.replica),
        exchanges_(static_cast<std::uint32_t>(actor.acts.size() - 1)),
        firings_(actor.acts.back().firings) {
    const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
    const bool splits = actor.acts.back().outputs.size() > 1;
    for (const Gradient& gradient : gradients_of(setup.model, actor, false)) {
      const std::string_view parameter = nn::parameter_of(gradient.name);
      const bool foreign = splits && parameter != gradient.name;
      for (const plan::Slice& slice : deal.of(parameter))
        slices_.push_back({slice, shapes_.size(), foreign});
      shapes_.push_back(gradient.shape);
    }
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      if (output == nullptr) continue;
      output->round = input.round;
      // A round's sum is of no micro-batch, of which partners may have unequally many.
      output->micro = firings_ > 1 ? input.micro : 0;
      output->empty = input.empty;
    }
    if (input.empty) return {};
    const auto done = static_cast<std::uint32_t>(firing.act);  // exchanges before this act
    std::vector<Tensor> value;
    if (done == 0) {
      ATOLL_ASSIGN(value, cut(input.tensors));
    } else {
      ATOLL_ASSIGN(value, combine(firing, done));
    }
    if (done == exchanges_) {
      leaves_.add(firing.context, std::move(value));
      if (firing.outputs[0] == nullptr) return {};
      // Tokens of micro-batches may come from other nodes.
      if (leaves_.count() != firings_)
        return Error{Code::kProto, "gradients", "some micro-batches of a round had none"};
      value = leaves_.take(firing.context);
    }
    give(firing, done, std::move(value));
    return {};
  }

 private:
  /// A run of one of the stage's gradients.
  struct Part {
    plan::Slice slice;
    std::size_t gradient = 0;
    bool foreign = false;  ///< of a use of a tensor that another stage owns
  };

  void give(Firing& firing, std::uint32_t done, std::vector<Tensor> value) const {
    std::size_t at = 0;
    for (const Part& part : slices_) {
      if (!plan::holds(replica_, part.slice, done)) continue;
      const bool first = done < exchanges_ ? plan::holds(replica_, part.slice, done + 1)  // kept
                                           : !part.foreign;                               // own
      firing.outputs[first ? 0 : 1]->tensors.push_back(std::move(value[at++]));
    }
  }

  Result<std::vector<Tensor>> cut(const std::vector<Tensor>& gradients) const {
    const auto same = [](const Tensor& tensor, const ops::Shape& shape) {
      return tensor.shape() == shape && tensor.dtype() == ops::DType::kF32;
    };
    if (!std::ranges::equal(gradients, shapes_, same))
      return Error{Code::kTensor, "gradients", "not the gradients of this stage"};
    std::vector<Tensor> value;
    for (const Part& part : slices_) {
      const Tensor& whole = gradients[part.gradient];
      value.push_back(whole.reshape({whole.elements()}).slice(part.slice.first, part.slice.count));
    }
    return value;
  }

  /// What was kept and what the partner sent of the same slices, added.
  Result<std::vector<Tensor>> combine(Firing& firing, std::uint32_t done) const {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    if (received.empty || received.round != kept.round || received.micro != kept.micro ||
        received.tensors.size() != kept.tensors.size()) {
      return Error{Code::kProto, "gradients",
                   "a partner sent the gradients of another round, micro-batch or stage"};
    }
    std::vector<Tensor> value;
    for (const Part& part : slices_) {
      if (!plan::holds(replica_, part.slice, done)) continue;
      const Tensor& mine = kept.tensors.at(value.size());
      const Tensor& other = received.tensors.at(value.size());
      if (other.spec() != mine.spec() || mine.elements() != part.slice.count)
        return Error{Code::kTensor, "gradients", "a partner's gradient has another shape"};
      value.push_back(ops::add(firing.context, mine, other));
    }
    if (value.size() != kept.tensors.size())
      return Error{Code::kTensor, "gradients", "more than the slices of this replica"};
    return value;
  }

  const std::uint32_t replica_;
  const std::uint32_t exchanges_;
  const std::uint32_t firings_;     ///< of each act, a round
  std::vector<ops::Shape> shapes_;  ///< of the stage's gradients
  std::vector<Part> slices_;        ///< of them, in order
  collectives::LeafTree leaves_;    ///< of the own slices
};

}  // namespace

Result<std::unique_ptr<Task>> make_halving_sync(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<HalvingSync>(setup, actor));
}

}  // namespace reef::actors
