#include "runtime/node/node.h"

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/base/units.h"

namespace reef::node {
namespace {

constexpr Duration kJoinTime = std::chrono::seconds(10);
constexpr std::size_t kMostProbes = 8;        // answered at a time
constexpr std::size_t kMostEarly = 4096;      // peers and legs of the largest job
constexpr std::size_t kMostEarlyOfOne = 256;  // of one peer
constexpr Duration kHeartbeatEvery = std::chrono::milliseconds(250);
constexpr Duration kReportTime = std::chrono::seconds(60);
constexpr Duration kDialAgain = std::chrono::seconds(1);
/// A connection that has lasted so long is one: the scheduler has not refused it.
constexpr Duration kLasting = std::chrono::seconds(2);
/// What the scheduler was told so long before it was lost may not have reached it.
constexpr Duration kUnsure = std::chrono::seconds(10);

}  // namespace

Node::Node(Identity identity, NodeOptions options, CrewFactory factory)
    : identity_(std::move(identity)),
      options_(std::move(options)),
      factory_(std::move(factory)),
      sessions_(loop_, identity_.local.authority, identity_.policy, identity_.local.unix_now),
      gatherer_(loop_, [this](link::Streams streams) { gathered(std::move(streams)); }),
      relay_(loop_, kJoinTime,
             [this](const auto& who, const auto& join) { return may_be_joined(who, join); }) {
  identity_.local.admit = [this](const security::Credential& who) { return sessions_.admit(who); };
}

Node::~Node() {
  // On the loop's thread, where messages for the crews arrive.
  loop_.call([this] {
    renewal_.reset();
    jobs_.clear();
    over_ = true;
    relay_.drop([](const security::Credential&) { return true; });
    probed_.clear();
    const std::lock_guard lock(control_mutex_);
    control_.reset();
  });
  listener_.reset();
  loop_.stop();
}

Status Node::run() {
  if (!identity_.roster.empty()) {
    Status taken;
    loop_.call([&] {
      if (const auto roster = sessions_.take_roster(identity_.roster); !roster.ok())
        taken = roster.error();
    });
    ATOLL_TRY(taken);
  }
  ATOLL_TRY(listen());
  loop_.post([this] {
    dial_scheduler();
    heartbeat();
  });
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return outcome_.has_value(); });
  return *outcome_;
}

Status Node::listen() {
  if (options_.dialable == Reach::kNowhere) return {};
  auto accepted = [this](std::unique_ptr<link::Link> plain) {
    const Deadline deadline = loop_.clock().now() + kJoinTime;
    link::secure::accept(std::move(plain), identity_.local, deadline, [this](auto sealed) {
      if (!sealed.ok()) return log_warning("refused a connection: " + sealed.error().text());
      this->sealed(std::move(*sealed));
    });
  };
  ATOLL_ASSIGN(listener_, link::tcp::Listener::listen(loop_, options_.listen_host,
                                                      options_.listen_port, accepted));
  return {};
}

/// Somebody has proven who it is, on our port or through a relay.
void Node::sealed(std::unique_ptr<link::secure::SecureLink> link) {
  if (link->peer().role != security::Role::kNode) return link->close();
  gatherer_.add(std::move(link));
}

void Node::gathered(link::Streams streams) {
  if (streams.front()->stream().purpose == link::secure::Purpose::kProbe) {
    return answer_probe(std::move(streams));
  }
  // A peer whose assignment, or a partner whose list, came sooner than ours waits; frames wait with
  // it.
  const link::secure::StreamId& stream = streams.front()->stream();
  if (Assignment* const job = job_of(stream)) return welcome(*job, std::move(streams));
  // A meeting may be older than whatever we have had a part in.
  const bool over = stream.epoch <= newest_ && stream.purpose != link::secure::Purpose::kLetters;
  if (over) return;
  const auto& who = streams.front()->peer();
  const auto of_one = std::ranges::count_if(early_, [&who](const Early& early) {
    return early.streams.front()->peer().noise_key == who.noise_key;
  });
  if (early_.size() == kMostEarly || of_one == kMostEarlyOfOne)
    return log_warning("node " + who.name + " has too many connections for jobs to come");
  early_.push_back({loop_.clock().now(), std::move(streams)});
}

