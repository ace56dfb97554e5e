#include "actors/model/layer_shard.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "actors/model/in_flight.h"
#include "actors/model/loss.h"
#include "actors/model/ring_layer.h"
#include "actors/model/shard_inputs.h"
#include "ops/nn/stage.h"
#include "scheduler/plan/gathered.h"
#include "scheduler/plan/leaf_order.h"
#include "scheduler/plan/segments.h"

namespace reef::actors {
namespace {

using nn::Parameters;
using ops::Tensor;

/// Its layers run in segments (scheduler/plan/segments.h), each with a tape of its own for each
/// micro-batch.
class LayerShard final : public Task {
 public:
  LayerShard(const TaskSetup& setup, const plan::Actor& actor)
      : stage_(setup.model, actor.first_layer, actor.last_layer),
        inputs_(setup, stage_),
        seed_(setup.job.training.seed),
        sequences_(setup.job.training.sequences_per_leaf),
        order_(setup.plan),
        replica_(actor.replica),
        share_{setup.plan.context, actor.replica % setup.plan.context},
        shared_(setup.plan.ranks > 1),
        in_turn_(setup.plan.shares_weights) {
    const std::uint32_t micro_batches = order_.micro_batches(replica_);
    // That the replica adds before it meets others.
    const std::uint32_t leaves = plan::sums_each_micro_batch(setup.plan) ? 1 : micro_batches;
    const plan::Segments segments = plan::segments_of(setup.plan, actor);
    const std::uint32_t count = in_turn_ ? segments.buckets().count() : segments.count();
    for (std::uint32_t i = 0; i < count; ++i) {
      const plan::LayerRange range = in_turn_ ? segments.buckets().layers(i) : segments.layers(i);
      Segment& segment = segments_.emplace_back(nn::Stage(setup.model, range.first, range.last),
                                                InFlight(micro_batches, leaves));
      if (segments.is_ring(i))
        segment.ring.emplace(setup.model, range.first, share_, inputs_.tokens());
    }
    const std::size_t judging = !stage_.is_last() ? 0 : shared_ ? 2 : 1;
    in_halves_ = actor.acts.size() > 2 * std::size_t{segments.count()} + judging;
    for (std::uint32_t b = 0; b < segments.buckets().count(); ++b)
      add_bucket(setup.model, segments, b);
    if (stage_.is_last()) loss_.emplace(setup, actor.replica);
  }

  Status run(Firing& firing) override {
    if (in_turn_ && firing.act == 0) return forward_next(firing);
    if (in_turn_ && firing.act == 1) return backward_next(firing);
    if (in_turn_) return loss_->run(firing);
    const std::size_t count = segments_.size();
    const std::size_t index = firing.act % count;
    if (firing.act < count) return forward(firing, index);
    if (firing.act < 2 * count) {
      if (segments_[index].ring) return backward_ring(firing, index);
      return in_halves_ ? backward_input(firing, index) : backward(firing, index);
    }
    const std::size_t behind = 2 * count + (in_halves_ ? buckets_.size() : 0);
    if (firing.act < behind) return backward_weights(firing, buckets_[firing.act - 2 * count]);
    if (!shared_) return loss_->run(firing);
    const bool first = firing.act == behind;
    return first ? loss_->statistics(firing) : loss_->run_shared(firing);
  }

  /// A ring begins with nothing: what its first firing takes is what the last one of a micro-batch
  /// would have left. And so do turns.
  Status start(ops::Context&, std::span<Token* const> initial) override {
    for (Token* token : initial) token->empty = true;
    return {};
  }

 private:
  struct Segment {
    Segment(nn::Stage its_layers, InFlight its_micro_batches)
        : layers(std::move(its_layers)), in_flight(std::move(its_micro_batches)) {}

    nn::Stage layers;
    InFlight in_flight;
    std::optional<RingLayer> ring;
    std::vector<nn::Parameter> weights;  ///< that are gathered for it alone, in their order
    std::vector<std::size_t> places;     ///< of its gradients among the bucket's, in their order
    std::size_t bucket = 0;
    bool ends_bucket = false;  ///< in backward
  };

  /// Whose gradients leave together.
  struct Bucket {
    std::size_t first = 0, count = 0;  ///< of its segments
    std::size_t gradients = 0;
  };

  void add_bucket(const nn::ModelSpec& model, const plan::Segments& segments, std::uint32_t index) {
    const plan::LayerRange range = segments.buckets().layers(index);
    const auto names = gradient_names(nn::Stage(model, range.first, range.last));
    const Bucket bucket{segments.first_of(index), segments.count_of(index), names.size()};
    if (in_turn_) segments_[index].weights = plan::gathered(model, range);
    for (std::size_t i = bucket.first; i < bucket.first + bucket.count; ++i) {
      segments_[i].bucket = index;
      segments_[i].ends_bucket = i == bucket.first;
      for (const std::string& name : gradient_names(segments_[i].layers)) {
        const auto place = std::ranges::find(names, name);
        segments_[i].places.push_back(static_cast<std::size_t>(place - names.begin()));
      }
    }
    buckets_.push_back(bucket);
  }

