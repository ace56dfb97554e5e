#include "actors/store/local_steps/outer_store.h"

#include "actors/optimize/starting_values.h"
#include "actors/store/local_steps/exchange.h"
#include "actors/store/local_steps/loss_guard.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/log.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {
namespace {

using ops::Tensor;

/// Beside the job's grace, for the others' last progress and updates.
constexpr Duration kSettleTime = std::chrono::seconds(30);
constexpr Duration kLookAgain = std::chrono::milliseconds(50);
constexpr Duration kSayAgain = std::chrono::seconds(15);

/// act meet: progress [x owners, of each: x stages, of each: x ranks] -> correction [x replicas, of
/// each: likewise]
class OuterStore final : public Task {
 public:
  explicit OuterStore(const TaskSetup& setup)
      : setup_(setup),
        local_(*setup.job.local_steps),
        whole_(job::spec_of(setup.job)),
        fragments_(whole_, local_.fragments),
        guard_(local_.loss_guard),
        step_tokens_(setup.job.training.leaves * plan::tokens_per_leaf(setup.job)) {
    const std::vector<plan::RankDeal> deals = plan::deals_of(setup.job, setup.plan);
    told_.resize(std::size_t{deals[0].deal.owners()} * setup.plan.stages * setup.plan.ranks);
    corrected_.resize(std::size_t{setup.plan.replicas} * setup.plan.stages * setup.plan.ranks);
    for (const plan::Actor& other : setup.plan.actors) {
      if (other.kind != plan::ActorKind::kOptimizer) continue;
      const std::size_t port =
          (other.replica * setup.plan.stages + other.stage) * setup.plan.ranks + other.rank;
      const plan::LayerRange layers{other.first_layer, other.last_layer};
      corrected_[port] = deals[other.rank].held(layers, other.replica);
      if (port < told_.size()) told_[port] = deals[other.rank].spoken_for(layers, other.replica);
    }
  }

  bool fits(const plan::Act& act) const {
    return act.inputs.size() == told_.size() && act.outputs.size() == corrected_.size();
  }

  Status start(ops::Context& context, std::span<Token* const> initial) override {
    for (Token* token : initial) token->empty = true;
    ATOLL_ASSIGN(const auto global, starting_fragments(context));
    job::Island island = *setup_.job.island;
    ATOLL_ASSIGN(island.first_step, first_step(setup_.job));
    exchange_.emplace(
        local_, island, fragments_, global,
        [this](std::uint32_t island, node::Letter letter) {
          return setup_.wire.send_letter(island, std::move(letter));
        },
        setup_.clock.now());
    return {};
  }

  Status run(Firing& firing) override {
    const Round& round = firing.inputs[0]->round;
    if (counts(*setup_.job.island, round)) {
      const std::uint64_t steps = std::max<std::uint64_t>(1, setup_.job.training.steps);
      exchange_->trained(step_tokens_, (round.step << 32) / steps);
    }
    for (const double loss : setup_.post->take_losses()) {
      if (guard_.evaluated(loss)) exchange_->hurry();
    }
    ATOLL_TRY(tell(firing, round));
    ATOLL_TRY(meet({}));
    setup_.post->set_interval(local_.inner_steps * exchange_->longest_pace() /
                              exchange_->usual_pace());
    if (round.number == 0 && setup_.job.island->begun > 0) ATOLL_TRY(catch_up());
    if (round.training() && round.settling) ATOLL_TRY(settle());
    keep_back(firing, round);
    correct(firing, round);
    return {};
  }

 private:
  Result<std::vector<std::vector<float>>> starting_fragments(ops::Context& context) const {
    std::vector<std::vector<float>> fragments;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f)
      fragments.emplace_back(fragments_.elements(f));
    const nn::Stage stage(whole_, 0, whole_.layers.size());
    ATOLL_ASSIGN(const StartingValues begin, StartingValues::open(setup_.job));
    for (const nn::Parameter& parameter : stage.parameters()) {
      const plan::HeldSlice whole{{parameter.name, 0, parameter.elements(), 0}, parameter};
      ATOLL_ASSIGN(const auto values, begin.of(context, whole));
      fragments_.scatter(whole, values.master.values<float>(),
                         fragments[fragments_.fragment_of(parameter.name)]);
    }
    return fragments;
  }

  /// The fragments that shards have sent.
  Status tell(const Firing& firing, const Round& round) {
    std::map<std::uint32_t, std::vector<float>> told;
    for (std::size_t port = 0; port < told_.size(); ++port) {
      const Token& token = *firing.inputs[port];
      if (token.round != round || token.empty != firing.inputs[0]->empty)
        return Error{Code::kProto, "outer store", "progress of different rounds"};
      if (token.empty) continue;
      std::size_t at = 0;
      for (const plan::HeldSlice& held : told_[port]) {
        const std::uint32_t f = fragments_.fragment_of(held.parameter.name);
        if (!is_told(local_, round, f)) continue;
        if (at == token.tensors.size() || token.tensors[at].elements() != held.slice.count)
          return Error{Code::kTensor, held.parameter.name, "progress of another shape"};
        std::vector<float>& weights = told[f];
        weights.resize(fragments_.elements(f));
        fragments_.scatter(held, token.tensors[at++].values<float>(), weights);
      }
    }
    for (auto& [fragment, weights] : told)
      exchange_->tell(fragment, std::move(weights), round.settling, setup_.clock.now());
    return {};
  }