/// Null: it is over, or to come.
Assignment* Node::job_of(const link::secure::StreamId& stream) const {
  if (stream.purpose != link::secure::Purpose::kLetters) {
    const auto found = jobs_.find(stream.epoch);
    return found == jobs_.end() ? nullptr : found->second.get();
  }
  for (const auto& [epoch, job] : jobs_) {
    if (!job->stopping() && job->meeting() == stream.epoch) return job.get();
  }
  return nullptr;
}

void Node::welcome(Assignment& job, link::Streams streams) {
  switch (streams.front()->stream().purpose) {
    case link::secure::Purpose::kLetters:
      return job.met(std::move(streams));
    case link::secure::Purpose::kRelay: {
      const security::Credential who = streams.front()->peer();
      job.keep_alive(*streams.front());
      return relay_.add(std::move(streams.front()), who);
    }
    default:
      job.accepted(std::move(streams));
  }
}

void Node::welcome_early() {
  for (Early& early : std::exchange(early_, {})) {
    if (Assignment* const job = job_of(early.streams.front()->stream())) {
      welcome(*job, std::move(early.streams));
    } else {
      early_.push_back(std::move(early));
    }
  }
}

Status Node::may_be_joined(const security::Credential& who, const link::relay::Join& join) const {
  const auto job = jobs_.find(join.epoch);
  Status may = job == jobs_.end()
                   ? Error{Code::kFenced, who.name, "asked to be joined in another epoch"}
                   : job->second->may_be_joined(who, join);
  if (!may.ok()) log_warning("refused at this relay: " + may.error().text());
  return may;
}

void Node::answer_probe(link::Streams streams) {
  if (probed_.size() >= kMostProbes) return;
  const std::uint64_t id = next_probe_++;
  const Sessions::Id session =
      sessions_.add(streams.front()->peer(), [this, id](const Error&) { probed_.erase(id); });
  probed_[id] = std::make_unique<link::ProbeServer>(link::Channel::create(std::move(streams)),
                                                    [this, id, session] {
                                                      loop_.post([this, id, session] {
                                                        sessions_.remove(session);
                                                        probed_.erase(id);
                                                      });
                                                    });
}

Status Node::probe_line(const link::Message& message) {
  ATOLL_ASSIGN(const ProbeLine order, read_probe_line(message));
  if (order.peer.noise_key.size() != security::kKeySize) {
    return Error{Code::kProto, order.peer.name, "a key of the wrong size"};
  }
  link::secure::ExpectedPeer expected{.role = security::Role::kNode};
  std::ranges::copy(order.peer.noise_key, expected.noise_key.begin());
  const auto open = [this, peer = order.peer, expected](std::uint16_t streams, auto opened) {
    link::StreamOptions options{.purpose = link::secure::Purpose::kProbe, .data = streams};
    options.socket.congestion = peer.congestion;
    link::connect_streams(loop_, peer.host, peer.port, identity_.local, expected, options,
                          loop_.clock().now() + kJoinTime, [opened](auto sealed) {
                            if (!sealed.ok()) return opened(sealed.error());
                            opened(link::Channel::create(std::move(*sealed)));
                          });
  };
  link::ProbeOptions options{.streams = order.streams, .load = std::chrono::seconds(order.seconds)};
  link::measure(loop_, options, open, [this, ticket = order.ticket](auto report_or_error) {
    report(line_result_message({ticket, std::move(report_or_error)}));
  });
  return {};
}

void Node::dial_scheduler() {
  const Deadline deadline = loop_.clock().now() + kJoinTime;
  const auto fail = [this](const Error& error) {
    scheduler_lost(
        {error.code,
         "scheduler " + options_.scheduler_host + ":" + std::to_string(options_.scheduler_port),
         error.what});
  };
  link::tcp::dial(
      loop_, options_.scheduler_host, options_.scheduler_port, deadline,
      [this, deadline, fail](auto plain) {
        if (!plain.ok()) return fail(plain.error());
        link::secure::ExpectedPeer expected{identity_.scheduler, security::Role::kScheduler};
        link::secure::connect(std::move(*plain), identity_.local, expected, {}, deadline,
                              [this, fail](auto sealed) {
                                if (!sealed.ok()) return fail(sealed.error());
                                joined(std::move(*sealed));
                              });
      });
}