  /// input, of the first segment weights, [tied weights], of a ring keys -> output, stash, ..
  Status forward(Firing& firing, std::size_t index) {
    Segment& segment = segments_[index];
    if (segment.ring && !segment.ring->begins_forward(firing))
      return segment.ring->forward(firing, weights_, {});
    const Token& input = *firing.inputs[0];
    ATOLL_TRY(begin(firing.context, segment, input));
    if (index == 0 && input.micro == 0)
      ATOLL_TRY(inputs_.take_weights(firing.inputs.subspan(1), weights_));
    const nn::Sample sample = sample_of(input);
    if (segment.ring) return segment.ring->forward(firing, weights_, sample);
    std::unique_ptr<ops::Tape> tape;
    Token& output = *firing.outputs[0];
    output.round = input.round;
    output.micro = input.micro;
    output.tensors = {segment.layers.forward(firing.context, weights_, input.tensors.at(0), sample,
                                             input.round.training() ? &tape : nullptr)};
    segment.in_flight.keep(std::move(tape));
    firing.outputs[1]->round = input.round;
    firing.outputs[1]->micro = input.micro;
    return {};
  }

  Status begin(ops::Context& context, Segment& segment, const Token& input) const {
    ATOLL_TRY(segment.in_flight.begin(input));
    return inputs_.check_input(context, segment.layers, input.tensors.at(0));
  }

  /// input, turn, weights -> output, stash: one bucket after the other.
  Status forward_next(Firing& firing) {
    const std::size_t index = firing.number % segments_.size();
    Segment& segment = segments_[index];
    const Token& input = *firing.inputs[0];
    if (index == 0) ATOLL_TRY(begin(firing.context, segment, input));
    ATOLL_ASSIGN(const Parameters weights,
                 ShardInputs::gathered(segment.weights, *firing.inputs[2]));
    std::unique_ptr<ops::Tape> tape;
    hidden_now_ = segment.layers.forward(
        firing.context, weights, index == 0 ? input.tensors.at(0) : hidden_now_, sample_of(input),
        input.round.training() ? &tape : nullptr);
    segment.in_flight.keep(std::move(tape));
    if (index + 1 < segments_.size()) return {};
    for (Token* output : firing.outputs) {
      output->round = input.round;
      output->micro = input.micro;
    }
    firing.outputs[0]->tensors = {std::move(hidden_now_)};
    return {};
  }

  /// grad output, stash, weights -> gradients, [grad input], turn: from the last bucket to the
  /// first.
  Status backward_next(Firing& firing) {
    const std::size_t done = firing.number % segments_.size();
    const std::size_t index = segments_.size() - 1 - done;
    Segment& segment = segments_[index];
    const Token& grad_output = *firing.inputs[0];
    ATOLL_TRY(inputs_.check_grad(segments_.back().layers, grad_output, *firing.inputs[1]));
    const std::unique_ptr<ops::Tape> tape = segment.in_flight.take_tape();
    follow_input(firing);
    if (grad_output.empty) return {};
    ATOLL_ASSIGN(const Parameters weights,
                 ShardInputs::gathered(segment.weights, *firing.inputs[2]));
    const Tensor grad = done == 0 ? grad_output.tensors.at(0) : std::move(grad_now_);
    Parameters grads;
    grad_now_ = segment.layers.backward(firing.context, weights, *tape, grad, grads);
    add_leaf(firing.context, segment, grads);
    give_gradients(firing, buckets_[index]);
    if (index > 0) return {};
    if (!stage_.is_first()) firing.outputs[1]->tensors = {std::move(grad_now_)};
    grad_now_ = {};
    return {};
  }

  nn::Sample sample_of(const Token& input) const {
    return {seed_, input.round.step, first_sample(input.micro), input.round.training(), share_};
  }

  /// grad output, stash -> of a bucket's first segment gradients, [grad input]
  Status backward(Firing& firing, std::size_t index) {
    Segment& segment = segments_[index];
    const Token& grad_output = *firing.inputs[0];
    ATOLL_ASSIGN(const auto tape, take_tape(firing, segment));
    if (grad_output.empty) return {};
    Parameters grads;
    Tensor grad =
        segment.layers.backward(firing.context, weights_, *tape, grad_output.tensors.at(0), grads);
    const std::size_t output = segment.ends_bucket ? 1 : 0;
    if (firing.outputs.size() > output) firing.outputs[output]->tensors = {std::move(grad)};
    add_leaf(firing.context, segment, grads);
    if (segment.ends_bucket) give_gradients(firing, buckets_[segment.bucket]);
    return {};
  }

