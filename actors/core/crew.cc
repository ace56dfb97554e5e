#include "actors/core/crew.h"

#include <caf/scoped_actor.hpp>
#include <future>
#include <limits>
#include <optional>

#include "actors/core/factory.h"
#include "actors/store/local_steps/post.h"
#include "actors/teach/lessons.h"
#include "ops/nn/context_share.h"
#include "ops/nn/needs.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/log.h"
#include "runtime/base/units.h"
#include "scheduler/plan/act_cost.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/segments.h"

namespace reef::actors {
namespace {

constexpr double kLongestPace = 60;  ///< seconds of one act: more cannot be stopped in time

class LocalCrew final : public node::Crew {
 public:
  LocalCrew(CrewSite site, const node::CrewSetup& setup, job::Job job)
      : site_(std::move(site)), setup_(setup), job_(std::move(job)) {
    if (!job_.distillation) return;
    const auto send = [this](std::uint32_t teacher, node::Letter letter) {
      return setup_.wire.send_letter(teacher, std::move(letter));
    };
    lessons_.emplace(job_, setup_.plan.epoch, send, post_, site_.clock);
  }

  /// Tasks refer to the crew, and hosts to the node: none of them may outlive it.
  ~LocalCrew() override {
    post_.close();
    std::vector<caf::actor> hosts;
    for (const auto& [id, host] : hosts_) {
      stop(host);
      hosts.push_back(host);
    }
    if (site_.settle) {
      site_.settle();
    } else {
      caf::scoped_actor(site_.system)->wait_for(hosts);
    }
    drain(site_.compute);
    drain(site_.io);
    const Mailboxes::Fullest fullest = mailboxes_.fullest();
    log_info("mailboxes: at most " + std::to_string(fullest.waiting) + " messages waited of " +
             std::to_string(fullest.bound) + " that can (" + fullest.actor + ")");
  }

  Status spawn() {
    const plan::Plan& plan = setup_.plan;
    if (const auto problem = nn::problem_of(job_.model, plan.ranks); !problem.empty())
      return Error{Code::kProto, "plan", problem};
    const std::int64_t tokens = job_.training.context;
    if (const auto problem = nn::problem_of_context(job_.model, plan.context, tokens);
        !problem.empty())
      return Error{Code::kProto, "plan", problem};
    for (std::uint32_t t = 0; t < plan.ranks; ++t)
      models_.push_back(nn::spec_of_rank(job::spec_of(job_), {t, plan.ranks}));
    ATOLL_TRY(check_device());
    // Of all: a norm knows the parameters of others.
    for (const plan::Actor& actor : plan.actors) ATOLL_TRY(check_layers(actor));
    Registers registers;
    for (const plan::Edge& edge : plan.edges) {
      const bool here = plan.actors[edge.producer].node == setup_.node ||
                        plan.actors[edge.consumer].node == setup_.node;
      if (here) registers[edge.id] = std::make_shared<Register>(edge.name, edge.slots, edge.bytes);
    }
    for (const plan::Actor& actor : plan.actors) {
      if (actor.node != setup_.node) continue;
      const TaskSetup tasks{plan,
                            job_,
                            models_[actor.rank],
                            setup_.events,
                            setup_.wire,
                            site_.clock,
                            setup_.run_folder,
                            &post_,
                            lessons_ ? &*lessons_ : nullptr};
      auto task = make_task(tasks, actor);
      if (!task.ok()) {
        const Error& error = task.error();
        return Error{error.code, error.where, error.what + " (actor " + actor.name + ")"};
      }
      HostSetup host{&plan,
                     &actor,
                     plan::computes(actor.kind) ? &site_.compute : &site_.io,
                     &setup_.events,
                     &setup_.wire,
                     site_.trace,
                     {},
                     &mailboxes_};
      ATOLL_ASSIGN(host.pace, pace_of(actor));
      hosts_[actor.id] = spawn_host(site_.system, std::move(host), std::move(*task),
                                    registers_of(actor, registers));
    }
    return {};
  }

  void begin() override {
    for (const auto& [id, host] : hosts_) actors::begin(host, hosts_);
  }
  void arrived(plan::EdgeId edge, std::uint64_t sequence, Token token) override {
    actors::arrived(hosts_.at(setup_.plan.edges[edge].consumer), edge, sequence, std::move(token));
  }
  void credited(plan::EdgeId edge) override {
    actors::credited(hosts_.at(setup_.plan.edges[edge].producer), edge);
  }
  void hold() override {
    for_loaders([](const caf::actor& host) { actors::hold(host); });
  }
  void release(std::uint64_t step) override {
    for_loaders([step](const caf::actor& host) { actors::release(host, step); });
  }
  void letter(std::uint32_t island, node::Letter letter) override {
    post_.put({island, std::nullopt, std::move(letter)});
  }
  void island_changed(std::uint32_t island, bool present) override {
    post_.put({island, present, {}});
  }
  void company(job::Company company) override { post_.put(std::move(company)); }

