#include "actors/model/layer_shard.h"

#include <deque>
#include <optional>

#include "actors/model/loss.h"
#include "collectives/algorithms/leaf_tree.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using nn::Parameters;
using ops::Tensor;

enum : std::size_t { kForward, kBackward, kWeights };

class LayerShard final : public Task {
 public:
  LayerShard(const TaskSetup& setup, const plan::Actor& actor)
      : stage_(setup.model, actor.first_layer, actor.last_layer),
        config_(setup.job.model),
        seed_(setup.job.training.seed),
        sequences_(setup.job.training.sequences_per_leaf),
        micro_batches_(setup.plan.leaves / setup.plan.replicas),
        replica_(actor.replica),
        hidden_{sequences_, setup.job.training.context, nn::width_of(config_)},
        activations_(setup.model.activations),
        gradient_names_(gradient_names(stage_)),
        in_halves_(actor.acts.size() > (stage_.is_last() ? 3 : 2)) {
    if (stage_.is_last()) loss_.emplace(setup);
    for (const auto& parameter : stage_.parameters()) weight_names_.push_back(parameter.name);
    std::sort(weight_names_.begin(), weight_names_.end());
  }

  Status run(Firing& firing) override {
    switch (firing.act) {
      case kForward:
        return forward(firing);
      case kBackward:
        return in_halves_ ? backward_input(firing) : backward(firing);
      case kWeights:
        if (in_halves_) return backward_weights(firing);
    }
    return loss_->run(firing);
  }

 private:
  /// input, weights, [tied weights] -> output, stash
  Status forward(Firing& firing) {
    const Token& input = *firing.inputs[0];
    if (input.micro != expected_micro_) {
      return Error{Code::kProto, "input",
                   "micro-batch " + std::to_string(input.micro) + " out of order"};
    }
    expected_micro_ = (expected_micro_ + 1) % micro_batches_;
    ATOLL_TRY(check_input(input.tensors.at(0)));
    if (input.micro == 0) ATOLL_TRY(take_weights(firing));
    std::unique_ptr<ops::Tape> tape;
    const nn::Sample sample{seed_, input.round.step, first_sample(input.micro),
                            input.round.training()};
    Token& output = *firing.outputs[0];
    output.round = input.round;
    output.micro = input.micro;
    output.tensors = {stage_.forward(firing.context, weights_, input.tensors.at(0), sample,
                                     input.round.training() ? &tape : nullptr)};
    stash_.push_back(std::move(tape));
    firing.outputs[1]->round = input.round;
    firing.outputs[1]->micro = input.micro;
    return {};
  }

  /// grad output, stash -> gradients, [grad input]
  Status backward(Firing& firing) {
    const Token& grad_output = *firing.inputs[0];
    ATOLL_ASSIGN(const auto tape, take_tape(firing));
    if (grad_output.empty) return {};
    Parameters grads;
    Tensor grad =
        stage_.backward(firing.context, weights_, *tape, grad_output.tensors.at(0), grads);
    if (firing.outputs.size() > 1) firing.outputs[1]->tensors = {std::move(grad)};
    add_leaf(firing, grads);
    return {};
  }

  /// grad output, stash -> rest, [grad input]
  Status backward_input(Firing& firing) {
    const Token& grad_output = *firing.inputs[0];
    ATOLL_ASSIGN(const auto tape, take_tape(firing));
    ops::LaterGradients& later = later_.emplace_back();
    if (grad_output.empty) return {};
    Tensor grad =
        stage_.backward_input(firing.context, weights_, *tape, grad_output.tensors.at(0), later);
    if (firing.outputs.size() > 1) firing.outputs[1]->tensors = {std::move(grad)};
    return {};
  }

  /// rest -> gradients
  Status backward_weights(Firing& firing) {
    mark(firing);
    ops::LaterGradients later = std::move(later_.front());
    later_.pop_front();
    if (!firing.inputs[0]->empty) add_leaf(firing, later.compute(firing.context));
    return {};
  }