  /// grad output, stash -> rest, [grad input]
  Status backward_input(Firing& firing, std::size_t index) {
    Segment& segment = segments_[index];
    const Token& grad_output = *firing.inputs[0];
    ATOLL_ASSIGN(const auto tape, take_tape(firing, segment));
    InFlight::Later later;
    if (!grad_output.empty) {
      Tensor grad = segment.layers.backward_input(firing.context, weights_, *tape,
                                                  grad_output.tensors.at(0), later.emplace_back());
      if (firing.outputs.size() > 1) firing.outputs[1]->tensors = {std::move(grad)};
    }
    segment.in_flight.keep_later(std::move(later));
    return {};
  }

  /// grad output, stash, keys, sums -> of a bucket's first segment gradients, or in halves rest,
  /// [grad input], ..
  Status backward_ring(Firing& firing, std::size_t index) {
    Segment& segment = segments_[index];
    if (segment.ring->begins_backward(firing))
      ATOLL_TRY(inputs_.check_grad(segment.layers, *firing.inputs[0], *firing.inputs[1]));
    ATOLL_ASSIGN(RingLayer::Opened opened, segment.ring->backward(firing, weights_));
    if (!segment.ring->ends_backward(firing)) return {};
    if (firing.inputs[0]->empty) {
      if (in_halves_) segment.in_flight.keep_later({});
      return {};
    }
    const std::size_t output = segment.ends_bucket || in_halves_ ? 1 : 0;
    Token* const grad = firing.outputs.size() > output + 2 ? firing.outputs[output] : nullptr;
    if (grad != nullptr) grad->tensors = {std::move(opened.grad)};
    InFlight::Later later;
    later.push_back(std::move(opened.close));
    later.push_back(std::move(opened.open));
    if (in_halves_) {
      segment.in_flight.keep_later(std::move(later));
      return {};
    }
    add_leaf(firing.context, segment, compute(firing.context, later));
    if (segment.ends_bucket) give_gradients(firing, buckets_[segment.bucket]);
    return {};
  }

  /// rest [x segments of a bucket] -> gradients
  Status backward_weights(Firing& firing, const Bucket& bucket) {
    follow_input(firing);
    for (std::size_t i = bucket.first; i < bucket.first + bucket.count; ++i) {
      Segment& segment = segments_[i];
      InFlight::Later later = segment.in_flight.take_later();
      if (!firing.inputs[0]->empty)
        add_leaf(firing.context, segment, compute(firing.context, later));
    }
    if (!firing.inputs[0]->empty) give_gradients(firing, bucket);
    return {};
  }

  /// The oldest tape, to which the gradient that came must belong. Marks the outputs.
  Result<std::unique_ptr<ops::Tape>> take_tape(Firing& firing, Segment& segment) const {
    ATOLL_TRY(inputs_.check_grad(segment.layers, *firing.inputs[0], *firing.inputs[1]));
    std::unique_ptr<ops::Tape> tape = segment.in_flight.take_tape();
    follow_input(firing);
    return tape;
  }

  static Parameters compute(ops::Context& context, InFlight::Later& later) {
    Parameters grads;
    for (ops::LaterGradients& some : later) grads.merge(some.compute(context));
    return grads;
  }

  static void add_leaf(ops::Context& context, Segment& segment, const Parameters& grads) {
    std::vector<Tensor> leaf;
    for (const std::string& name : gradient_names(segment.layers)) leaf.push_back(grads.at(name));
    segment.in_flight.add_leaf(context, std::move(leaf));
  }

  /// Output 0 receives the sums after the last leaf, in canonical order.
  void give_gradients(Firing& firing, const Bucket& bucket) {
    if (firing.outputs[0] == nullptr) return;
    std::vector<Tensor>& all = firing.outputs[0]->tensors;
    all.resize(bucket.gradients);
    for (std::size_t s = bucket.first; s < bucket.first + bucket.count; ++s) {
      Segment& segment = segments_[s];
      std::vector<Tensor> sums = segment.in_flight.take_sum(firing.context);
      for (std::size_t i = 0; i < sums.size(); ++i) all[segment.places[i]] = std::move(sums[i]);
    }
  }

  std::uint64_t first_sample(std::uint32_t micro) const {
    return order_.leaf(replica_, micro) * sequences_;
  }

  nn::Stage stage_;
  ShardInputs inputs_;
  std::uint64_t seed_;
  std::uint32_t sequences_;
  plan::LeafOrder order_;
  std::uint32_t replica_;
  nn::ContextShare share_;
  bool shared_;   ///< by ranks
  bool in_turn_;  ///< buckets compute one after the other, each with weights of its own
  bool in_halves_ = false;
  std::optional<Loss> loss_;      ///< of the last stage
  Parameters weights_;            ///< handles into the weights' register slot
  Tensor hidden_now_, grad_now_;  ///< between buckets that take turns
  std::deque<Segment> segments_;
  std::vector<Bucket> buckets_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_layer_shard(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<LayerShard>(setup, actor));
}

}  // namespace reef::actors
