#include "scheduler/service/service.h"

#include <utility>

#include "runtime/base/log.h"

namespace reef::service {
namespace {

using node::Kind;

constexpr Duration kHandshakeTime = std::chrono::seconds(5);
constexpr Duration kSendTime = std::chrono::seconds(30);

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
    shutting_down_ = true;
    for (auto& [submission, planning] : planning_) *planning.withdrawn = true;
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
        send(member, node::signal_message(Kind::kStop, {}));  // the node itself
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
    if (withdraw(id)) {
      send(members_.at(id),
           node::failure_message({0, {Code::kCancelled, "job", "withdrawn before it began"}}));
    }
    for (auto& [run_id, run] : runs_) {
      if (run.client == id) cancel(run);
    }
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
    if (member.registered) return Error{Code::kProto, name, "says hello again"};
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
    came_back(member, hello.holds);
    for (auto& [run_id, run] : runs_) wait_for_nodes(run);
    return {};
  }
  if (kind == Kind::kLineResult) {
    ATOLL_ASSIGN(const auto result, node::read_line_result(message));
    return line_measured(member, result);
  }
  ATOLL_TRY(on_epoch_message(name, kind, message));
  if (kind == Kind::kStopped) return left_job(member, message);
  return {};
}

/// Messages about a job in which the node has a part. Those of one that is over may have crossed
/// with its end.
Status Service::on_epoch_message(const std::string& name, Kind kind, const link::Message& message) {
  if (kind == Kind::kHeartbeat || kind == Kind::kStopped) {
    ATOLL_ASSIGN(const auto heartbeat, node::read_heartbeat(message));
    Run* const run = run_of(heartbeat.epoch, name);
    if (run == nullptr) return {};
    run->traffic[name] = heartbeat.traffic;
    if (kind == Kind::kStopped) node_stopped(*run, name);
  } else if (kind == Kind::kProgress) {
    ATOLL_ASSIGN(auto report, node::read_progress(message));
    Run* const run = run_of(report.epoch, name);
    if (run == nullptr) return {};
    run->step = report.progress.round.step;
    run->last_round = report.progress.round.last;
    note_progress(*run);
    report.traffic = traffic_of(*run);
    tell_client(*run, node::progress_message(report));
    check_finished(*run);
  } else if (kind == Kind::kCheckpoint) {
    ATOLL_ASSIGN(const auto report, node::read_checkpoint(message));
    Run* const run = run_of(report.epoch, name);
    if (run == nullptr) return {};
    run->checkpoint = report.folder;
    run->checkpoint_step = report.step;
    tell_client(*run, node::checkpoint_message(report));
    check_finished(*run);
  } else if (kind == Kind::kFailure) {
    ATOLL_ASSIGN(const auto report, node::read_failure(message));
    on_failure(name, report);
  } else {
    ATOLL_ASSIGN(const auto signal, node::read_signal(message));
    Run* const run = run_of(signal.epoch, name);
    if (run == nullptr) return {};
    if (kind == Kind::kReady) node_ready(*run, name);
    if (kind == Kind::kHeld && run->loads(signal.actor, name))
      node_held(*run, name, signal.actor, signal.step);
  }
  return {};
}

/// A node that could not read its assignment knows no epoch.
void Service::on_failure(const std::string& name, const node::FailureReport& report) {
  Run* run = run_of(report.epoch, name);
  if (report.epoch == 0) run = holder_of(name);
  if (run == nullptr || (report.epoch == 0 && run->state != "waiting")) return;
  if (report.error.code == Code::kPeerLost) {
    suspect(*run, {Code::kPeerLost, "line between " + name + " and " + report.error.where,
                   report.error.what});
  } else {
    fail(*run, {report.error.code, "node " + name + ", actor " + report.error.where,
                report.error.what + "; epoch " + std::to_string(run->plan.epoch)});
  }
}

void Service::on_closed(std::uint64_t id, const Error& why) {
  const auto found = members_.find(id);
  if (found == members_.end() || std::exchange(found->second.gone, true)) return;
  trust_->sessions().remove(found->second.session);
  const security::Credential who = found->second.credential;
  // Destroyed later, because this is its own callback.
  loop_.post([this, id] { members_.erase(id); });
  const bool registered = std::exchange(found->second.registered, false);
  if (registered) forget_line_tests(who.name, why);
  if (shutting_down_) return;
  if (who.role == security::Role::kClient) {
    withdraw(id);
    for (auto& [run_id, run] : runs_) {
      if (run.client == id) cancel(run);
    }
    return;
  }
  log_warning("node " + who.name + " left: " + why.text());
  if (!registered) return;  // another connection of the same node may have its part of a job
  Run* const run = holder_of(who.name);
  if (run == nullptr || !run->unstopped.contains(who.name)) return;
  may_go_on(*run, why) ? wait_out(*run, who.name, why) : node_lost(*run, who.name, why);
}

void Service::node_lost(Run& run, const std::string& node, const Error& why) {
  const std::string actors = run.actors_on(node);
  fail(run, {Code::kPeerLost, "node " + node,
             "lost at step " + std::to_string(run.step) + " of epoch " +
                 std::to_string(run.plan.epoch) + " (" + why.what + "); it " +
                 (actors.empty() ? "relays for others" : "held actors " + actors)});
  node_stopped(run, node);
}

Service::Member* Service::node_named(const std::string& name) {
  for (auto& [id, member] : members_) {
    const bool node = member.credential.role == security::Role::kNode && member.registered;
    if (node && member.credential.name == name) return &member;
  }
  return nullptr;
}

void Service::send(Member& member, link::Message message) {
  member.channel->send(std::move(message), loop_.clock().now() + kSendTime, [](const Status&) {});
}

}  // namespace reef::service
