// The jobs: planned, started once their nodes are there, watched and ended.

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/route.h"
#include "scheduler/service/service.h"

namespace reef::service {
namespace {

using node::Kind;

/// Time for all nodes to register, and then to connect to each other.
constexpr Duration kGatherTime = std::chrono::seconds(30);
/// A peer's report of a loss waits this long for the lost node's own channel to break, which says
/// more.
constexpr Duration kSuspicionTime = std::chrono::milliseconds(500);
constexpr Duration kFarewellTime = std::chrono::seconds(1);
constexpr std::ptrdiff_t kMostWaiting = 16;  ///< jobs of one client that have not begun

}  // namespace

Status Service::may_submit(std::uint64_t client) const {
  const auto planning = std::ranges::count_if(
      planning_, [client](const auto& one) { return one.second.client == client; });
  if (planning + std::ranges::count(queue_, client, &Run::client) < kMostWaiting) return {};
  return Error{Code::kRefused, "job",
               std::to_string(kMostWaiting) +
                   " of this client's jobs have not begun; submit it when some have"};
}

/// A search takes seconds of a large topology, so the helper thread plans.
Status Service::submit(std::uint64_t client, const node::Submit& submit) {
  ATOLL_TRY(may_submit(client));
  Run run;
  ATOLL_ASSIGN(run.job, job::job_from_json(submit.job));
  if (run.job.island) {
    return Error{Code::kRefused, "spec.datacenters.island",
                 "is the scheduler's to say; submit the job without it"};
  }
  run.name = run.job.name;
  run.run_folder = submit.run_folder;
  run.client = client;
  const std::uint64_t submission = next_submission_++;
  const auto withdrawn = planning_.emplace(submission, Planning{client}).first->second.withdrawn;
  loop_.run_blocking([this, submission, withdrawn, text = submit.job, topology = topology_,
                      run = std::make_shared<Run>(std::move(run))] {
    if (*withdrawn) return;
    const nn::Precision precision = run->job.training.precision;
    auto plans = plan::make_plans(
        run->job, options_.measured ? options_.measured(topology, precision) : topology);
    // What mode auto has chosen stands in the plans.
    if (plans.ok() && run->job.automatic) {
      auto chosen = job::job_from_json(plans->front().descriptor);
      if (chosen.ok())
        run->job = std::move(*chosen);
      else
        plans = chosen.error();
    }
    loop_.post([this, submission, text, run,
                plans = std::make_shared<Result<std::vector<plan::Plan>>>(std::move(plans))] {
      if (shutting_down_ || planning_.erase(submission) == 0) return;
      const Status queued =
          plans->ok() ? queue(std::move(*run), text, std::move(**plans)) : Status(plans->error());
      if (queued.ok()) return;
      log_error(queued.error().text());
      send(members_.at(run->client), node::failure_message({0, queued.error()}));
    });
  });
  return {};
}

Status Service::queue(Run run, const std::string& text, std::vector<plan::Plan> plans) {
  ATOLL_TRY(check_teachers(run.job));
  if (run.job.serves && teacher_named(run.name) != nullptr) {
    return Error{Code::kRefused, "teacher " + run.name,
                 "runs or waits here already; give it another metadata.name"};
  }
  ATOLL_TRY(check_apart(run, plans.front()));
  ATOLL_ASSIGN(run.id, store_->add_job(run.name, text, run.run_folder));
  if (run.job.serves && school_ == 0) {
    ATOLL_ASSIGN(school_, store_->next_epoch(run.id));
  }
  if (run.job.local_steps) return queue_islands(run, std::move(plans));
  run.plan = std::move(plans.front());
  run.plan.epoch = 0;  // given when the nodes are there
  queue_.push_back(std::move(run));
  advance();
  return {};
}

/// Of what the client has submitted and has not begun. Whether there was something.
bool Service::withdraw(std::uint64_t client) {
  const auto planning = std::erase_if(planning_, [client](const auto& one) {
    return one.second.client == client && (*one.second.withdrawn = true);
  });
  bool queued = false;
  for (Run& run : queue_) {
    if (run.client != client) continue;
    queued = queued || !run.anew;
    set_state(run, "stopped", "withdrawn before it began");
    if (const auto met = meetings_.find(run.meeting); met != meetings_.end()) {
      if (!run.anew)
        meetings_.erase(met);  // its islands begin together: none has
      else
        met->second.islands[run.job.island->index] = Meeting::Island::kOver;
    }
  }
  std::erase_if(queue_, [client](const Run& run) { return run.client == client; });
  if (queued) advance();  // others may have waited for its place
  return planning > 0 || queued;
}

/// Places in the queue of those that begin with the one at `first`: the islands of its job, or it
/// alone.
std::vector<std::size_t> Service::beginning_with(std::size_t first) const {
  const Run& run = queue_[first];
  if (run.meeting == 0 || run.anew) return {first};
  std::vector<std::size_t> together;
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    if (queue_[i].meeting == run.meeting && !queue_[i].anew) together.push_back(i);
  }
  return together;
}

