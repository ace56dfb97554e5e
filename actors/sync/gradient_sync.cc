#include "actors/sync/gradient_sync.h"

#include <algorithm>

#include "ops/codec/codec.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: gradients -> [kept, sent]; act combine k: kept, received -> [kept, sent]; the last
/// act: -> reduced, [tied reduced]. Partners and order: collectives/algorithms/leaf_tree.h.
class GradientSync final : public Task {
 public:
  GradientSync(const TaskSetup& setup, const plan::Actor& actor)
      : plan_(setup.plan), acts_(actor.acts) {
    const nn::Stage stage(setup.model, actor.first_layer, actor.last_layer);
    const auto names = gradient_names(stage);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool foreign = names[i].find('@') != std::string::npos && !stage.tied().empty();
      (foreign ? tied_ : own_).push_back(i);
    }
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      output->round = input.round;
      output->empty = input.empty;
    }
    if (input.empty) return {};
    std::vector<Tensor> value = input.tensors;
    if (firing.act > 0) ATOLL_TRY(combine(firing, value));
    return firing.act + 1 == acts_.size() ? finish(firing, value) : offer(firing, std::move(value));
  }

 private:
  Status combine(Firing& firing, std::vector<Tensor>& value) {
    const Token& received = *firing.inputs[1];
    if (received.empty || received.round != firing.inputs[0]->round ||
        received.tensors.size() != value.size()) {
      return Error{Code::kProto, "gradients",
                   "a partner sent the gradients of another round or stage"};
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (received.tensors[i].shape() != value[i].shape()) {
        return Error{Code::kTensor, "gradients", "a partner's gradient has another shape"};
      }
      value[i] = ops::add(firing.context, value[i], received.tensors[i]);
    }
    return {};
  }

  /// What is kept is what the partner will see, so that both ends add the same numbers and replicas
  /// stay identical. The plan gives all pairs of a level the same codec, on a wire or not.
  Status offer(Firing& firing, std::vector<Tensor> value) const {
    ATOLL_TRY(round(firing, 0, value));
    firing.outputs[0]->tensors = value;
    firing.outputs[1]->tensors = std::move(value);
    return {};
  }

  Status finish(Firing& firing, const std::vector<Tensor>& value) const {
    for (const std::size_t i : own_) firing.outputs[0]->tensors.push_back(value[i]);
    if (tied_.empty()) return {};
    std::vector<Tensor> tied;
    for (const std::size_t i : tied_) tied.push_back(value[i]);
    ATOLL_TRY(round(firing, 1, tied));
    firing.outputs[1]->tensors = std::move(tied);
    return {};
  }

  /// Passes copies of the tensors through the codec of this firing's output edge, if it has one:
  /// all as one run of elements, as send.cc encodes them, since neighbours share a scale.
  Status round(Firing& firing, std::size_t output, std::vector<Tensor>& tensors) const {
    const plan::Edge& edge = plan_.edges[acts_[firing.act].outputs[output].edge];
    if (edge.codec.empty()) return {};
    ATOLL_ASSIGN(const codec::Codec codec, codec::parse(edge.codec));
    if (codec.lossy == codec::Lossy::kNone) return {};
    std::int64_t total = 0;
    for (const Tensor& tensor : tensors) total += tensor.elements();
    const Tensor joined = Tensor::empty(firing.context.pool(), ops::DType::kF32, {total});
    std::int64_t at = 0;
    for (Tensor& tensor : tensors) {
      const Tensor part = joined.slice(at, tensor.elements());
      const auto values = tensor.values<float>();
      std::copy(values.begin(), values.end(), part.values<float>().begin());
      at += tensor.elements();
      tensor = part.reshape(tensor.shape());
    }
    codec::round_trip(codec, joined.values<float>());
    return {};
  }

  const plan::Plan& plan_;
  const std::vector<plan::Act>& acts_;
  std::vector<std::size_t> own_;   ///< gradients of tensors this stage owns
  std::vector<std::size_t> tied_;  ///< gradients of uses of tensors another stage owns
};

}  // namespace

Result<std::unique_ptr<Task>> make_gradient_sync(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<GradientSync>(setup, actor));
}

}  // namespace reef::actors
