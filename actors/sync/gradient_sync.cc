#include "actors/sync/gradient_sync.h"

#include "ops/catalog/functional.h"
#include "ops/codec/codec.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: gradients -> [kept, sent]; act combine k: kept, received -> [kept, sent]; the last
/// act: -> reduced, [tied reduced]. Partners and order: collectives/algorithms/leaf_tree.h.
class GradientSync final : public Task {
 public:
  GradientSync(const TaskSetup& setup, const plan::Actor& actor, codec::Codec codec)
      : acts_(actor.acts.size()), codec_(codec) {
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
    if (firing.act + 1 == acts_) {
      finish(firing, value);
    } else {
      offer(firing, value);
    }
    return {};
  }

 private:
  Status combine(Firing& firing, std::vector<Tensor>& value) {
    const Token& received = *firing.inputs[1];
    if (received.round != firing.inputs[0]->round || received.tensors.size() != value.size()) {
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
  /// stay identical.
  void offer(Firing& firing, const std::vector<Tensor>& value) const {
    std::vector<Tensor> seen = value;
    if (codec_.lossy != codec::Lossy::kNone) {
      for (Tensor& tensor : seen) {
        tensor = tensor.clone(firing.context.pool());
        codec::round_trip(codec_, tensor.values<float>());
      }
    }
    firing.outputs[0]->tensors = seen;
    firing.outputs[1]->tensors = std::move(seen);
  }

  void finish(Firing& firing, const std::vector<Tensor>& value) const {
    for (const std::size_t i : own_) firing.outputs[0]->tensors.push_back(value[i]);
    for (const std::size_t i : tied_) firing.outputs[1]->tensors.push_back(value[i]);
  }

  std::size_t acts_;
  codec::Codec codec_;
  std::vector<std::size_t> own_;   ///< gradients of tensors this stage owns
  std::vector<std::size_t> tied_;  ///< gradients of uses of tensors another stage owns
};

}  // namespace

Result<std::unique_ptr<Task>> make_gradient_sync(const TaskSetup& setup, const plan::Actor& actor) {
  ATOLL_ASSIGN(const codec::Codec codec, codec::parse(setup.job.codecs.gradients));
  return std::unique_ptr<Task>(std::make_unique<GradientSync>(setup, actor, codec));
}

}  // namespace reef::actors
