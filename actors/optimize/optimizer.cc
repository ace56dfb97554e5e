#include "actors/optimize/optimizer.h"

#include <algorithm>
#include <optional>

#include "actors/checkpoint/format/checkpoint.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

using ops::Tensor;

enum : std::size_t { kMeasure, kUpdate };

/// One owned tensor with its AdamW state.
struct Slot {
  nn::Parameter parameter;
  Tensor master, m, v;
  std::size_t gradient = 0;               ///< place in the reduced token
  std::optional<std::size_t> tied_local;  ///< place of another use's gradient in the reduced token
  std::optional<std::size_t>
      tied_remote;  ///< place in the token from another stage's gradient sync
};

/// act measure: reduced, [tied gradients] -> squares, held;
/// act update: held, scale -> weights, [tied weights], [snapshot].
class Optimizer final : public Task {
 public:
  Optimizer(const TaskSetup& setup, const plan::Actor& actor)
      : setup_(setup), actor_(actor), options_(setup.job.optimizer) {
    const nn::Stage stage(setup.model, actor.first_layer, actor.last_layer);
    for (const auto& parameter : stage.parameters()) slots_.emplace_back().parameter = parameter;
    std::sort(slots_.begin(), slots_.end(),
              [](const Slot& a, const Slot& b) { return a.parameter.name < b.parameter.name; });
    std::vector<std::string> reduced;
    for (const std::string& name : gradient_names(stage)) {
      if (name.find('@') == std::string::npos || stage.tied().empty()) reduced.push_back(name);
    }
    find_gradients(reduced);
    find_outputs();
  }

  Status start(ops::Context& context, std::span<Token* const> initial) override {
    std::optional<checkpoint::Checkpoint> from;
    if (!setup_.job.checkpoints.resume.empty()) {
      ATOLL_ASSIGN(from, checkpoint::Checkpoint::open(setup_.job.checkpoints.resume));
    }
    for (Slot& slot : slots_)
      ATOLL_TRY(from ? restore(context, slot, *from) : create(context, slot));
    for (std::size_t i = 0; i < initial.size(); ++i) initial[i]->tensors = weights(i == 0);
    return {};
  }

  Status run(Firing& firing) override {
    return firing.act == kMeasure ? measure(firing) : update(firing);
  }

 private:
  void find_gradients(const std::vector<std::string>& reduced) {
    for (Slot& slot : slots_) {
      const auto at = [&](const std::string& name) -> std::optional<std::size_t> {
        const auto found = std::find(reduced.begin(), reduced.end(), name);
        if (found == reduced.end()) return std::nullopt;
        return static_cast<std::size_t>(found - reduced.begin());
      };
      const auto own = at(slot.parameter.name);
      CHECK(own.has_value()) << slot.parameter.name;
      slot.gradient = *own;
      slot.tied_local = at(slot.parameter.name + "@head");
      const bool remote = actor_.acts[kMeasure].inputs.size() > 1 && !slot.tied_local &&
                          slot.parameter.name == "wte.weight";
      if (remote) slot.tied_remote = 0;
    }
  }

  void find_outputs() {
    for (std::size_t i = 1; i < actor_.acts[kUpdate].outputs.size(); ++i) {
      const plan::Edge& edge = setup_.plan.edges[actor_.acts[kUpdate].outputs[i].edge];
      (edge.content == plan::Content::kState ? snapshot_output_ : tied_output_) = i;
    }
  }

  Status create(ops::Context& context, Slot& slot) {
    const Tensor initial = nn::initial_value(slot.parameter, setup_.job.training.seed);
    slot.master = initial.clone(context.pool());
    slot.m = Tensor::zeros(context.pool(), ops::DType::kF32, initial.shape());
    slot.v = Tensor::zeros(context.pool(), ops::DType::kF32, initial.shape());
    return {};
  }

  Status restore(ops::Context& context, Slot& slot, const checkpoint::Checkpoint& from) {
    const std::string& name = slot.parameter.name;
    for (auto [suffix, tensor] : {std::pair{std::string(), &slot.master},
                                  std::pair{std::string(checkpoint::kAdamM), &slot.m},
                                  std::pair{std::string(checkpoint::kAdamV), &slot.v}}) {
      const checkpoint::TensorView* view = from.find(name + suffix);
      *tensor = Tensor::empty(context.pool(), ops::DType::kF32, ops::Shape(slot.parameter.shape));
      if (view == nullptr || view->dtype != "F32" || view->bytes.size() != tensor->size_bytes()) {
        return Error{Code::kCheckpoint, from.folder().string(),
                     "has no '" + name + suffix +
                         "' of this model's shape; resume with the model it was written by"};
      }
      std::copy(view->bytes.begin(), view->bytes.end(), tensor->bytes().begin());
    }
    return {};
  }

