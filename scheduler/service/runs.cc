// The jobs: planned, started once their nodes are there, watched and ended.

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/make_plan.h"
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

}  // namespace

/// A search takes seconds of a large topology, so the helper thread plans.
Status Service::submit(std::uint64_t client, const node::Submit& submit) {
  Run run;
  ATOLL_ASSIGN(run.job, job::job_from_json(submit.job));
  run.run_folder = submit.run_folder;
  run.client = client;
  const std::uint64_t submission = next_submission_++;
  planning_[submission] = client;
  loop_.run_blocking([this, submission, text = submit.job, topology = topology_,
                      run = std::make_shared<Run>(std::move(run))] {
    const nn::Precision precision = run->job.training.precision;
    auto plan = plan::make_plan(
        run->job, options_.measured ? options_.measured(topology, precision) : topology);
    loop_.post([this, submission, text, run,
                plan = std::make_shared<Result<plan::Plan>>(std::move(plan))] {
      if (shutting_down_ || planning_.erase(submission) == 0) return;
      const Status queued =
          plan->ok() ? queue(std::move(*run), text, std::move(**plan)) : Status(plan->error());
      if (queued.ok()) return;
      log_error(queued.error().text());
      send(members_.at(run->client), node::failure_message({0, queued.error()}));
    });
  });
  return {};
}

Status Service::queue(Run run, const std::string& text, plan::Plan plan) {
  run.plan = std::move(plan);
  run.plan.epoch = 0;  // given when the nodes are there
  ATOLL_ASSIGN(run.id, store_->add_job(run.job.name, text, run.run_folder));
  queue_.push_back(std::move(run));
  advance();
  return {};
}

/// Of what the client has submitted and has not begun. Whether there was something.
bool Service::withdraw(std::uint64_t client) {
  const auto planning =
      std::erase_if(planning_, [client](const auto& one) { return one.second == client; });
  const auto queued =
      std::erase_if(queue_, [client](const Run& run) { return run.client == client; });
  return planning + queued > 0;
}

/// Starts the first job of the queue once every node of its plan has come.
void Service::advance() {
  if (!run_) {
    if (queue_.empty()) return;
    run_ = std::move(queue_.front());
    queue_.pop_front();
    loop_.at(loop_.clock().now() + kGatherTime, [this, id = run_->id] {
      if (run_ && run_->id == id && run_->state == "waiting") {
        std::vector<std::string> missing;
        for (const plan::Node& node : run_->plan.nodes) {
          Member* member = node_named(node.name);
          if (member == nullptr || !member->ready) missing.push_back(node.name);
        }
        fail({Code::kTimedOut, "node " + join(missing),
              "did not come or did not connect in " + format_duration(kGatherTime) +
                  "; see its log"});
      }
    });
  }
  if (run_->state != "waiting" || run_->plan.epoch != 0) return;
  for (const plan::Node& node : run_->plan.nodes) {
    if (node_named(node.name) == nullptr)
      return set_state("waiting", "node " + node.name + " has not registered");
  }
  launch();
}

/// The topology said what is meant to be; the nodes say what is. The narrower counts.
Status Service::route() {
  for (plan::Node& node : run_->plan.nodes)
    node.dialable = std::min(node.dialable, node_named(node.name)->dialable);
  return plan::route(run_->plan);
}

void Service::launch() {
  if (const Status routed = route(); !routed.ok()) return fail(routed.error());
  const auto epoch = store_->next_epoch(run_->id);
  if (!epoch.ok()) return fail(epoch.error());
  assign(*epoch);
}

void Service::assign(std::uint64_t epoch) {
  run_->plan.epoch = epoch;
  node::Assign assign;
  assign.epoch = epoch;
  assign.run_folder = run_->run_folder;
  assign.plan = plan::encode(run_->plan);
  for (const plan::Node& node : run_->plan.nodes) {
    const Member& member = *node_named(node.name);
    run_->unstopped.insert(node.name);
    assign.peers.push_back(
        {node.name, member.host, member.port, to_bytes(member.credential.noise_key), 1, ""});
  }
  for (std::uint32_t i = 0; i < run_->plan.nodes.size(); ++i) {
    assign.node = i;
    for (std::uint32_t k = 0; k < run_->plan.nodes.size(); ++k) {
      const topology::Line line = topology::line_between(topology_, run_->plan.nodes[i].datacenter,
                                                         run_->plan.nodes[k].datacenter);
      assign.peers[k].streams = topology::data_streams(line);
      assign.peers[k].congestion = line.congestion;
    }
    send(*node_named(run_->plan.nodes[i].name), node::assign_message(assign));
  }
}

