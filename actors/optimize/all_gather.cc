#include "actors/optimize/all_gather.h"

#include <algorithm>
#include <optional>

#include "ops/codec/edge.h"
#include "ops/nn/spec.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: slices -> kept, sent; act combine j: kept, received -> kept, sent; the last act: ->
/// weights, [tied weights]. The whole tensors are written in place, as an unsharded optimizer
/// writes its masters: when the last act may fire, every layer shard has given up the weights
/// before.
class AllGather final : public Task {
 public:
  AllGather(const TaskSetup& setup, const plan::Actor& actor, std::optional<codec::Codec> rounding)
      : dtype_(setup.model.activations),
        rounding_(rounding),
        replica_(actor.replica),
        exchanges_(static_cast<std::uint32_t>(actor.acts.size() - 1)) {
    const plan::LayerRange layers{actor.first_layer, actor.last_layer};
    const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
    std::vector<nn::Parameter> parameters;
    const std::size_t end = std::min<std::size_t>(layers.last, setup.model.layers.size());
    for (std::size_t i = layers.first; i < end; ++i) {
      const auto& some = setup.model.layers[i].parameters;
      parameters.insert(parameters.end(), some.begin(), some.end());
    }
    std::ranges::sort(parameters, {}, &nn::Parameter::name);
    for (const nn::Parameter& parameter : parameters) {
      for (const plan::Slice& slice : deal.of(parameter.name))
        parts_.push_back({slice, wholes_.size(), ops::size_of(parameter.dtype)});
      wholes_.push_back({parameter, {}, nn::is_tied(setup.model, parameter.name)});
    }
  }

  Status start(ops::Context& context, std::span<Token* const>) override {
    for (Whole& whole : wholes_) {
      whole.tensor =
          Tensor::empty(context.pool(), whole.parameter.dtype, ops::Shape(whole.parameter.shape));
    }
    return {};
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    const auto done = static_cast<std::uint32_t>(firing.act);
    const bool last = done == exchanges_;
    for (Token* output : firing.outputs) {
      output->round = input.round;
      output->empty = input.empty && !last;
    }
    if (!input.empty) {
      ATOLL_ASSIGN(std::vector<Tensor> value,
                   done == 0 ? offered(firing, input) : combine(firing, done));
      if (last) {
        write(firing.context, value);
      } else {
        firing.outputs[0]->tensors = value;
        firing.outputs[1]->tensors = std::move(value);
      }
    }
    if (last) publish(firing);
    return {};
  }

 private:
  struct Whole {
    nn::Parameter parameter;
    Tensor tensor;
    bool tied = false;  ///< used by another layer, too
  };
  struct Part {
    plan::Slice slice;
    std::size_t whole = 0;
    std::size_t element = 0;  ///< bytes of one
    std::size_t bytes() const { return static_cast<std::size_t>(slice.count) * element; }
  };

  /// After `done` exchanges, the replica holds all slices whose owners agree with it in the lowest
  /// exchanges_ - done bits.
  bool holds(std::uint32_t replica, const Part& part, std::uint32_t done) const {
    return plan::holds(replica, part.slice, exchanges_ - done);
  }

  /// The optimizer's slices as they travel.
  Result<std::vector<Tensor>> offered(Firing& firing, const Token& input) const {
    std::vector<Tensor> value;
    for (const Part& part : parts_) {
      if (!holds(replica_, part, 0)) continue;
      const Tensor& slice = input.tensors.at(value.size());
      if (slice.size_bytes() != part.bytes())
        return Error{Code::kTensor, part.slice.parameter, "not the slices of this replica"};
      value.push_back(to_travel(firing.context, slice));
    }
    return value;
  }

  Tensor to_travel(ops::Context& context, const Tensor& slice) const {
    if (slice.dtype() != dtype_) {
      // f32 vectors beside bf16 matrices: an edge has one dtype, and takes the bytes as they are.
      const auto elements = static_cast<std::int64_t>(slice.size_bytes() / ops::size_of(dtype_));
      const Tensor bytes = Tensor::empty(context.pool(), dtype_, {elements});
      context.copy_within(bytes.raw(), slice.raw(), slice.size_bytes());
      return bytes;
    }
    const Tensor flat = slice.reshape({slice.elements()});
    if (!rounding_ || dtype_ != ops::DType::kF32) return flat;
    const Tensor rounded = to_host(context, flat, context.staging());
    codec::round_trip(*rounding_, rounded.values<float>());
    return on_device(context, rounded);
  }

  /// What was kept and what the partner had, in the order of slices.
  Result<std::vector<Tensor>> combine(Firing& firing, std::uint32_t done) const {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    if (received.empty || received.round != kept.round)
      return Error{Code::kProto, "weights", "a partner sent the weights of another round"};
    std::vector<Tensor> value;
    std::size_t mine = 0, others = 0;
    for (const Part& part : parts_) {
      if (!holds(replica_, part, done)) continue;
      const bool own = holds(replica_, part, done - 1);
      const Token& from = own ? kept : received;
      std::size_t& at = own ? mine : others;
      if (at == from.tensors.size() || from.tensors[at].dtype() != dtype_ ||
          from.tensors[at].size_bytes() != part.bytes())
        return Error{Code::kTensor, part.slice.parameter, "a partner's weights have another shape"};
      value.push_back(from.tensors[at++]);
    }
    if (mine != kept.tensors.size() || others != received.tensors.size())
      return Error{Code::kTensor, "weights", "a partner sent more than its slices"};
    return value;
  }

  void write(ops::Context& context, const std::vector<Tensor>& value) const {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Part& part = parts_[i];
      const auto first = static_cast<std::size_t>(part.slice.first) * part.element;
      context.copy_within(wholes_[part.whole].tensor.raw() + first, value[i].raw(), part.bytes());
    }
  }

  void publish(Firing& firing) const {
    for (const Whole& whole : wholes_) {
      firing.outputs[0]->tensors.push_back(whole.tensor);
      if (firing.outputs.size() > 1 && whole.tied)
        firing.outputs[1]->tensors.push_back(whole.tensor);
    }
  }

  const ops::DType dtype_;  ///< of what travels
  const std::optional<codec::Codec> rounding_;
  const std::uint32_t replica_;
  const std::uint32_t exchanges_;
  std::vector<Whole> wholes_;  ///< in canonical order, as are
  std::vector<Part> parts_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_all_gather(const TaskSetup& setup, const plan::Actor& actor) {
  const std::string& name = setup.plan.edges[actor.acts[0].outputs[0].edge].codec;
  std::optional<codec::Codec> rounding;
  if (!name.empty()) {
    ATOLL_ASSIGN(const codec::EdgeCodec codec, codec::parse_edge(name));
    if (!std::holds_alternative<codec::Codec>(codec))
      return Error{Code::kJobValue, actor.name, name + " is not a codec for weights"};
    rounding = std::get<codec::Codec>(codec);
  }
  return std::unique_ptr<Task>(std::make_unique<AllGather>(setup, actor, rounding));
}

}  // namespace reef::actors
