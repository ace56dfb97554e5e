#include "actors/optimize/all_gather.h"

#include <algorithm>
#include <map>
#include <optional>

#include "ops/codec/edge.h"
#include "ops/nn/spec.h"
#include "scheduler/plan/gathered.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: slices, [tied slices] -> kept, sent; act combine j: kept, received -> kept, sent; the
/// last act: -> weights, [tied weights]. Of a whole stage the tensors are written in place, as an
/// unsharded optimizer writes its masters: when the last act may fire, every layer shard has given
/// up the weights before. Of buckets that take turns, forward or backward, each firing makes new
/// ones, which are gone when the layers have computed.
class AllGather final : public Task {
 public:
  AllGather(const TaskSetup& setup, const plan::Actor& actor, std::optional<codec::Codec> rounding)
      : dtype_(setup.model.activations),
        rounding_(rounding),
        replica_(actor.replica),
        exchanges_(static_cast<std::uint32_t>(actor.acts.size() - 1)),
        firings_(actor.acts[0].firings),
        in_turn_(setup.plan.shares_weights) {
    const plan::LayerRange layers{actor.first_layer, actor.last_layer};
    const plan::Deal deal = plan::deal_of(setup.model, setup.plan);
    find_sources(setup.model, deal, layers);
    if (!in_turn_) add(setup.model, deal, layers);
    const plan::Buckets buckets = plan::buckets_of(setup.plan, actor);
    for (std::uint32_t b = 0; b < buckets.count() && in_turn_; ++b)
      add(setup.model, deal, buckets.layers(b));
    const plan::Edge& weights = setup.plan.edges[actor.acts.back().outputs[0].edge];
    if (weights.consumer_act > 0) std::ranges::reverse(buckets_);  // backward
  }

  Status start(ops::Context& context, std::span<Token* const>) override {
    if (!in_turn_) whole_ = empty_tensors(context, buckets_[0]);
    return {};
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    const auto done = static_cast<std::uint32_t>(firing.act);
    const bool last = done == exchanges_;
    const Bucket& bucket = buckets_[firing.number % buckets_.size()];
    for (Token* output : firing.outputs) {
      output->round = input.round;
      output->micro = static_cast<std::uint32_t>(firing.number % firings_);
      output->empty = input.empty && !last;
    }
    if (!input.empty) {
      ATOLL_ASSIGN(std::vector<Tensor> value,
                   done == 0 ? offered(firing, bucket) : combine(firing, bucket, done));
      if (last) {
        if (in_turn_) whole_ = empty_tensors(firing.context, bucket);
        write(firing.context, bucket, value);
      } else {
        firing.outputs[0]->tensors = value;
        firing.outputs[1]->tensors = std::move(value);
      }
    }
    if (last) publish(firing, bucket);
    return {};
  }

 private:
  struct Part {
    plan::Slice slice;
    std::size_t whole = 0;
    std::size_t element = 0;  ///< bytes of one
    std::size_t bytes() const { return static_cast<std::size_t>(slice.count) * element; }
  };
  /// What is gathered at once; of `wholes` in canonical order.
  struct Bucket {
    struct Whole {
      nn::Parameter parameter;
      bool tied = false;  ///< used by another layer, too
    };
    std::vector<Whole> wholes;
    std::vector<Part> parts;
  };
  /// Where an offered slice lies: the port, and its place in the token.
  using Source = std::pair<std::size_t, std::size_t>;

  void add(const nn::ModelSpec& model, const plan::Deal& deal, plan::LayerRange layers) {
    Bucket& bucket = buckets_.emplace_back();
    std::vector<nn::Parameter> parameters = plan::gathered(model, layers);
    // Of a whole stage, what it uses of another one has come together there.
    if (!in_turn_)
      parameters.resize(parameters.size() - plan::used_of_others(model, layers).size());
    for (const nn::Parameter& parameter : parameters) {
      for (const plan::Slice& slice : deal.of(parameter.name))
        bucket.parts.push_back({slice, bucket.wholes.size(), ops::size_of(parameter.dtype)});
      bucket.wholes.push_back({parameter, nn::is_tied(model, parameter.name)});
    }
  }