/// Begins every job of the queue whose nodes are free of those before it.
void Service::advance() {
  while (refuse_untaught()) {
  }
  std::set<std::string> claimed;
  for (std::size_t i = 0; i < queue_.size(); ++i) {
    const std::vector<std::size_t> together = beginning_with(i);
    if (together.front() != i) continue;
    const Run* before = nullptr;
    bool free = true;
    for (const std::size_t k : together) {
      for (const plan::Node& node : queue_[k].plan.nodes) {
        if (before == nullptr) before = holder_of(node.name);
        free = claimed.insert(node.name).second && free;
      }
    }
    const std::string untaught = waits_for_teacher(queue_[i].job);
    if (free && before == nullptr && untaught.empty()) {
      std::vector<Run> next;
      for (const std::size_t k : together) next.push_back(std::move(queue_[k]));
      for (auto k = together.rbegin(); k != together.rend(); ++k)
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(*k));
      for (Run& run : next) begin(std::move(run));
      return advance();
    }
    const std::string reason = before != nullptr ? "job " + before->name + " has its nodes"
                               : !free           ? "others are before it"
                                                 : untaught;
    for (const std::size_t k : together) {
      if (std::exchange(queue_[k].told, reason) != reason) set_state(queue_[k], "waiting", reason);
    }
  }
}

void Service::begin(Run next) {
  const std::int64_t id = next.id;
  Run& run = runs_[id] = std::move(next);
  // The others of its meeting go on meanwhile, however long its nodes are away.
  if (run.anew) return wait_for_nodes(run);
  loop_.at(loop_.clock().now() + kGatherTime, [this, id] {
    const auto found = runs_.find(id);
    if (found == runs_.end() || found->second.state != "waiting") return;
    std::vector<std::string> missing;
    for (const plan::Node& node : found->second.plan.nodes) {
      if (!found->second.ready.contains(node.name)) missing.push_back(node.name);
    }
    fail(found->second,
         {Code::kTimedOut, "node " + join(missing),
          "did not come or did not connect in " + format_duration(kGatherTime) + "; see its log"});
  });
  wait_for_nodes(run);
}

/// Launches the run once every node of its plan has come.
void Service::wait_for_nodes(Run& run) {
  if (run.state != "waiting" || run.plan.epoch != 0) return;
  for (const plan::Node& node : run.plan.nodes) {
    const Member* member = node_named(node.name);
    if (member == nullptr)
      return set_state(run, "waiting", "node " + node.name + " has not registered");
    if (!member->stopping.empty())
      return set_state(run, "waiting",
                       "node " + node.name + " still ends what it has gone on with");
  }
  launch(run);
}

/// The topology said what is meant to be; the nodes say what is. The narrower counts.
Status Service::route(Run& run) {
  for (plan::Node& node : run.plan.nodes)
    node.dialable = std::min(node.dialable, node_named(node.name)->dialable);
  return plan::route(run.plan);
}

void Service::launch(Run& run) {
  if (const Status routed = route(run); !routed.ok()) return fail(run, routed.error());
  const auto epoch = store_->next_epoch(run.id);
  if (!epoch.ok()) return fail(run, epoch.error());
  run.plan.epoch = *epoch;
  if (run.anew) catch_up(run);
  assign(run);
  if (const Status met = school_changed(run); !met.ok()) return fail(run, met.error());
  if (run.meeting == 0) return;
  if (const Status met = introduce_all(run.meeting); !met.ok()) fail(run, met.error());
}

