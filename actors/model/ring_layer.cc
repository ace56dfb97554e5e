#include "actors/model/ring_layer.h"

#include <utility>

#include "ops/functional/functional.h"

namespace reef::actors {

using nn::Parameters;
using ops::Tensor;

namespace {

constexpr std::size_t kHeads = 2;  ///< axis of queries, keys and values

Error out_of_turn() {
  return Error{Code::kProto, "attention", "a replica of the context is out of turn"};
}

void mark(Firing& firing, const Token& as) {
  for (Token* output : firing.outputs) {
    if (output == nullptr) continue;
    output->round = as.round;
    output->micro = as.micro;
    output->empty = as.empty;
  }
}

/// A hostile plan may want no token where a firing makes one.
Status give(Token* output, const Tensor& tensor) {
  if (output == nullptr) return out_of_turn();
  output->tensors = {tensor};
  return {};
}

/// What nobody needs any more.
Status give_nothing(Token* output) {
  if (output == nullptr) return out_of_turn();
  output->empty = true;
  return {};
}

}  // namespace

RingLayer::RingLayer(const nn::ModelSpec& spec, std::size_t layer, const nn::ContextShare& share,
                     ops::Shape tokens)
    : segments_(spec, layer),
      share_(share),
      activations_(spec.activations),
      heads_(nn::heads_of(spec)),
      keys_{tokens[0], tokens[1], 2 * heads_.keys, heads_.size} {}

Status RingLayer::forward(Firing& firing, const Parameters& weights, const nn::Sample& sample) {
  const Token& input = *firing.inputs.front();
  mark(firing, input);
  if (begins_forward(firing)) return open(firing, weights, sample);
  if (!opening_) return out_of_turn();
  const Token& keys = *firing.inputs.back();
  ATOLL_TRY(check(input, keys, activations_));
  opening_->ring.meet(firing.context, keys.tensors[0]);
  if (forward_step(firing) + 1 < share_.ranks) return give(firing.outputs.back(), keys.tensors[0]);
  ATOLL_TRY(give_nothing(firing.outputs.back()));
  return close(firing, weights);
}

Status RingLayer::open(Firing& firing, const Parameters& weights, const nn::Sample& sample) {
  const Tensor& input = firing.inputs.front()->tensors.at(0);
  Kept kept;
  const Tensor qkv = segments_.open(firing.context, weights, input, sample,
                                    sample.training ? &kept.open : nullptr);
  kept.queries = qkv.narrow(kHeads, 0, heads_.queries);
  kept.keys = qkv.narrow(kHeads, heads_.queries, 2 * heads_.keys);
  nn::RingAttention ring(share_, kept.queries);
  ring.meet(firing.context, kept.keys);
  const Tensor keys = ops::contiguous(firing.context, kept.keys);
  opening_.emplace(Opening{input, sample, std::move(ring), std::move(kept)});
  return give(firing.outputs.back(), keys);
}

Status RingLayer::close(Firing& firing, const Parameters& weights) {
  Opening opening = std::move(*opening_);
  opening_.reset();
  Kept& kept = opening.kept;
  kept.attended = opening.ring.finish(firing.context);
  ATOLL_TRY(give(firing.outputs[0],
                 segments_.close(firing.context, weights, kept.attended.out, opening.input,
                                 opening.sample, opening.sample.training ? &kept.close : nullptr)));
  if (!opening.sample.training) kept = {};
  stash_.push_back(std::move(kept));
  return {};
}

Result<RingLayer::Opened> RingLayer::backward(Firing& firing, const Parameters& weights) {
  const Token& grad = *firing.inputs[0];
  mark(firing, grad);
  if (begins_backward(firing)) {
    ATOLL_TRY(close_backward(firing, weights));
    return Opened{};
  }
  if (returning_.has_value() == grad.empty) return out_of_turn();
  if (grad.empty) return Opened{};
  if (ends_backward(firing)) return open_backward(firing, weights);
  ATOLL_TRY(meet_backward(firing));
  return Opened{};
}

Status RingLayer::close_backward(Firing& firing, const Parameters& weights) {
  if (stash_.empty()) return out_of_turn();
  const Token& grad = *firing.inputs[0];
  Kept kept = std::move(stash_.front());
  stash_.pop_front();
  if (grad.empty) return {};
  if (!kept.close) return out_of_turn();
  ops::LaterGradients later;
  auto grads =
      segments_.close_backward(firing.context, weights, *kept.close, grad.tensors.at(0), later);
  returning_.emplace(Returning{
      std::move(kept.open), nn::RingAttentionGrad(share_, kept.queries, kept.attended, grads.out),
      std::move(grads.x), std::move(later)});
  const std::size_t ports = firing.outputs.size();
  ATOLL_TRY(give(firing.outputs[ports - 2], ops::contiguous(firing.context, kept.keys)));
  return give(firing.outputs[ports - 1], returning_->ring.meet(firing.context, kept.keys, {}));
}

Status RingLayer::meet_backward(Firing& firing) {
  const Token &grad = *firing.inputs[0], &keys = *firing.inputs[2], &sums = *firing.inputs[3];
  ATOLL_TRY(check(grad, keys, activations_));
  ATOLL_TRY(check(grad, sums, ops::DType::kF32));
  const std::size_t ports = firing.outputs.size();
  const bool last = backward_step(firing) + 1 == share_.ranks;
  ATOLL_TRY(last ? give_nothing(firing.outputs[ports - 2])
                 : give(firing.outputs[ports - 2], keys.tensors[0]));
  return give(firing.outputs[ports - 1],
              returning_->ring.meet(firing.context, keys.tensors[0], sums.tensors[0]));
}

Result<RingLayer::Opened> RingLayer::open_backward(Firing& firing, const Parameters& weights) {
  const Token &grad = *firing.inputs[0], &home = *firing.inputs[3];
  ATOLL_TRY(check(grad, home, ops::DType::kF32));
  Returning returning = std::move(*returning_);
  returning_.reset();
  const Tensor grad_qkv = returning.ring.finish(firing.context, home.tensors[0]);
  Opened opened;
  opened.grad = segments_.open_backward(firing.context, weights, *returning.open, grad_qkv,
                                        returning.past, opened.open);
  opened.close = std::move(returning.close);
  const std::size_t ports = firing.outputs.size();
  ATOLL_TRY(give_nothing(firing.outputs[ports - 2]));
  ATOLL_TRY(give_nothing(firing.outputs[ports - 1]));
  return opened;
}

Status RingLayer::check(const Token& ours, const Token& theirs, ops::DType dtype) const {
  if (theirs.empty || theirs.round != ours.round || theirs.micro != ours.micro ||
      theirs.tensors.size() != 1) {
    return Error{Code::kProto, "attention",
                 "a replica of the context sent keys of another micro-batch"};
  }
  if (theirs.tensors[0].shape() != keys_ || theirs.tensors[0].dtype() != dtype) {
    return Error{Code::kTensor, "attention", "a replica of the context sent keys of another shape"};
  }
  return {};
}

}  // namespace reef::actors
