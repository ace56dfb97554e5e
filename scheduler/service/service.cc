#include "scheduler/service/service.h"

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/base/units.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/route.h"

namespace reef::service {
namespace {

using node::Kind;

constexpr Duration kHandshakeTime = std::chrono::seconds(5);
constexpr Duration kSendTime = std::chrono::seconds(30);
/// Time for all nodes to register, and then to connect to each other.
constexpr Duration kGatherTime = std::chrono::seconds(30);
/// A peer's report of a loss waits this long for the lost node's own channel to break, which says
/// more.
constexpr Duration kSuspicionTime = std::chrono::milliseconds(500);
constexpr Duration kFarewellTime = std::chrono::seconds(1);

}  // namespace

Service::Service(node::Identity identity, topology::Topology topology, std::unique_ptr<Store> store,
                 ServiceOptions options)
    : identity_(std::move(identity)),
      topology_(std::move(topology)),
      store_(std::move(store)),
      options_(std::move(options)) {
  trust_ = std::make_unique<Trust>(loop_, identity_, *store_, options_.trust,
                                   [this](const link::Message& message) {
                                     for (auto& [id, member] : members_) send(member, message);
                                   });
  trust_->guard(identity_.local);
  identity_.local.counters = std::make_shared<link::secure::Counters>();
}

Service::~Service() {
  // On the loop's thread, where a roster may just be on its way to the members.
  loop_.call([this] {
    listener_.reset();
    members_.clear();
  });
  loop_.stop();
}

Result<std::uint16_t> Service::start() {
  apply_measured_lines();
  Status loaded;
  loop_.call([&] { loaded = trust_->load(); });
  ATOLL_TRY(loaded);
  trust_->note("started", identity_.name, "serial " + std::to_string(identity_.credential.serial));
  auto on_connection = [this](std::unique_ptr<link::Link> plain) {
    const std::string from = plain->peer_name();
    link::secure::accept(std::move(plain), identity_.local, loop_.clock().now() + kHandshakeTime,
                         [this, from](auto sealed) {
                           if (!sealed.ok()) return refused(from, sealed.error());
                           accepted(std::move(*sealed));
                         });
  };
  ATOLL_ASSIGN(listener_,
               link::tcp::Listener::listen(loop_, options_.host, options_.port, on_connection));
  return listener_->port();
}

void Service::wait() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return over_; });
}

void Service::shutdown() {
  loop_.post([this] {
    shutting_down_ = true;
    trust_->note("stopped", identity_.name, handshakes());
    for (auto& [id, member] : members_) {
      if (member.credential.role == security::Role::kNode)
        send(member, node::signal_message(Kind::kStop, {}));
    }
    for (auto& [id, member] : members_) member.channel->close(true);
    std::lock_guard lock(mutex_);
    over_ = true;
    ended_.notify_all();
  });
}

void Service::refused(const std::string& from, const Error& why) {
  trust_->note_stranger("handshake-refused", from, why.text());
}

std::string Service::handshakes() const {
  const link::secure::Counters& seen = *identity_.local.counters;
  return "handshakes: " + std::to_string(seen.established) + " established, " +
         std::to_string(seen.garbage) + " of strangers, " + std::to_string(seen.refused) +
         " refused, " + std::to_string(seen.timed_out) + " timed out, " +
         std::to_string(seen.lost) + " broken off";
}

Status Service::check_place(const security::Credential& who) const {
  for (const topology::Node& node : topology_.nodes) {
    if (node.name == who.name && node.datacenter != who.datacenter) {
      return Error{Code::kRefused, who.name,
                   "its credential says datacenter " + who.datacenter + ", the topology says " +
                       node.datacenter + "; change the topology, or enrol it anew"};
    }
  }
  return {};
}