  Status measure(Firing& firing) {
    const Token& reduced = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      output->round = reduced.round;
      output->empty = reduced.empty;
    }
    if (reduced.empty) return {};
    for (Slot& slot : slots_) {
      Tensor gradient = reduced.tensors.at(slot.gradient);
      if (slot.tied_local)
        gradient = ops::add(firing.context, gradient, reduced.tensors.at(*slot.tied_local));
      if (slot.tied_remote) {
        const Token& tied = *firing.inputs[1];
        if (tied.round != reduced.round)
          return Error{Code::kProto, slot.parameter.name, "tied gradient of another round"};
        const Tensor& other = tied.tensors.at(*slot.tied_remote);
        if (other.shape() != gradient.shape() || other.dtype() != gradient.dtype()) {
          return Error{Code::kTensor, slot.parameter.name, "the tied gradient has another shape"};
        }
        gradient = ops::add(firing.context, gradient, other);
      }
      firing.outputs[0]->scalars.push_back(ops::square_sum(firing.context, gradient));
      firing.outputs[1]->tensors.push_back(std::move(gradient));
    }
    return {};
  }

  Status update(Firing& firing) {
    const Token& held = *firing.inputs[0];
    const Token& scale = *firing.inputs[1];
    for (Token* output : firing.outputs) output->round = held.round;
    if (!held.empty) {
      ops::Update factors;
      factors.lr = static_cast<float>(
          job::learning_rate(options_, held.round.step, setup_.job.training.steps));
      factors.beta1 = static_cast<float>(options_.beta1);
      factors.beta2 = static_cast<float>(options_.beta2);
      factors.epsilon = static_cast<float>(options_.epsilon);
      factors.step = static_cast<std::int64_t>(held.round.step);
      factors.grad_scale = static_cast<float>(scale.scalars.at(0));
      factors.weight_decay = static_cast<float>(options_.weight_decay);
      update_all(firing.context, held.tensors, factors);
    }
    firing.outputs[0]->tensors = weights(true);
    if (tied_output_) firing.outputs[tied_output_]->tensors = weights(false);
    if (snapshot_output_)
      snapshot(firing.context, *firing.outputs[snapshot_output_], held.round.snapshot);
    return {};
  }

  /// All tensors in as few calls as the op takes.
  void update_all(ops::Context& context, std::span<const Tensor> gradients,
                  ops::Update factors) const {
    for (std::size_t first = 0; first < slots_.size(); first += ops::kMaxUpdateTensors) {
      const std::size_t count = std::min(ops::kMaxUpdateTensors, slots_.size() - first);
      std::vector<Tensor> masters, means, squares;
      factors.undecayed = {};
      for (std::size_t i = 0; i < count; ++i) {
        const Slot& slot = slots_[first + i];
        masters.push_back(slot.master);
        means.push_back(slot.m);
        squares.push_back(slot.v);
        if (!slot.parameter.decay) factors.undecayed[i / 64] |= std::uint64_t{1} << (i % 64);
      }
      ops::adamw(context, {gradients.subspan(first, count), masters, means, squares, {}}, factors);
    }
  }

  /// Handles to the masters, in canonical order; `all`, or only the one that another stage uses
  /// too.
  std::vector<Tensor> weights(bool all) const {
    std::vector<Tensor> handles;
    for (const Slot& slot : slots_) {
      if (all || slot.parameter.name == "wte.weight") handles.push_back(slot.master);
    }
    return handles;
  }

  /// A copy, so that training goes on while it is written.
  void snapshot(ops::Context& context, Token& token, bool wanted) const {
    token.empty = !wanted;
    if (!wanted) return;
    for (const Slot& slot : slots_) {
      for (const Tensor* tensor : {&slot.master, &slot.m, &slot.v}) {
        token.tensors.push_back(tensor->clone(context.pool()));
      }
    }
  }

  const TaskSetup setup_;
  const plan::Actor& actor_;
  const job::Optimizer& options_;
  std::vector<Slot> slots_;          ///< in canonical order
  std::size_t tied_output_ = 0;      ///< 0: none, since output 0 is the stage's own weights
  std::size_t snapshot_output_ = 0;  ///< 0: none
};

}  // namespace

Result<std::unique_ptr<Task>> make_optimizer(const TaskSetup& setup, const plan::Actor& actor) {
  return std::unique_ptr<Task>(std::make_unique<Optimizer>(setup, actor));
}

}  // namespace reef::actors
