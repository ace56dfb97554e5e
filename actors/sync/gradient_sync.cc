#include "actors/sync/gradient_sync.h"

#include <algorithm>
#include <optional>

#include "actors/sync/agreement.h"
#include "actors/sync/exchanges.h"
#include "actors/sync/resume.h"
#include "actors/sync/rounding.h"
#include "ops/codec/edge.h"
#include "ops/functional/functional.h"
#include "runtime/base/log.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// act offer: gradients -> [kept, sent]; act combine k and act join k: kept, received -> [kept,
/// sent]; the last act: -> reduced, [tied reduced], [residuals]. Partners and order:
/// collectives/algorithms/leaf_tree.h and scheduler/plan/sync_steps.h.
class GradientSync final : public Task {
 public:
  static Result<std::unique_ptr<Task>> make(const TaskSetup& setup, const plan::Actor& actor) {
    auto sync = std::make_unique<GradientSync>(setup, actor);
    ATOLL_TRY(sync->make_roundings());
    return std::unique_ptr<Task>(std::move(sync));
  }

  GradientSync(const TaskSetup& setup, const plan::Actor& actor)
      : setup_(setup),
        actor_(actor),
        acts_(actor.acts),
        steps_(plan::sync_steps(setup.plan, actor)),
        exchanges_(exchanges_of(setup.plan, actor)) {
    const auto all = gradients_of(setup.model, actor, false);
    for (const Gradient& gradient : all) shapes_.push_back(gradient.shape);
    const bool split = acts_.back().outputs.size() > 1 &&
                       edge(acts_.size() - 1, 1).content == plan::Content::kGradient;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool foreign = split && all[i].name.find('@') != std::string::npos;
      (foreign ? tied_ : own_).push_back(i);
    }
  }

  Status start(ops::Context&, std::span<Token* const>) override {
    if (setup_.job.checkpoints.resume.empty()) return {};
    return resume_feedback(setup_, actor_, exchanges_,
                           [this](const Exchange& exchange) -> codec::Feedback& {
                             return *roundings_[exchange.act]->feedback();
                           });
  }

  Status run(Firing& firing) override {
    const Token& input = *firing.inputs[0];
    for (Token* output : firing.outputs) {
      output->round = input.round;
      output->empty = input.empty;
    }
    const bool last = firing.act + 1 == acts_.size();
    if (!input.empty) {
      std::vector<Tensor> value = input.tensors;
      if (firing.act > 0) ATOLL_TRY(meet(firing, value));
      if (choice_) ATOLL_TRY(agree(firing));
      ATOLL_TRY(last ? finish(firing, value) : offer(firing, std::move(value)));
    }
    if (last) snapshot(firing);
    return {};
  }

 private:
  const plan::Edge& edge(std::size_t act, std::size_t output) const {
    return setup_.plan.edges[acts_[act].outputs[output].edge];
  }
  bool leaves_the_node(std::size_t act, std::size_t output) const {
    return setup_.plan.actors[edge(act, output).consumer].kind == plan::ActorKind::kSend;
  }

  /// One for each act that gives something away through a codec that rounds.
  Status make_roundings() {
    roundings_.resize(acts_.size());
    for (std::size_t act = 0; act < acts_.size(); ++act) {
      const bool last = act + 1 == acts_.size();
      if (last && tied_.empty()) continue;
      const std::string& codec = edge(act, last ? 1 : 0).codec;
      if (codec.empty()) continue;
      std::vector<ops::Shape> shapes;
      if (last) {
        for (const std::size_t i : tied_) shapes.push_back(shapes_[i]);
      } else {
        shapes = shapes_given(actor_.replica, act);
      }
      ATOLL_ASSIGN(roundings_[act], Rounding::make(codec, shapes));
    }
    make_choice();
    return {};
  }

  /// The wire edge behind the sender of an output, or null.
  const plan::Edge* wire_behind(std::size_t act, std::size_t output) const {
    if (!leaves_the_node(act, output)) return nullptr;
    const plan::Actor& send = setup_.plan.actors[edge(act, output).consumer];
    return &setup_.plan.edges[send.acts[0].outputs[0].edge];
  }

  void make_choice() {
    for (std::size_t act = 0; act < acts_.size(); ++act) {
      if (!roundings_[act]) continue;
      const bool last = act + 1 == acts_.size();
      const auto codec = codec::parse_edge(edge(act, last ? 1 : 0).codec);
      if (!std::holds_alternative<codec::Automatic>(*codec)) return;
      if (const plan::Edge* wire = wire_behind(act, 1)) wires_.push_back(wire->id);
      if (!choice_)
        choice_.emplace(std::get<codec::Automatic>(*codec), edge(act, last ? 1 : 0), setup_.clock);
    }
  }

  /// Carries what the codecs cost from offer to offer, and at the end changes to the best for all.
  Status agree(Firing& firing) {
    std::vector<double> wishes = firing.inputs[0]->scalars;
    if (firing.act == 0) {
      line_ = slowest_line();
      candidates_ = choice_->candidates(firing.context, line_, firing.inputs[0]->tensors);
      wishes = wishes_of(candidates_);
    } else {
      ATOLL_TRY(join_wishes(wishes, firing.inputs[1]->scalars));
    }
    if (firing.act + 1 < acts_.size()) {
      firing.outputs[1]->scalars = wishes;
      firing.outputs[0]->scalars = std::move(wishes);
      return {};
    }
    take_wishes(wishes, candidates_);
    if (!choice_->decide(candidates_)) return {};
    const std::string name = codec::name(choice_->codec());
    log_info(actor_.name + ": gradients travel as " + name +
             " from the next step on; own slowest line: " + link::format_line(line_));
    for (const auto& rounding : roundings_) {
      if (rounding) rounding->use(choice_->codec());
    }
    return {};
  }

  link::LineNow slowest_line() const {
    link::LineNow slowest;
    for (const plan::EdgeId wire : wires_) {
      const link::LineNow line = setup_.wire.line(wire);
      const bool known = line.bits_per_second > 0;
      if (known && (slowest.bits_per_second == 0 || line.bits_per_second < slowest.bits_per_second))
        slowest = line;
    }
    return slowest;
  }

  /// Of the gradients, or their strips, that act `act` gives away.
  std::vector<ops::Shape> shapes_given(std::uint32_t replica, std::size_t act) const {
    std::vector<ops::Shape> shapes;
    const plan::Strip held = steps_.given(replica, static_cast<std::uint32_t>(act));
    for (const ops::Shape& whole : shapes_) {
      const ops::Shape part = part_of(whole, steps_.strips(), held);
      if (part.elements() > 0) shapes.push_back(part);
    }
    return shapes;
  }

  /// Adds or joins to `value` what the partner gave.
  Status meet(Firing& firing, std::vector<Tensor>& value) {
    const Token& received = *firing.inputs[1];
    if (received.empty || received.round != firing.inputs[0]->round) {
      return Error{Code::kProto, "gradients", "a partner sent the gradients of another round"};
    }
    const auto act = static_cast<std::uint32_t>(firing.act);
    const std::uint32_t partner = actor_.replica ^ steps_.distance(act - 1);
    const std::vector<ops::Shape> expected = shapes_given(partner, act - 1);
    if (!std::ranges::equal(received.tensors, expected, {}, &Tensor::shape))
      return Error{Code::kTensor, "gradients", "a partner's gradients have other shapes"};
    if (steps_.joins(act)) {
      value = joined(firing, act, partner);
      return {};
    }
    for (std::size_t i = 0; i < value.size(); ++i)
      value[i] = ops::add(firing.context, value[i], received.tensors[i]);
    return {};
  }

  /// Of each gradient the strips that both have, those that come first first.
  std::vector<Tensor> joined(Firing& firing, std::uint32_t act, std::uint32_t partner) const {
    const plan::Strip mine = steps_.given(actor_.replica, act - 1);
    const plan::Strip theirs = steps_.given(partner, act - 1);
    const bool lower = theirs.first < mine.first;
    const plan::Strip both{lower ? theirs.first : mine.first, mine.count + theirs.count};
    auto next = firing.inputs[0]->tensors.begin(), other = firing.inputs[1]->tensors.begin();
    std::vector<Tensor> all;
    for (const ops::Shape& whole : shapes_) {
      std::vector<const Tensor*> parts;
      if (part_of(whole, steps_.strips(), mine).elements() > 0) parts.push_back(&*next++);
      if (part_of(whole, steps_.strips(), theirs).elements() > 0)
        parts.insert(lower ? parts.begin() : parts.end(), &*other++);
      if (parts.empty()) continue;
      Tensor& to = all.emplace_back(Tensor::empty(firing.context.pool(), ops::DType::kF32,
                                                  part_of(whole, steps_.strips(), both)));
      std::byte* at = to.raw();
      for (const Tensor* part : parts) {
        firing.context.copy_within(at, part->raw(), part->size_bytes());
        at += part->size_bytes();
      }
    }
    return all;
  }

  /// The own strip of each, where the next exchange is the first over a line.
  std::vector<Tensor> cut(const std::vector<Tensor>& whole) const {
    const plan::Strip own{steps_.own(actor_.replica), 1};
    std::vector<Tensor> strips;
    for (const Tensor& tensor : whole) {
      const ops::Shape part = part_of(tensor.shape(), steps_.strips(), own);
      const std::int64_t first = first_of(tensor.shape(), steps_.strips(), own);
      if (part.elements() == 0) continue;
      strips.push_back(
          tensor.reshape({tensor.elements()}).slice(first, part.elements()).reshape(part));
    }
    return strips;
  }

  /// What is kept is what the partner will see, so that both ends add the same numbers and replicas
  /// stay identical. The plan gives all pairs of a level the same codec, on a wire or not.
  Status offer(Firing& firing, std::vector<Tensor> value) const {
    if (steps_.near > 0 && firing.act == steps_.near) value = cut(value);
    ATOLL_ASSIGN(firing.outputs[1]->encoded, round(firing, 1, value));
    firing.outputs[0]->tensors = value;
    firing.outputs[1]->tensors = std::move(value);
    return {};
  }

  Status finish(Firing& firing, const std::vector<Tensor>& value) const {
    for (const std::size_t i : own_) firing.outputs[0]->tensors.push_back(value[i]);
    if (tied_.empty()) return {};
    std::vector<Tensor> tied;
    for (const std::size_t i : tied_) tied.push_back(value[i]);
    ATOLL_ASSIGN(firing.outputs[1]->encoded, round(firing, 1, tied));
    firing.outputs[1]->tensors = std::move(tied);
    return {};
  }

  /// Returns how what leaves through `output` looks on a wire, if it was encoded for that.
  Result<std::shared_ptr<const Encoded>> round(Firing& firing, std::size_t output,
                                               std::vector<Tensor>& tensors) const {
    Rounding* const rounding = roundings_[firing.act].get();
    if (rounding == nullptr) return std::shared_ptr<const Encoded>();
    return rounding->round(firing.context, tensors, leaves_the_node(firing.act, output));
  }

  /// Copies of what the exchanges remember that this replica saves.
  void snapshot(Firing& firing) const {
    Token& token = *firing.outputs.back();
    if (edge(firing.act, firing.outputs.size() - 1).content != plan::Content::kState) return;
    token.empty = !token.round.snapshot;
    if (token.empty) return;
    for (const Exchange& exchange : exchanges_) {
      if (!exchange.saved) continue;
      const codec::Feedback& feedback = *roundings_[exchange.act]->feedback();
      std::size_t at = 0;
      for (const Gradient& gradient : gradients_of(setup_.model, actor_, exchange)) {
        const auto elements = static_cast<std::size_t>(gradient.shape.elements());
        token.tensors.push_back(
            Tensor::from<float>(firing.context.staging(), gradient.shape,
                                std::span(feedback.residual).subspan(at, elements)));
        at += elements;
      }
      if (feedback.warm.empty()) continue;
      token.tensors.push_back(Tensor::from<float>(firing.context.staging(),
                                                  {static_cast<std::int64_t>(feedback.warm.size())},
                                                  std::span(feedback.warm)));
    }
  }

  const TaskSetup setup_;
  const plan::Actor& actor_;
  const std::vector<plan::Act>& acts_;
  const plan::SyncSteps steps_;
  const std::vector<Exchange> exchanges_;
  std::vector<ops::Shape> shapes_;                    ///< of its gradients, whole
  std::vector<std::unique_ptr<Rounding>> roundings_;  ///< by act; null where nothing rounds
  std::optional<CodecChoice> choice_;                 ///< where the edges' codec is "auto"
  std::vector<codec::Candidate> candidates_;          ///< its codecs
  link::LineNow line_;                                ///< by which they were judged here
  std::vector<plan::EdgeId> wires_;                   ///< on which the choice will travel
  std::vector<std::size_t> own_;                      ///< gradients that go to the own optimizer
  std::vector<std::size_t> tied_;  ///< gradients of uses of tensors another stage owns
};

}  // namespace

Result<std::unique_ptr<Task>> make_gradient_sync(const TaskSetup& setup, const plan::Actor& actor) {
  return GradientSync::make(setup, actor);
}

}  // namespace reef::actors