void Node::joined(std::unique_ptr<link::secure::SecureLink> link) {
  if (over_) return;
  control_session_ = sessions_.add(link->peer(), [this](const Error& why) {
    end(Error{why.code, "scheduler", why.what});
  });
  joined_at_ = loop_.clock().now();
  {
    const std::lock_guard lock(control_mutex_);
    control_ = link::Channel::create(std::move(link));
  }
  control_->start([this](link::Message message) { on_control(std::move(message)); },
                  [this](const Error& why) {
                    scheduler_lost({why.code, "scheduler", "lost: " + why.what});
                  });
  Hello hello{options_.listen_host, listener_ ? listener_->port() : std::uint16_t{0},
              options_.dialable};
  for (const auto& [epoch, job] : jobs_) {
    if (repeat_from_ && !job->stopping()) hello.holds.push_back(epoch);
  }
  report(hello_message(hello));
  for (const std::uint64_t epoch : hello.holds) jobs_.at(epoch)->report_again(*repeat_from_);
  renewal_ = std::make_unique<Renewal>(
      loop_, identity_.credential, identity_.policy.credential_lifetime, identity_.local.unix_now,
      [this] { report(signal_message(Kind::kRenew, {})); });
}

/// The longest of its jobs'.
Duration Node::outage() const {
  Duration longest{};
  for (const auto& [epoch, job] : jobs_) {
    if (!job->stopping()) longest = std::max(longest, job->outage());
  }
  return longest;
}

/// Or not reached again. A datacenter that trains by itself needs it for nothing but to be heard
/// of; the other jobs of this node are over without it.
void Node::scheduler_lost(const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    if (over_ || outcome_) return;
  }
  renewal_.reset();
  sessions_.remove(std::exchange(control_session_, 0));
  {
    const std::lock_guard lock(control_mutex_);
    // This may be its own callback.
    loop_.post([gone = std::shared_ptr<link::Channel>(std::move(control_))] {});
  }
  const Time now = loop_.clock().now();
  const Duration longest = outage();
  const Time since = unreachable_since_.value_or(now);
  if (why.code == Code::kRefused || now >= since + longest) return end(why);
  if (!repeat_from_) repeat_from_ = now - kUnsure;
  if (!std::exchange(unreachable_since_, since)) {
    log_warning(why.text() + "; goes on by itself for " + format_duration(longest) +
                ", and dials it again and again");
    for (const auto& [epoch, job] : jobs_) {
      if (job->outage() == Duration() && !job->stopping()) stop(*job);
    }
  }
  loop_.at(now + kDialAgain, [this] {
    if (!over_) dial_scheduler();
  });
}

void Node::on_control(link::Message message) {
  const auto kind = static_cast<Kind>(message.kind);
  if (!policy_.allows(security::Role::kScheduler, message.kind)) {
    return end(Error{Code::kRefused, "scheduler", "sent a message it may not send"});
  }
  if (const Status status = dispatch(kind, message); !status.ok())
    log_error("from the scheduler: " + status.error().text());
}

/// Who we are, who the scheduler is, and who is nobody any more. What is wrong with such a message
/// ends nothing: without it things stay as they were.
Status Node::on_identity(Kind kind, const link::Message& message) {
  if (kind == Kind::kPresent) return sessions_.renewed(control_session_, message.payload.view());
  if (kind == Kind::kRoster) {
    const std::string roster(as_text(message.payload.view()));
    ATOLL_ASSIGN(const bool newer, sessions_.take_roster(roster));
    if (!newer) return {};
    log_info("roster " + std::to_string(sessions_.roster().version) + " holds from now on");
    relay_.drop([this](const auto& who) { return !sessions_.admit(who).ok(); });
    loop_.run_blocking([folder = identity_.folder, roster] {
      if (const Status saved = save_roster(folder, roster); !saved.ok())
        log_warning("the roster is not kept: " + saved.error().text());
    });
    return {};
  }
  ATOLL_ASSIGN(const Issued issued, read_issued(message));
  ATOLL_TRY(take_issued(identity_, issued.credential, issued.policy));
  log_info("credential renewed; serial " + std::to_string(identity_.credential.serial));
  renewal_->renewed(identity_.credential);
  for (const auto& [epoch, job] : jobs_) job->present(issued.credential);
  loop_.run_blocking([identity = identity_] {
    if (const Status saved = save_credential(identity); !saved.ok())
      log_warning("the renewed credential is not kept: " + saved.error().text());
  });
  return {};
}