  /// The oldest tape, to which the gradient that came must belong. Marks the outputs.
  Result<std::unique_ptr<ops::Tape>> take_tape(Firing& firing) {
    ATOLL_TRY(check_grad(*firing.inputs[0], *firing.inputs[1]));
    std::unique_ptr<ops::Tape> tape = std::move(stash_.front());
    stash_.pop_front();
    mark(firing);
    return tape;
  }

  /// Outputs belong to the round and micro-batch of the first input, and are empty if it is.
  static void mark(Firing& firing) {
    for (Token* output : firing.outputs) {
      if (output == nullptr) continue;
      output->round = firing.inputs[0]->round;
      output->micro = firing.inputs[0]->micro;
      output->empty = firing.inputs[0]->empty;
    }
  }

  /// Output 0 receives the sum after the last leaf.
  void add_leaf(Firing& firing, const Parameters& grads) {
    std::vector<Tensor> leaf;
    for (const std::string& name : gradient_names_) leaf.push_back(grads.at(name));
    leaves_.add(firing.context, std::move(leaf));
    if (firing.outputs[0] != nullptr) firing.outputs[0]->tensors = leaves_.take();
  }

  /// What comes from another process has been decoded, but not believed.
  Status check_input(const Tensor& input) const {
    return stage_.is_first() ? nn::check_tokens(config_, input) : check_hidden(input);
  }

  Status check_grad(const Token& grad, const Token& stash) const {
    const bool same = grad.round == stash.round && grad.micro == stash.micro;
    if (!same || grad.empty == grad.round.training()) {
      return Error{Code::kProto, "gradient", "belongs to another micro-batch than the stash"};
    }
    return grad.empty || stage_.is_last() ? Status() : check_hidden(grad.tensors.at(0));
  }

  Status check_hidden(const Tensor& tensor) const {
    return check(tensor, hidden_, activations_, "hidden");
  }

  /// kTensor, with what there is and what there should be.
  static Status check(const Tensor& tensor, const ops::Shape& shape, ops::DType dtype,
                      const std::string& name) {
    if (tensor.shape() == shape && tensor.dtype() == dtype) return {};
    const auto text = [](const ops::Shape& extents, ops::DType of) {
      return std::string(ops::name_of(of)) + " " + extents.text();
    };
    return Error{Code::kTensor, name,
                 "is " + text(tensor.shape(), tensor.dtype()) + ", not " + text(shape, dtype)};
  }

  Status take_weights(Firing& firing) {
    const auto& own = firing.inputs[1]->tensors;
    if (own.size() != weight_names_.size())
      return Error{Code::kTensor, "weights", "not the tensors of this stage"};
    for (std::size_t i = 0; i < own.size(); ++i) weights_[weight_names_[i]] = own[i];
    for (std::size_t i = 0; i < stage_.tied().size(); ++i) {
      const Tensor& tied = firing.inputs[2]->tensors.at(i);
      ATOLL_TRY(check(tied, {nn::vocabulary_of(config_), nn::width_of(config_)}, activations_,
                      stage_.tied()[i]));
      weights_[stage_.tied()[i]] = tied;
    }
    return {};
  }

  std::uint64_t first_sample(std::uint32_t micro) const {
    return (std::uint64_t{replica_} * micro_batches_ + micro) * sequences_;
  }

  nn::Stage stage_;
  nn::ModelConfig config_;
  std::uint64_t seed_;
  std::uint32_t sequences_;
  std::uint32_t micro_batches_;
  std::uint32_t replica_;
  std::uint32_t expected_micro_ = 0;
  ops::Shape hidden_;  ///< of one micro-batch between stages
  ops::DType activations_;
  std::vector<std::string> gradient_names_;
  bool in_halves_;
  std::optional<Loss> loss_;               ///< of the last stage
  std::vector<std::string> weight_names_;  ///< in canonical order, as the optimizer publishes them
  Parameters weights_;                     ///< handles into the weights' register slot
  std::deque<std::unique_ptr<ops::Tape>> stash_;
  std::deque<ops::LaterGradients> later_;  ///< between the halves of backward
  collectives::LeafTree leaves_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_layer_shard(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<LayerShard>(setup, actor));
}

}  // namespace reef::actors