  /// The optimizer's slices come as it has them, and behind them those of tied parameters.
  void find_sources(const nn::ModelSpec& model, const plan::Deal& deal, plan::LayerRange layers) {
    std::size_t at = 0;
    for (const plan::Slice& slice : deal.owned(layers, replica_))
      sources_[{slice.parameter, slice.first}] = {0, at++};
    at = 0;
    for (const nn::Parameter& parameter : plan::used_of_others(model, layers)) {
      for (const plan::Slice& slice : deal.of(parameter.name)) {
        if (slice.owner == replica_) sources_[{slice.parameter, slice.first}] = {1, at++};
      }
    }
  }

  static std::vector<Tensor> empty_tensors(ops::Context& context, const Bucket& bucket) {
    std::vector<Tensor> tensors;
    for (const auto& [parameter, tied] : bucket.wholes)
      tensors.push_back(
          Tensor::empty(context.pool(), parameter.dtype, ops::Shape(parameter.shape)));
    return tensors;
  }

  /// After `done` exchanges, the replica holds all slices whose owners agree with it in the lowest
  /// exchanges_ - done bits.
  bool holds(std::uint32_t replica, const Part& part, std::uint32_t done) const {
    return plan::holds(replica, part.slice, exchanges_ - done);
  }

  /// The optimizer's slices as they travel.
  Result<std::vector<Tensor>> offered(Firing& firing, const Bucket& bucket) const {
    std::vector<Tensor> value;
    for (const Part& part : bucket.parts) {
      if (!holds(replica_, part, 0)) continue;
      const auto& [port, at] = sources_.at({part.slice.parameter, part.slice.first});
      const bool there = port < firing.inputs.size() && at < firing.inputs[port]->tensors.size() &&
                         firing.inputs[port]->round == firing.inputs[0]->round;
      if (!there || firing.inputs[port]->tensors[at].size_bytes() != part.bytes())
        return Error{Code::kTensor, part.slice.parameter, "not the slices of this replica"};
      value.push_back(to_travel(firing.context, firing.inputs[port]->tensors[at]));
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
  Result<std::vector<Tensor>> combine(Firing& firing, const Bucket& bucket,
                                      std::uint32_t done) const {
    const Token &kept = *firing.inputs[0], &received = *firing.inputs[1];
    if (received.empty || received.round != kept.round || received.micro != kept.micro)
      return Error{Code::kProto, "weights", "a partner sent the weights of another round"};
    std::vector<Tensor> value;
    std::size_t mine = 0, others = 0;
    for (const Part& part : bucket.parts) {
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

  void write(ops::Context& context, const Bucket& bucket, const std::vector<Tensor>& value) const {
    for (std::size_t i = 0; i < bucket.parts.size(); ++i) {
      const Part& part = bucket.parts[i];
      const auto first = static_cast<std::size_t>(part.slice.first) * part.element;
      context.copy_within(whole_[part.whole].raw() + first, value[i].raw(), part.bytes());
    }
  }

  void publish(Firing& firing, const Bucket& bucket) {
    for (std::size_t i = 0; i < whole_.size(); ++i) {
      if (firing.outputs.size() > 1 && bucket.wholes[i].tied)
        firing.outputs[1]->tensors.push_back(whole_[i]);
    }
    firing.outputs[0]->tensors = whole_;
    if (in_turn_) whole_.clear();
  }

  const ops::DType dtype_;  ///< of what travels
  const std::optional<codec::Codec> rounding_;
  const std::uint32_t replica_;
  const std::uint32_t exchanges_;
  const std::uint32_t firings_;  ///< of each act, a round
  const bool in_turn_;
  std::vector<Bucket> buckets_;  ///< in the order in which they are gathered; or one, the stage
  std::map<std::pair<std::string, std::int64_t>, Source> sources_;  ///< by parameter and element
  std::vector<Tensor> whole_;  ///< of the stage; of a bucket while it is published
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
