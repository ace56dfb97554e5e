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
/// outputs. Where buckets take turns, all fire for each of them, from the last to the first. A
/// codec that rounds may do so on the wire: as each sum has one owner, no replica sees another one.
class HalvingSync final : public Task {
 public:
  HalvingSync(const TaskSetup& setup, const plan::Actor& actor)
      : replica_(actor.replica),
        exchanges_(static_cast<std::uint32_t>(actor.acts.size() - 1)),
        firings_(actor.acts.back().firings) {
    const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
    const bool splits = actor.acts.back().outputs.size() > 1;
    const plan::LayerRange all{actor.first_layer, actor.last_layer};
    const plan::Buckets buckets = plan::buckets_of(setup.plan, actor);
    for (std::uint32_t b = 0; b < (setup.plan.shares_weights ? buckets.count() : 1); ++b)
      add(setup.model, deal, setup.plan.shares_weights ? buckets.layers(b) : all, splits);
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      if (output == nullptr) continue;
      output->round = input.round;
      // A round's sum is of no micro-batch, of which partners may have unequally many.
      output->micro = firings_ > buckets_.size() ? input.micro : 0;
      output->empty = input.empty;
    }
    if (input.empty) return {};
    const auto done = static_cast<std::uint32_t>(firing.act);  // exchanges before this act
    Bucket& bucket = buckets_[buckets_.size() - 1 - firing.number % buckets_.size()];
    std::vector<Tensor> value;
    if (done == 0) {
      ATOLL_ASSIGN(value, cut(bucket, input.tensors));
    } else {
      ATOLL_ASSIGN(value, combine(firing, bucket, done));
    }
    if (done < exchanges_) {
      give(firing, bucket, done, std::move(value));
      return {};
    }
    bucket.leaves.add(firing.context, std::move(value));
    if (firing.outputs[0] == nullptr) return {};
    for (Bucket& one : buckets_) {
      // Tokens of micro-batches may come from other nodes.
      if (one.leaves.count() != firings_ / buckets_.size())
        return Error{Code::kProto, "gradients", "some micro-batches of a round had none"};
      give(firing, one, done, one.leaves.take(firing.context));
    }
    return {};
  }

 private:
  /// A run of one of a bucket's gradients.
  struct Part {
    plan::Slice slice;
    std::size_t gradient = 0;
    bool foreign = false;  ///< of a use of a tensor that another stage owns
  };

  struct Bucket {
    std::vector<ops::Shape> shapes;  ///< of its gradients
    std::vector<Part> parts;         ///< of them, in order
    collectives::LeafTree leaves;    ///< of the own slices
  };

  void add(const nn::ModelSpec& model, const plan::Deal& deal, plan::LayerRange layers,
           bool splits) {
    Bucket& bucket = buckets_.emplace_back();
    for (const Gradient& gradient : gradients_of(model, layers, false)) {
      const std::string_view parameter = nn::parameter_of(gradient.name);
      const bool foreign = splits && parameter != gradient.name;
      for (const plan::Slice& slice : deal.of(parameter))
        bucket.parts.push_back({slice, bucket.shapes.size(), foreign});
      bucket.shapes.push_back(gradient.shape);
    }
  }

  void give(Firing& firing, const Bucket& bucket, std::uint32_t done,
            std::vector<Tensor> value) const {
    std::size_t at = 0;
    for (const Part& part : bucket.parts) {
      if (!plan::holds(replica_, part.slice, done)) continue;
      const bool first = done < exchanges_ ? plan::holds(replica_, part.slice, done + 1)  // kept
                                           : !part.foreign;                               // own
      firing.outputs[first ? 0 : 1]->tensors.push_back(std::move(value[at++]));
    }
  }

  static Result<std::vector<Tensor>> cut(const Bucket& bucket,
                                         const std::vector<Tensor>& gradients) {
    const auto same = [](const Tensor& tensor, const ops::Shape& shape) {
      return tensor.shape() == shape && tensor.dtype() == ops::DType::kF32;
    };
    if (!std::ranges::equal(gradients, bucket.shapes, same))
      return Error{Code::kTensor, "gradients", "not the gradients of this stage"};
    std::vector<Tensor> value;
    for (const Part& part : bucket.parts) {
      const Tensor& whole = gradients[part.gradient];
      value.push_back(whole.reshape({whole.elements()}).slice(part.slice.first, part.slice.count));
    }
    return value;
  }

  /// What was kept and what the partner sent of the same slices, added.
  Result<std::vector<Tensor>> combine(Firing& firing, const Bucket& bucket,
                                      std::uint32_t done) const {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    if (received.empty || received.round != kept.round || received.micro != kept.micro ||
        received.tensors.size() != kept.tensors.size()) {
      return Error{Code::kProto, "gradients",
                   "a partner sent the gradients of another round, micro-batch or stage"};
    }
    std::vector<Tensor> value;
    for (const Part& part : bucket.parts) {
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
  const std::uint32_t firings_;  ///< of each act, a round
  std::vector<Bucket> buckets_;  ///< that take turns, or one of all that it is of
};

}  // namespace

Result<std::unique_ptr<Task>> make_halving_sync(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<HalvingSync>(setup, actor));
}

}  // namespace reef::actors