void Service::accepted(std::unique_ptr<link::secure::SecureLink> link) {
  if (link->stream().stream == link::secure::kEnrolStream) return trust_->enrol(std::move(link));
  const std::uint64_t id = next_member_++;
  Member& member = members_[id];
  member.credential = link->peer();
  member.session =
      trust_->joined(member.credential, [this, id](const Error& why) { on_closed(id, why); });
  member.channel = link::Channel::create(std::move(link));
  member.channel->start([this, id](link::Message message) { on_message(id, std::move(message)); },
                        [this, id](const Error& why) { on_closed(id, why); });
  const std::string& roster = trust_->sessions().roster_text();
  if (!roster.empty()) send(member, node::roster_message(roster));
}

void Service::on_message(std::uint64_t id, link::Message message) {
  const auto found = members_.find(id);
  if (found == members_.end() || found->second.gone) return;
  const security::Credential& who = found->second.credential;
  Status status = Error{Code::kRefused, who.name, "sent a message it may not send"};
  if (policy_.allows(who.role, message.kind)) {
    status = dispatch(id, static_cast<Kind>(message.kind), message);
  } else {
    trust_->note_stranger("policy-denied", who.name,
                          "a " + std::string(role_name(who.role)) + " sent a message of kind " +
                              std::to_string(message.kind));
  }
  if (status.ok()) return;
  log_error(status.error().text());
  if (who.role == security::Role::kClient) {
    send(found->second, node::failure_message({0, status.error()}));
  } else {
    found->second.channel->close(false);
  }
}

Status Service::dispatch(std::uint64_t id, Kind kind, const link::Message& message) {
  if (kind == Kind::kRenew) return renew(members_.at(id));
  if (kind == Kind::kSubmit) {
    ATOLL_ASSIGN(const auto request, node::read_submit(message));
    return submit(id, request);
  }
  if (kind == Kind::kTestLine) {
    ATOLL_ASSIGN(const auto request, node::read_test_line(message));
    return test_line(id, request);
  }
  if (kind == Kind::kCancel) {
    if (run_ && run_->client == id) cancel();
    return {};
  }
  return on_node(id, members_.at(id), kind, message);
}

/// A refusal is no error of the member's: it stays until its credential has run out.
Status Service::renew(Member& member) {
  auto answer = trust_->renew(member.session, member.credential, member.next_renewal);
  if (answer.ok() && *answer) send(member, std::move(**answer));
  return {};
}

Status Service::on_node(std::uint64_t id, Member& member, Kind kind, const link::Message& message) {
  const std::string& name = member.credential.name;
  if (kind == Kind::kHello) {
    ATOLL_ASSIGN(const auto hello, node::read_hello(message));
    ATOLL_TRY(check_place(member.credential));
    for (const auto& [other_id, other] : members_) {
      if (other_id != id && other.registered && other.credential.name == name) {
        return Error{Code::kRefused, name, "is registered already"};
      }
    }
    member.registered = true;
    member.host = hello.host;
    member.port = hello.port;
    member.dialable = hello.dialable;
    const std::string address = hello.host + ":" + std::to_string(hello.port);
    const bool listens = hello.dialable != Reach::kNowhere;
    log_info("node " + name + " of " + member.credential.datacenter + " registered; " +
             (listens ? "at " + address : "dials out only"));
    ATOLL_TRY(store_->add_node(name, member.credential.datacenter, listens ? address : "-"));
    advance();
    return {};
  }
  if (kind == Kind::kLineResult) {
    ATOLL_ASSIGN(const auto result, node::read_line_result(message));
    return line_measured(member, result);
  }
  if (kind == Kind::kHeartbeat || kind == Kind::kStopped) {
    ATOLL_ASSIGN(member.traffic, node::read_heartbeat(message));
    if (kind == Kind::kStopped) {
      member.stopped = true;
      node_stopped(name);
    }
    return {};
  }
  return on_epoch_message(member, kind, message);
}