 private:
  /// Bytes that another island may have to say before the store looks: snapshots of all with their
  /// momentum, twice; or a student, of whom many may ask one teacher.
  static std::size_t letters_of(const job::Job& job) {
    if (job.serves) return std::size_t{16} << 20;
    std::size_t elements = 0;
    for (const nn::Layer& layer : job::spec_of(job).layers) {
      for (const nn::Parameter& parameter : layer.parameters)
        elements += static_cast<std::size_t>(parameter.elements());
    }
    return 4 * sizeof(float) * elements + (std::size_t{64} << 20);
  }

  /// The device has been opened before the plan came.
  Status check_device() const {
    const plan::Node& node = setup_.plan.nodes[setup_.node];
    const DeviceName& planned = node.device.name;
    if (planned != site_.device) {
      return Error{Code::kUsage, "node " + node.name,
                   "is to compute on " + planned.text() + ", but was started for " +
                       site_.device.text() + "; start it with --device " + planned.text()};
    }
    if (planned.is_cpu()) return {};
    ATOLL_ASSIGN(const ops::Device device, ops::device_named(planned.kind));
    return nn::check_kernels(device, models_[0], setup_.plan.ranks > 1 || setup_.plan.context > 1);
  }

  /// A plan comes from another process; that its layers are the model's is seen here first.
  Status check_layers(const plan::Actor& actor) const {
    const bool holds_layers = actor.kind == plan::ActorKind::kLayerShard ||
                              actor.kind == plan::ActorKind::kGradientSync ||
                              actor.kind == plan::ActorKind::kOptimizer ||
                              actor.kind == plan::ActorKind::kAllGather;
    const auto& layers = models_[0].layers;
    if (!holds_layers) return {};
    if (actor.first_layer >= actor.last_layer || actor.last_layer > layers.size())
      return Error{Code::kProto, actor.name, "holds layers that the model does not have"};
    if (actor.kind != plan::ActorKind::kLayerShard) return {};
    const plan::Segments segments = plan::segments_of(setup_.plan, actor);
    for (std::uint32_t i = 0; i < segments.count() && setup_.plan.context > 1; ++i) {
      const bool attends = layers[segments.layers(i).first].kind == nn::LayerKind::kAttention;
      if (attends != segments.is_ring(i))
        return Error{Code::kProto, actor.name, "is not cut where the model has its attention"};
    }
    return {};
  }

  static Registers registers_of(const plan::Actor& actor, const Registers& all) {
    Registers own;
    for (const plan::Act& act : actor.acts) {
      for (const auto* ports : {&act.inputs, &act.outputs}) {
        for (const Port& port : *ports) own[port.edge] = all.at(port.edge);
      }
    }
    return own;
  }

  /// Of each act, if the device of this node is paced.
  Result<std::vector<Duration>> pace_of(const plan::Actor& actor) const {
    std::vector<Duration> pace;
    if (!setup_.plan.nodes[actor.node].device.paced || !plan::computes(actor.kind)) return pace;
    for (std::size_t i = 0; i < actor.acts.size(); ++i) {
      const double nominal = plan::act_seconds(setup_.plan, models_[actor.rank],
                                               plan::tokens_per_shard(job_), actor, i);
      if (!(nominal <= kLongestPace)) {
        return Error{Code::kJobValue, "node " + setup_.plan.nodes[actor.node].name,
                     "at its stated speed " + actor.acts[i].name + " of " + actor.name +
                         " would take longer than " + format_duration(std::chrono::seconds(60)) +
                         "; a paced device needs a higher speed, or smaller micro-batches"};
      }
      pace.push_back(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(nominal)));
    }
    return pace;
  }

  /// Returns when everything submitted before has run.
  static void drain(device::Stream& stream) {
    std::promise<void> drained;
    stream.submit(
        std::numeric_limits<std::int32_t>::min(), [](ops::Context&) {},
        [&drained] { drained.set_value(); });
    drained.get_future().wait();
  }

  template <typename F>
  void for_loaders(F&& action) {
    for (const auto& [id, host] : hosts_) {
      if (setup_.plan.actors[id].kind == plan::ActorKind::kDataLoader) action(host);
    }
  }

  CrewSite site_;
  node::CrewSetup setup_;
  job::Job job_;
  std::vector<nn::ModelSpec> models_;  ///< what each rank has
  Mailboxes mailboxes_;
  Post post_{letters_of(job_)};
  std::optional<Lessons> lessons_;
  std::map<plan::ActorId, caf::actor> hosts_;
};

}  // namespace

Result<std::unique_ptr<node::Crew>> make_crew(CrewSite site, const node::CrewSetup& setup) {
  ATOLL_ASSIGN(auto job, job::job_from_json(setup.plan.descriptor));
  auto crew = std::make_unique<LocalCrew>(std::move(site), setup, std::move(job));
  ATOLL_TRY(crew->spawn());
  return std::unique_ptr<node::Crew>(std::move(crew));
}

}  // namespace reef::actors