  Status meet(Duration patience) {
    const std::vector<Post::Event> events = setup_.post->take(patience);
    if (const auto company = setup_.post->take_company())
      ATOLL_TRY(exchange_->set_company(*company, setup_.clock.now()));
    exchange_->handle(events, setup_.clock.now());
    exchange_->update(setup_.clock.now());
    return {};
  }

  void keep_back(Firing& firing, const Round& round) {
    if (round.training() && !round.settling)
      firing.keep = exchange_->lead().stepped(setup_.clock.now());
    else
      exchange_->lead().interrupted();
  }

  /// Reads letters until `done`; false if it is not so long after it was `hopeful`.
  template <typename Done, typename Hopeful>
  Result<bool> wait_until(Done&& done, Hopeful&& hopeful) {
    Time late = setup_.clock.now() + local_.grace + kSettleTime;
    while (!done() && !setup_.post->closed()) {
      ATOLL_TRY(meet(kLookAgain));
      const Time now = setup_.clock.now();
      if (hopeful()) late = now + local_.grace + kSettleTime;
      if (now >= late) return false;
    }
    return true;
  }

  /// What training would make of the weights that it begins with is worth nothing to anybody.
  Status catch_up() {
    Time said = setup_.clock.now();
    const auto hopeful = [this, &said] {
      const Time now = setup_.clock.now();
      if (now >= said + kSayAgain) {
        said = now;
        log_warning("waits for the others' weights: " +
                    exchange_->still_missing().value_or("none"));
      }
      return !exchange_->is_alone() && !exchange_->nobody_knows();
    };
    ATOLL_ASSIGN(const bool caught_up,
                 wait_until([this] { return exchange_->caught_up(); }, hopeful));
    if (caught_up) return {};
    return Error{Code::kPeerLost, "outer store", "nobody is left who has the job's weights"};
  }

  /// Nothing is left to train meanwhile.
  Status settle() {
    ATOLL_ASSIGN(const bool settled,
                 wait_until([this] { return exchange_->finished(setup_.clock.now()); },
                            [this] { return exchange_->waits_for_somebody(setup_.clock.now()); }));
    if (!settled)
      log_warning("the last outer updates have not all come; the weights are without them");
    return {};
  }

  void correct(Firing& firing, const Round& round) {
    std::vector<double> corrected;
    std::map<std::uint32_t, std::span<const float>> corrections;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f) {
      if (!exchange_->corrects(f)) continue;
      corrected.push_back(f);
      corrections[f] = exchange_->correction(f);
    }
    for (std::size_t port = 0; port < corrected_.size(); ++port) {
      Token& token = *firing.outputs[port];
      token.round = round;
      token.empty = corrected.empty();
      token.scalars = corrected;
      for (const plan::HeldSlice& held : corrected_[port]) {
        const auto found = corrections.find(fragments_.fragment_of(held.parameter.name));
        if (found == corrections.end()) continue;
        Tensor values = Tensor::empty(firing.context.pool(), ops::DType::kF32, shape_of(held));
        fragments_.gather(held, found->second, values.values<float>());
        token.tensors.push_back(std::move(values));
      }
    }
  }

  const TaskSetup setup_;
  const job::LocalSteps& local_;
  const nn::ModelSpec whole_;
  const Fragments fragments_;
  LossGuard guard_;
  const std::uint64_t step_tokens_;
  std::vector<std::vector<plan::HeldSlice>> told_;       ///< by input
  std::vector<std::vector<plan::HeldSlice>> corrected_;  ///< by output
  std::optional<Exchange> exchange_;                     ///< from start() on
};

}  // namespace

bool counts(const job::Island& island, const Round& round) {
  return round.training() && (island.begun == 0 || round.number >= kCatchUpRounds);
}

bool is_told(const job::LocalSteps& local, const Round& round, std::uint32_t fragment) {
  if (!round.training()) return false;
  return round.settling || job::fragment_due(local, round.step) == fragment;
}

Result<std::unique_ptr<Task>> make_outer_store(const TaskSetup& setup, const plan::Actor& actor) {
  if (!setup.job.local_steps || !setup.job.island)
    return Error{Code::kProto, actor.name, "the job is no island's"};
  auto store = std::make_unique<OuterStore>(setup);
  if (!store->fits(actor.acts[0]))
    return Error{Code::kProto, actor.name, "does not meet each shard of the plan"};
  return std::unique_ptr<Task>(std::move(store));
}

}  // namespace reef::actors