void Service::assign(Run& run) {
  node::Assign assign;
  run.peers.clear();
  assign.epoch = run.plan.epoch;
  assign.run_folder = run.run_folder;
  assign.plan = plan::encode(run.plan);
  for (const plan::Node& node : run.plan.nodes) {
    const Member& member = *node_named(node.name);
    run.unstopped.insert(node.name);
    assign.peers.push_back(
        {node.name, member.host, member.port, to_bytes(member.credential.noise_key), 1, ""});
  }
  run.peers = assign.peers;
  for (std::uint32_t i = 0; i < run.plan.nodes.size(); ++i) {
    assign.node = i;
    for (std::uint32_t k = 0; k < run.plan.nodes.size(); ++k) {
      const topology::Line line = topology::line_between(topology_, run.plan.nodes[i].datacenter,
                                                         run.plan.nodes[k].datacenter);
      assign.peers[k].streams = topology::data_streams(line);
      assign.peers[k].congestion = line.congestion;
    }
    send(*node_named(run.plan.nodes[i].name), node::assign_message(assign));
  }
}

void Service::node_ready(Run& run, const std::string& name) {
  run.ready.insert(name);
  if (run.ready.size() < run.plan.nodes.size() || run.state != "waiting") return;
  set_state(run, "running");
  tell_nodes(run, node::signal_message(Kind::kStart, {run.plan.epoch, 0, ""}));
  if (run.job.serves) advance();  // students may wait for it
}

void Service::suspect(Run& run, const Error& error) {
  if (run.suspicion || run.ending) return;
  run.suspicion = error;
  loop_.at(loop_.clock().now() + kSuspicionTime, [this, id = run.id] {
    const auto found = runs_.find(id);
    if (found == runs_.end()) return;
    Error suspicion = *found->second.suspicion;
    suspicion.what += "; epoch " + std::to_string(found->second.plan.epoch);
    fail(found->second, suspicion);
  });
}

void Service::cancel(Run& run) {
  if (run.returns) {
    run.returns = false;  // nobody wants it back
    if (const auto met = meetings_.find(run.meeting); met != meetings_.end())
      met->second.islands[run.job.island->index] = Meeting::Island::kOver;
  }
  if (run.cancelled || run.ending) return;
  run.cancelled = true;
  if (run.state == "waiting")
    return fail(run, {Code::kCancelled, run.name, "stopped before it began"});
  if (run.state != "running") return;
  set_state(run, "stopping");
  if (run.job.serves) return stop_nodes(run);  // it has no step to finish
  hurry(run);
  tell_nodes(run, node::signal_message(Kind::kHold, {run.plan.epoch, 0, ""}));
}

/// Once every loader stands still, all may go on to the same last step: one more than any has
/// begun, so that none has passed the moment at which that step's snapshot and evaluation are
/// decided.
void Service::node_held(Run& run, const std::string& node, const std::string& actor,
                        std::uint64_t step) {
  if (run.ending) return;
  if (run.last_step) {  // it says so again, since it was out of reach
    if (Member* member = node_named(node)) send(*member, release_of(run));
    return;
  }
  run.held[actor] = step;
  if (run.held.size() < run.plan.replicas) return;
  std::uint64_t begun = 0;
  for (const auto& [loader, at] : run.held) begun = std::max(begun, at);
  run.last_step = std::min<std::uint64_t>(begun + 1, run.job.training.steps);
  tell_nodes(run, release_of(run));
}

link::Message Service::release_of(const Run& run) const {
  return node::signal_message(Kind::kRelease, {run.plan.epoch, *run.last_step, ""});
}

void Service::check_finished(Run& run) {
  if (run.last_round && run.checkpoint_step == run.step) stop_nodes(run);
}