Status Node::dispatch(Kind kind, const link::Message& message) {
  if (kind == Kind::kPresent || kind == Kind::kRoster || kind == Kind::kIssued) {
    if (const Status taken = on_identity(kind, message); !taken.ok())
      log_warning("from the scheduler: " + taken.error().text());
    return {};
  }
  if (kind == Kind::kAssign) return assign(message), Status();
  if (kind == Kind::kProbeLine) return probe_line(message);
  if (kind == Kind::kPartners) return meet(message);
  ATOLL_ASSIGN(const Signal signal, read_signal(message));
  if (kind == Kind::kStop && signal.epoch == 0) return end({}), Status();
  const auto found = jobs_.find(signal.epoch);
  if (found != jobs_.end() && kind == Kind::kStop) {
    stop(*found->second);
  } else if (found != jobs_.end()) {
    found->second->signal(kind, signal);
  } else if (kind == Kind::kStop) {  // of a job that was refused here
    report(heartbeat_message(Kind::kStopped, {signal.epoch, {}}));
  } else if (signal.epoch > newest_) {
    return Error{Code::kFenced, "scheduler", "a signal of an epoch that is to come"};
  }
  return {};  // a signal may cross with the end of its job
}

void Node::assign(const link::Message& message) {
  auto assign = read_assign(message);
  if (!assign.ok()) return refuse(0, assign.error());
  const std::uint64_t epoch = assign->epoch;
  if (const Status taken = take(std::move(*assign)); !taken.ok()) refuse(epoch, taken.error());
}

Status Node::take(Assign assign) {
  const std::uint64_t epoch = assign.epoch;
  if (epoch <= newest_)
    return Error{Code::kFenced, identity_.name, "an assignment of an epoch that is over"};
  ATOLL_ASSIGN(jobs_[epoch],
               Assignment::make(std::move(assign),
                                {loop_, identity_, sessions_,
                                 [this](link::Message out) { report(std::move(out)); },
                                 [this](auto link) { sealed(std::move(link)); }},
                                factory_));
  newest_ = epoch;
  jobs_.at(epoch)->connect(options_.ucx);
  welcome_early();
  return {};
}

Status Node::meet(const link::Message& message) {
  ATOLL_ASSIGN(const Partners partners, read_partners(message));
  if (partners.epoch > newest_)
    return Error{Code::kFenced, "scheduler", "partners for an epoch that is to come"};
  const auto found = jobs_.find(partners.epoch);
  if (found == jobs_.end()) return {};  // it may cross with the end of its job
  found->second->meet(partners);
  welcome_early();
  return {};
}

void Node::report(link::Message message) {
  if (over_) return;
  const std::lock_guard lock(control_mutex_);
  if (control_ == nullptr) return;
  control_->send(std::move(message), loop_.clock().now() + kReportTime, [](const Status&) {});
}

/// An assignment cannot be carried out; `epoch` 0: nor read.
void Node::refuse(std::uint64_t epoch, const Error& error) {
  log_error(error.text());
  report(failure_message({epoch, {error.code, identity_.name, error.text()}}));
}

Heartbeat Node::pulse(const Assignment& job) const {
  Traffic traffic = job.traffic();
  traffic.wire_bytes += relay_.passed_bytes(job.epoch());
  return {job.epoch(), traffic};
}

void Node::heartbeat() {
  if (over_) return;
  const Time now = loop_.clock().now();
  for (const auto& [epoch, job] : jobs_) {
    if (job->stopping()) continue;
    job->sample_lines();
    report(heartbeat_message(Kind::kHeartbeat, pulse(*job)));
  }
  if (control_ && now >= joined_at_ + kLasting) unreachable_since_.reset();
  if (control_ && now >= joined_at_ + kUnsure) repeat_from_.reset();
  std::erase_if(early_, [now](const Early& early) { return now - early.since > kJoinTime; });
  loop_.at(now + kHeartbeatEvery, [this] { heartbeat(); });
}

void Node::stop(Assignment& job) {
  job.stop([this, epoch = job.epoch()] {
    const auto found = jobs_.find(epoch);
    if (found == jobs_.end()) return;
    report(heartbeat_message(Kind::kStopped, pulse(*found->second)));
    relay_.end(epoch);
    jobs_.erase(found);
  });
}

void Node::end(Status status) {
  std::lock_guard lock(mutex_);
  if (!outcome_) outcome_ = std::move(status);
  ended_.notify_all();
}

}  // namespace reef::node
