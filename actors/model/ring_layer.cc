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

/// A hostile plan may want no token where each firing has one.
Status give(Token* output, const Tensor& tensor) {
  if (output == nullptr) return out_of_turn();
  output->tensors = {tensor};
  return {};
}

/// What follows the last meeting says nothing.
Status pass_on(Token* output, const Tensor& tensor, bool last) {
  ATOLL_TRY(give(output, tensor));
  output->empty = last;
  if (last) output->tensors.clear();
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

Status RingLayer::forward_open(Firing& firing, const Parameters& weights,
                               const nn::Sample& sample) {
  const Token& input = *firing.inputs[0];
  Kept kept;
  const Tensor qkv = segments_.open(firing.context, weights, input.tensors.at(0), sample,
                                    input.round.training() ? &kept.open : nullptr);
  kept.queries = qkv.narrow(kHeads, 0, heads_.queries);
  kept.keys = qkv.narrow(kHeads, heads_.queries, 2 * heads_.keys);
  nn::RingAttention ring(share_, kept.queries);
  ring.meet(firing.context, kept.keys);
  mark(firing, input);
  ATOLL_TRY(give(firing.outputs[1], ops::contiguous(firing.context, kept.keys)));
  opening_.push_back({input.tensors[0], sample, std::move(ring), std::move(kept)});
  return {};
}

Status RingLayer::forward_attend(Firing& firing, const Parameters& weights) {
  if (opening_.empty()) return out_of_turn();
  const std::int64_t meeting = static_cast<std::int64_t>(firing.number) % meetings();
  const bool last = meeting + 1 == meetings(), passes = meetings() > 1;
  const Token& held = *firing.inputs[0];
  const Token& keys = *firing.inputs[meeting == 0 ? 1 : 2];
  ATOLL_TRY(check(held, keys, activations_));
  mark(firing, held);
  opening_.front().ring.meet(firing.context, keys.tensors[0]);
  if (passes) ATOLL_TRY(pass_on(firing.outputs[0], keys.tensors[0], last));
  return last ? close(firing, weights, passes ? 1 : 0) : Status();
}

Status RingLayer::close(Firing& firing, const Parameters& weights, std::size_t output) {
  Opening opening = std::move(opening_.front());
  opening_.pop_front();
  Kept& kept = opening.kept;
  kept.attended = opening.ring.finish(firing.context);
  ATOLL_TRY(give(firing.outputs[output],
                 segments_.close(firing.context, weights, kept.attended.out, opening.input,
                                 opening.sample, opening.sample.training ? &kept.close : nullptr)));
  if (!opening.sample.training) kept = {};
  stash_.push_back(std::move(kept));
  return {};
}

Status RingLayer::backward_close(Firing& firing, const Parameters& weights) {
  if (stash_.empty()) return out_of_turn();
  const Token& grad = *firing.inputs[0];
  Kept kept = std::move(stash_.front());
  stash_.pop_front();
  mark(firing, grad);
  Returning& returning = meeting_.emplace_back();
  if (grad.empty) return {};
  if (!kept.close) return out_of_turn();
  auto grads = segments_.close_backward(firing.context, weights, *kept.close, grad.tensors.at(0),
                                        returning.close);
  returning.open = std::move(kept.open);
  returning.past = std::move(grads.x);
  returning.ring.emplace(share_, kept.queries, kept.attended, grads.out);
  ATOLL_TRY(give(firing.outputs[2], ops::contiguous(firing.context, kept.keys)));
  return give(firing.outputs[3], returning.ring->meet(firing.context, kept.keys, {}));
}

Status RingLayer::backward_attend(Firing& firing) {
  const std::int64_t meeting = static_cast<std::int64_t>(firing.number) % meetings();
  const bool last = meeting + 1 == meetings();
  const Token& turn = *firing.inputs[0];
  if (meeting_.empty() || meeting_.front().ring.has_value() == turn.empty) return out_of_turn();
  mark(firing, turn);
  if (!turn.empty) ATOLL_TRY(meet(firing, meeting));
  if (!last) return {};
  returning_.push_back(std::move(meeting_.front()));
  meeting_.pop_front();
  return {};
}

Status RingLayer::meet(Firing& firing, std::int64_t meeting) {
  const bool last = meeting + 1 == meetings(), passes = meetings() > 1;
  const std::size_t first = meeting == 0 ? 1 : 3;
  const Token& turn = *firing.inputs[0];
  const Token &keys = *firing.inputs[first], &sums = *firing.inputs[first + 1];
  ATOLL_TRY(check(turn, keys, activations_));
  ATOLL_TRY(check(turn, sums, ops::DType::kF32));
  const Tensor more = meeting_.front().ring->meet(firing.context, keys.tensors[0], sums.tensors[0]);
  if (passes) {
    ATOLL_TRY(pass_on(firing.outputs[0], keys.tensors[0], last));
    ATOLL_TRY(pass_on(firing.outputs[1], more, last));
  }
  return last ? give(firing.outputs[passes ? 3 : 1], more) : Status();
}

Result<RingLayer::Opened> RingLayer::backward_open(Firing& firing, const Parameters& weights) {
  const Token &held = *firing.inputs[0], &home = *firing.inputs[2];
  if (returning_.empty() || returning_.front().ring.has_value() == held.empty) return out_of_turn();
  Returning returning = std::move(returning_.front());
  returning_.pop_front();
  mark(firing, held);
  if (held.empty) return Opened{};
  ATOLL_TRY(check(held, home, ops::DType::kF32));
  const Tensor grad_qkv = returning.ring->finish(firing.context, home.tensors[0]);
  Opened opened;
  opened.grad = segments_.open_backward(firing.context, weights, *returning.open, grad_qkv,
                                        returning.past, opened.open);
  opened.close = std::move(returning.close);
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