void Service::stop_nodes(Run& run) {
  if (std::exchange(run.ending, true)) return;
  if (const Status met = school_changed(run); !met.ok()) log_error(met.error().text());
  tell_nodes(run, node::signal_message(Kind::kStop, {run.plan.epoch, 0, ""}));
  // Whoever is out of reach is told when it is back.
  for (const auto& [node, until] : std::exchange(run.unreachable, {})) run.unstopped.erase(node);
  loop_.at(loop_.clock().now() + kFarewellTime, [this, id = run.id] {
    const auto found = runs_.find(id);
    if (found == runs_.end()) return;
    conclude(found->second);
    for (const std::string& name : found->second.unstopped)
      log_warning("node " + name + " is still in an act of job " + found->second.name);
  });
  node_stopped(run, "");
}

/// The run's nodes are free once all of them have left it. Erases it then, later, since callers
/// hold it.
void Service::node_stopped(Run& run, const std::string& name) {
  run.unstopped.erase(name);
  if (!run.unstopped.empty()) return;
  conclude(run);
  loop_.post([this, id = run.id] {
    const auto found = runs_.find(id);
    if (found != runs_.end() && found->second.returns) begin_anew(found->second);
    runs_.erase(id);
    advance();
  });
}

void Service::conclude(Run& run) {
  if (std::exchange(run.over, true)) return;
  if (run.state != "failed") set_state(run, run.cancelled ? "stopped" : "succeeded");
  if (run.meeting != 0) return leave_meeting(run);
  tell_client(run, node::status_message({run.state, run.sent(), run.step, run.checkpoint, ""}));
}

void Service::fail(Run& run, const Error& error) {
  if (run.ending) return;
  log_error("job " + run.name + " failed: " + error.text());
  set_state(run, "failed", error.text());
  if (run.meeting == 0 || !goes_on_without(run, error))
    tell_client(run, node::failure_message({run.plan.epoch, error}));
  stop_nodes(run);
  if (!meetings_.contains(run.meeting)) return;
  if (const Status met = introduce_all(run.meeting); !met.ok()) log_error(met.error().text());
}

Service::Run* Service::run_of(std::uint64_t epoch, const std::string& node) {
  for (auto& [id, run] : runs_) {
    if (epoch != 0 && run.plan.epoch == epoch && run.has(node)) return &run;
  }
  return nullptr;
}

Service::Run* Service::holder_of(const std::string& node) {
  for (auto& [id, run] : runs_) {
    if (run.has(node)) return &run;
  }
  return nullptr;
}

bool Service::Run::has(const std::string& node) const {
  return std::ranges::any_of(plan.nodes,
                             [&node](const plan::Node& one) { return one.name == node; });
}

bool Service::Run::loads(const std::string& actor, const std::string& node) const {
  return std::ranges::any_of(plan.actors, [&](const plan::Actor& one) {
    return one.kind == plan::ActorKind::kDataLoader && one.name == actor &&
           plan.nodes[one.node].name == node;
  });
}

std::string Service::Run::actors_on(const std::string& node) const {
  std::vector<std::string> names;
  for (const plan::Actor& actor : plan.actors) {
    const bool moves =
        actor.kind == plan::ActorKind::kSend || actor.kind == plan::ActorKind::kReceive;
    if (!moves && plan.nodes[actor.node].name == node) names.push_back(actor.name);
  }
  return join(names);
}

node::Traffic Service::Run::sent() const {
  node::Traffic sum;
  for (const auto& [node, some] : traffic) sum += some;
  return sum;
}

void Service::set_state(Run& run, const std::string& state, const std::string& reason) {
  run.state = state;
  log_info("job " + run.name + ": " + state + (reason.empty() ? "" : ": " + reason));
  if (const Status saved = store_->set_job(run.id, state, reason, run.step); !saved.ok()) {
    log_error(saved.error().text());
  }
  if (state != "failed" && state != "succeeded" && state != "stopped") {
    tell_client(run,
                node::status_message({state, traffic_of(run), run.step, run.checkpoint, reason}));
  }
}

void Service::tell_client(const Run& run, link::Message message) {
  const auto client = members_.find(run.client);
  if (client != members_.end()) send(client->second, std::move(message));
}

void Service::tell_nodes(const Run& run, const link::Message& message) {
  for (const plan::Node& node : run.plan.nodes) {
    if (Member* member = node_named(node.name)) send(*member, message);
  }
}

}  // namespace reef::service