void Service::node_ready(Member& member) {
  member.ready = true;
  for (const plan::Node& node : run_->plan.nodes) {
    const Member* other = node_named(node.name);
    if (other == nullptr || !other->ready) return;
  }
  set_state("running");
  for (const plan::Node& node : run_->plan.nodes) {
    send(*node_named(node.name), node::signal_message(Kind::kStart, {run_->plan.epoch, 0, ""}));
  }
}

void Service::suspect(const Error& error) {
  if (run_->suspicion || run_->state == "failed") return;
  run_->suspicion = error;
  loop_.at(loop_.clock().now() + kSuspicionTime, [this, id = run_->id] {
    if (run_ && run_->id == id && run_->suspicion) {
      Error error = *run_->suspicion;
      error.what += "; epoch " + std::to_string(run_->plan.epoch);
      fail(error);
    }
  });
}

void Service::cancel() {
  if (!run_ || run_->cancelled) return;
  run_->cancelled = true;
  if (run_->state == "waiting")
    return fail({Code::kCancelled, run_->job.name, "stopped before it began"});
  if (run_->state != "running") return;
  set_state("stopping");
  for (const plan::Node& node : run_->plan.nodes) {
    if (Member* member = node_named(node.name)) {
      send(*member, node::signal_message(Kind::kHold, {run_->plan.epoch, 0, ""}));
    }
  }
}

/// Once every loader stands still, all may go on to the same last step: one more than any has
/// begun, so that none has passed the moment at which that step's snapshot and evaluation are
/// decided.
void Service::node_held(const std::string& actor, std::uint64_t step) {
  run_->held[actor] = step;
  if (run_->held.size() < run_->plan.replicas) return;
  std::uint64_t begun = 0;
  for (const auto& [loader, at] : run_->held) begun = std::max(begun, at);
  const std::uint64_t last = std::min<std::uint64_t>(begun + 1, run_->job.training.steps);
  for (const plan::Node& node : run_->plan.nodes) {
    if (Member* member = node_named(node.name)) {
      send(*member, node::signal_message(Kind::kRelease, {run_->plan.epoch, last, ""}));
    }
  }
}

void Service::check_finished() {
  if (run_->last_round && run_->checkpoint_step == run_->step && run_->state != "failed")
    stop_nodes();
}

void Service::stop_nodes() {
  for (const plan::Node& node : run_->plan.nodes) {
    if (Member* member = node_named(node.name))
      send(*member, node::signal_message(Kind::kStop, {}));
  }
  loop_.at(loop_.clock().now() + kFarewellTime, [this, id = run_->id] {
    if (run_ && run_->id == id) finish();
  });
  if (run_->unstopped.empty()) finish();
}

void Service::node_stopped(const std::string& name) {
  if (!run_) return;
  run_->unstopped.erase(name);
  if (run_->unstopped.empty()) finish();
}

void Service::finish() {
  if (run_->state != "failed") set_state(run_->cancelled ? "stopped" : "succeeded");
  tell_client(node::status_message({run_->state, traffic(), run_->step, run_->checkpoint, ""}));
  run_.reset();
  advance();
}

void Service::fail(const Error& error) {
  if (!run_ || run_->state == "failed") return;
  log_error("job " + run_->job.name + " failed: " + error.text());
  set_state("failed", error.text());
  tell_client(node::failure_message({run_->plan.epoch, error}));
  stop_nodes();
}

std::string Service::actors_on(const std::string& node) const {
  std::vector<std::string> names;
  for (const plan::Actor& actor : run_->plan.actors) {
    const bool moves =
        actor.kind == plan::ActorKind::kSend || actor.kind == plan::ActorKind::kReceive;
    if (!moves && run_->plan.nodes[actor.node].name == node) names.push_back(actor.name);
  }
  return join(names);
}

node::Traffic Service::traffic() const {
  node::Traffic sum = run_ ? run_->of_gone : node::Traffic{};
  for (const auto& [id, member] : members_) sum += member.traffic;
  return sum;
}

void Service::set_state(const std::string& state, const std::string& reason) {
  run_->state = state;
  log_info("job " + run_->job.name + ": " + state + (reason.empty() ? "" : ": " + reason));
  if (const Status saved = store_->set_job(run_->id, state, reason, run_->step); !saved.ok()) {
    log_error(saved.error().text());
  }
  if (state != "failed" && state != "succeeded" && state != "stopped") {
    tell_client(node::status_message({state, traffic(), run_->step, run_->checkpoint, reason}));
  }
}

void Service::tell_client(link::Message message) {
  const auto client = members_.find(run_->client);
  if (client != members_.end()) send(client->second, std::move(message));
}

}  // namespace reef::service