/// Messages about the running job; those of another epoch are refused.
Status Service::on_epoch_message(Member& member, Kind kind, const link::Message& message) {
  const std::string& name = member.credential.name;
  const auto stale = [&](std::uint64_t epoch) { return !run_ || epoch != run_->plan.epoch; };
  const Error fenced{Code::kFenced, name, "speaks of an epoch that is over"};
  if (kind == Kind::kProgress) {
    ATOLL_ASSIGN(auto report, node::read_progress(message));
    if (stale(report.epoch)) return fenced;
    run_->step = report.progress.round.step;
    run_->last_round = report.progress.round.last;
    report.traffic = traffic();
    tell_client(node::progress_message(report));
    check_finished();
  } else if (kind == Kind::kCheckpoint) {
    ATOLL_ASSIGN(const auto report, node::read_checkpoint(message));
    if (stale(report.epoch)) return fenced;
    run_->checkpoint = report.folder;
    run_->checkpoint_step = report.step;
    tell_client(node::checkpoint_message(report));
    check_finished();
  } else if (kind == Kind::kFailure) {
    ATOLL_ASSIGN(const auto report, node::read_failure(message));
    if (!run_ || (report.epoch != 0 && stale(report.epoch))) return {};
    if (report.error.code == Code::kPeerLost) {
      suspect({Code::kPeerLost, "line between " + name + " and " + report.error.where,
               report.error.what});
    } else {
      fail({report.error.code, "node " + name + ", actor " + report.error.where,
            report.error.what + "; epoch " + std::to_string(run_->plan.epoch)});
    }
  } else {
    ATOLL_ASSIGN(const auto signal, node::read_signal(message));
    if (stale(signal.epoch)) return fenced;
    if (kind == Kind::kReady) node_ready(member);
    if (kind == Kind::kHeld) node_held(signal.actor, signal.step);
  }
  return {};
}

void Service::on_closed(std::uint64_t id, const Error& why) {
  const auto found = members_.find(id);
  if (found == members_.end() || std::exchange(found->second.gone, true)) return;
  trust_->sessions().remove(found->second.session);
  const security::Credential who = found->second.credential;
  const bool expected = found->second.stopped || shutting_down_;
  // Destroyed later, because this is its own callback.
  loop_.post([this, id] { members_.erase(id); });
  found->second.registered = false;
  if (run_) run_->of_gone += std::exchange(found->second.traffic, {});
  forget_line_tests(who.name, why);
  if (expected) return;
  if (who.role == security::Role::kClient) {
    std::erase_if(queue_, [id](const Run& run) { return run.client == id; });
    if (run_ && run_->client == id) cancel();
    return;
  }
  const bool ours = run_ && run_->state != "waiting" &&
                    std::any_of(run_->plan.nodes.begin(), run_->plan.nodes.end(),
                                [&](const plan::Node& node) { return node.name == who.name; });
  if (!ours) return log_warning("node " + who.name + " left: " + why.text());
  const std::string actors = actors_on(who.name);
  fail({Code::kPeerLost, "node " + who.name,
        "lost at step " + std::to_string(run_->step) + " of epoch " +
            std::to_string(run_->plan.epoch) + " (" + why.what + "); it " +
            (actors.empty() ? "relays for others" : "held actors " + actors)});
  node_stopped(who.name);
}

Status Service::submit(std::uint64_t client, const node::Submit& submit) {
  Run run;
  ATOLL_ASSIGN(run.job, job::job_from_json(submit.job));
  ATOLL_ASSIGN(run.plan, plan::make_plan(
                             run.job, options_.measured
                                          ? options_.measured(topology_, run.job.training.precision)
                                          : topology_));
  run.plan.epoch = 0;  // given when the nodes are there
  ATOLL_ASSIGN(run.id, store_->add_job(run.job.name, submit.job, submit.run_folder));
  run.run_folder = submit.run_folder;
  run.client = client;
  queue_.push_back(std::move(run));
  advance();
  return {};
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

Service::Member* Service::node_named(const std::string& name) {
  for (auto& [id, member] : members_) {
    const bool node = member.credential.role == security::Role::kNode && member.registered;
    if (node && member.credential.name == name) return &member;
  }
  return nullptr;
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

void Service::send(Member& member, link::Message message) {
  member.channel->send(std::move(message), loop_.clock().now() + kSendTime, [](const Status&) {});
}

}  // namespace reef::service
