#include "runtime/node/node.h"

#include <algorithm>

#include "runtime/base/log.h"
#include "runtime/node/relaying.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/validate.h"

namespace reef::node {
namespace {

constexpr Duration kJoinTime = std::chrono::seconds(10);
constexpr std::size_t kMostProbes = 8;    // answered at a time
constexpr std::size_t kMostEarly = 4096;  // peers and legs of the largest job
constexpr Duration kHeartbeatEvery = std::chrono::milliseconds(250);
/// A token that has not left in this time will not: the line is down though nobody said so.
constexpr Duration kSendTime = std::chrono::seconds(60);

link::Lane lane_of(plan::Content content) {
  switch (content) {
    case plan::Content::kTokens:
    case plan::Content::kActivation:
    case plan::Content::kActivationGradient:
    case plan::Content::kScalars:
    case plan::Content::kExact:
      return link::Lane::kActivation;
    case plan::Content::kGradient:
    case plan::Content::kWeights:
      return link::Lane::kGradient;
    case plan::Content::kState:
      return link::Lane::kBulk;
  }
  return link::Lane::kBulk;
}

}  // namespace

Node::Node(Identity identity, NodeOptions options, CrewFactory factory)
    : identity_(std::move(identity)),
      options_(std::move(options)),
      factory_(std::move(factory)),
      sessions_(loop_, identity_.local.authority, identity_.policy, identity_.local.unix_now),
      gatherer_(loop_, [this](link::Streams streams) { gathered(std::move(streams)); }) {
  identity_.local.admit = [this](const security::Credential& who) { return sessions_.admit(who); };
}

Node::~Node() {
  stopping_ = true;
  // On the loop's thread, where messages for the crew arrive.
  loop_.call([this] {
    renewal_.reset();
    if (peers_) peers_->close();
    crew_.reset();
    relay_.reset();
    probed_.clear();
    peers_.reset();
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
  loop_.post([this] { dial_scheduler(); });
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
  // A peer whose assignment came sooner than ours waits; frames wait with it.
  if (peers_ == nullptr) {
    if (early_.size() < kMostEarly) early_.push_back(std::move(streams));
    return;
  }
  welcome(std::move(streams));
}

void Node::welcome(link::Streams streams) {
  if (streams.front()->stream().purpose != link::secure::Purpose::kRelay)
    return peers_->accepted(std::move(streams));
  const security::Credential who = streams.front()->peer();
  relay_->add(std::move(streams.front()), who);
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
    end(Error{
        error.code,
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
  control_session_ = sessions_.add(link->peer(), [this](const Error& why) {
    end(Error{why.code, "scheduler", why.what});
  });
  control_ = link::Channel::create(std::move(link));
  control_->start([this](link::Message message) { on_control(std::move(message)); },
                  [this](const Error& why) {
                    end(Error{why.code, "scheduler", "lost: " + why.what});
                  });
  report(hello_message(
      {options_.listen_host, listener_ ? listener_->port() : std::uint16_t{0}, options_.dialable}));
  renewal_ = std::make_unique<Renewal>(
      loop_, identity_.credential, identity_.policy.credential_lifetime, identity_.local.unix_now,
      [this] { report(signal_message(Kind::kRenew, {})); });
  heartbeat();
}

void Node::on_control(link::Message message) {
  const auto kind = static_cast<Kind>(message.kind);
  if (!policy_.allows(security::Role::kScheduler, message.kind)) {
    return end(Error{Code::kRefused, "scheduler", "sent a message it may not send"});
  }
  if (const Status status = dispatch(kind, message); !status.ok())
    failed(identity_.name, status.error());
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
    if (relay_) relay_->drop([this](const auto& who) { return !sessions_.admit(who).ok(); });
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
  if (peers_) peers_->present(issued.credential, loop_.clock().now() + kSendTime);
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
  if (kind == Kind::kAssign) return assign(message);
  if (kind == Kind::kProbeLine) return probe_line(message);
  ATOLL_ASSIGN(const Signal signal, read_signal(message));
  if (kind == Kind::kStop) {
    stop();
    return {};
  }
  if (crew_ == nullptr || signal.epoch != assign_.epoch) {
    return Error{Code::kFenced, "scheduler", "a signal of another epoch"};
  }
  if (kind == Kind::kStart) crew_->begin();
  if (kind == Kind::kHold) crew_->hold();
  if (kind == Kind::kRelease) crew_->release(signal.step);
  return {};
}

Status Node::assign(const link::Message& message) {
  if (plan_) return Error{Code::kFenced, identity_.name, "already holds a plan"};
  ATOLL_ASSIGN(assign_, read_assign(message));
  ATOLL_ASSIGN(plan_, plan::decode(assign_.plan));
  ATOLL_TRY(plan::validate(*plan_));
  const bool fits = assign_.node < plan_->nodes.size() &&
                    assign_.peers.size() == plan_->nodes.size() &&
                    plan_->nodes[assign_.node].name == identity_.name;
  if (!fits) return Error{Code::kProto, identity_.name, "an assignment that is not for this node"};
  for (const Peer& peer : assign_.peers) {
    if (peer.noise_key.size() != security::kKeySize)
      return Error{Code::kProto, peer.name, "a key of the wrong size"};
  }
  ATOLL_ASSIGN(const job::Job job, job::job_from_json(plan_->descriptor));
  identity_.local.lost_after = job.peer_timeout;
  identity_.local.ping_every = job.peer_timeout / 4;
  ATOLL_ASSIGN(crew_, factory_({*plan_, assign_.node, *this, *this, assign_.run_folder}));
  relay_ = std::make_unique<link::relay::Relay>(
      loop_, kJoinTime, [this](const security::Credential& who, const link::relay::Join& join) {
        Status may = may_be_joined(*plan_, assign_, who, join);
        if (!may.ok()) log_warning("refused at this relay: " + may.error().text());
        return may;
      });
  peers_ = std::make_unique<Peers>(
      loop_, identity_, sessions_, *plan_, assign_, kJoinTime,
      Peers::Callbacks{
          [this] { ready(); },
          [this](const std::string& name, const Error& error) {
            failed(identity_.name, Error{Code::kPeerLost, name, error.text()});
          },
          [this](plan::NodeIndex from, link::Message in) { on_peer(from, std::move(in)); },
          [this](auto link) { sealed(std::move(link)); }});
  peers_->offer(options_.ucx);
  peers_->connect();
  for (auto& streams : early_) welcome(std::move(streams));
  early_.clear();
  return {};
}

void Node::ready() { report(signal_message(Kind::kReady, {assign_.epoch, 0, ""})); }

void Node::on_peer(plan::NodeIndex from, link::Message message) {
  if (stopping_) return;
  Status status = Error{Code::kRefused, plan_->nodes[from].name, "sent a message it may not send"};
  if (policy_.allows(security::Role::kNode, message.kind)) {
    const auto kind = static_cast<Kind>(message.kind);
    if (kind == Kind::kToken) {
      status = accept_token(from, std::move(message));
    } else if (kind == Kind::kCredit) {
      status = accept_credit(from, message);
    } else {
      return presented(from, message);
    }
  }
  if (!status.ok()) failed(identity_.name, status.error());
}

/// Ends nothing when it is refused: the peer stays until what it showed before has run out.
void Node::presented(plan::NodeIndex from, const link::Message& message) {
  if (const Status taken = peers_->presented(from, message.payload.view()); !taken.ok())
    log_warning("from node " + plan_->nodes[from].name + ": " + taken.error().text());
}

const plan::Edge* Node::wire_edge(std::uint32_t edge) const {
  return edge < plan_->edges.size() && plan_->edges[edge].wire ? &plan_->edges[edge] : nullptr;
}

Status Node::accept_token(plan::NodeIndex from, link::Message message) {
  const std::string& sender = plan_->nodes[from].name;
  ATOLL_ASSIGN(WireToken token, read_token(std::move(message)));
  if (token.epoch != assign_.epoch || token.job != plan_->job) {
    return Error{Code::kFenced, sender, "a token of another job or epoch"};
  }
  const plan::Edge* edge = wire_edge(token.edge);
  const bool right = edge != nullptr && plan_->actors[edge->producer].node == from &&
                     plan_->actors[edge->consumer].node == assign_.node;
  if (!right)
    return Error{Code::kProto, sender, "a token for an edge that does not lead from it to us"};
  crew_->arrived(token.edge, token.sequence, std::move(token.token));
  return {};
}

Status Node::accept_credit(plan::NodeIndex from, const link::Message& message) {
  const std::string& sender = plan_->nodes[from].name;
  ATOLL_ASSIGN(const Credit credit, read_credit(message));
  if (credit.epoch != assign_.epoch) return Error{Code::kFenced, sender, "credit of another epoch"};
  const plan::Edge* edge = wire_edge(credit.edge);
  const bool right = edge != nullptr && plan_->actors[edge->consumer].node == from &&
                     plan_->actors[edge->producer].node == assign_.node;
  if (!right)
    return Error{Code::kProto, sender, "credit for an edge that does not lead from us to it"};
  crew_->credited(credit.edge);
  return {};
}

void Node::send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) {
  const plan::Edge& wire = plan_->edges[edge];
  const plan::NodeIndex to = plan_->actors[wire.consumer].node;
  if (token.encoded) payload_bytes_ += token.encoded->raw_bytes;
  const auto slot = static_cast<std::uint32_t>(sequence % wire.slots);
  const WireToken out{plan_->job, assign_.epoch, edge, sequence, slot, token};
  peers_->channel(to).send(token_message(out, lane_of(wire.content)),
                           loop_.clock().now() + kSendTime, [this, edge](const Status& status) {
                             // That a peer has said farewell is told by the channel's end; after
                             // the last round one is stopped before the other.
                             if (status.ok() || status.error().code == Code::kClosed) return;
                             failed(plan_->edges[edge].name, status.error());
                           });
}

void Node::send_credit(std::uint32_t edge) {
  const plan::NodeIndex to = plan_->actors[plan_->edges[edge].producer].node;
  peers_->channel(to).send(credit_message({assign_.epoch, edge}), loop_.clock().now() + kSendTime,
                           [](const Status&) {});
}

link::LineNow Node::line(std::uint32_t edge) const {
  return peers_->line(plan_->actors[plan_->edges[edge].consumer].node);
}

void Node::report(link::Message message) {
  control_->send(std::move(message), loop_.clock().now() + kSendTime, [](const Status&) {});
}

void Node::progress(const Progress& progress) {
  report(progress_message({assign_.epoch, progress, {}}));
}

void Node::checkpoint_written(std::uint64_t step, const std::string& folder) {
  report(checkpoint_message({assign_.epoch, step, folder}));
}

void Node::failed(const std::string& actor, const Error& error) {
  if (stopping_) return;
  log_error(actor + ": " + error.text());
  const bool lost = error.code == Code::kPeerLost;
  report(failure_message(
      {assign_.epoch,
       {error.code, lost ? error.where : actor,
        lost ? error.what : (error.where.empty() ? "" : error.where + ": ") + error.what}}));
}

void Node::held(const std::string& actor, std::uint64_t step) {
  report(signal_message(Kind::kHeld, {assign_.epoch, step, actor}));
}

Traffic Node::traffic() const {
  Traffic traffic = peers_ ? peers_->traffic() : Traffic{};
  traffic.payload_bytes = payload_bytes_;
  if (relay_) traffic.wire_bytes += relay_->passed_bytes();
  return traffic;
}

void Node::heartbeat() {
  if (stopping_) return;
  if (peers_) peers_->sample_lines();
  const Traffic traffic = this->traffic();
  report(heartbeat_message(Kind::kHeartbeat, traffic));
  loop_.at(loop_.clock().now() + kHeartbeatEvery, [this] { heartbeat(); });
}

void Node::stop() {
  if (stopping_.exchange(true)) return;
  const Traffic traffic = this->traffic();
  control_->send(heartbeat_message(Kind::kStopped, traffic), loop_.clock().now() + kJoinTime,
                 [this](const Status&) { end({}); });
}

void Node::end(Status status) {
  std::lock_guard lock(mutex_);
  if (!outcome_) outcome_ = std::move(status);
  ended_.notify_all();
}

}  // namespace reef::node
