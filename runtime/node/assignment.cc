#include "runtime/node/assignment.h"

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/node/relaying.h"
#include "runtime/node/send_time.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/validate.h"

namespace reef::node {
namespace {

constexpr Duration kJoinTime = std::chrono::seconds(10);

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

/// The payload of a letter: what a token may have, and the whole model's weights with their outer
/// momentum, since two islands' plans need not be alike; never less than what a channel takes.
std::size_t largest_letter(const plan::Plan& plan, const job::Job& job) {
  const auto parameters = static_cast<std::uint64_t>(parameter_count(job::spec_of(job)));
  const std::uint64_t snapshot = 2 * sizeof(float) * parameters;
  return std::max({largest_token(plan), snapshot + snapshot / 8,
                   std::uint64_t{link::ChannelOptions{}.max_payload}});
}

}  // namespace

Result<std::unique_ptr<Assignment>> Assignment::make(Assign assign, Surroundings surroundings,
                                                     const CrewFactory& factory) {
  const std::string& name = surroundings.identity.name;
  ATOLL_ASSIGN(plan::Plan plan, plan::decode(assign.plan));
  ATOLL_TRY(plan::validate(plan));
  const bool fits = assign.node < plan.nodes.size() && assign.peers.size() == plan.nodes.size() &&
                    plan.nodes[assign.node].name == name;
  if (!fits) return Error{Code::kProto, name, "an assignment that is not for this node"};
  for (const Peer& peer : assign.peers) {
    if (peer.noise_key.size() != security::kKeySize)
      return Error{Code::kProto, peer.name, "a key of the wrong size"};
  }
  ATOLL_ASSIGN(const job::Job job, job::job_from_json(plan.descriptor));
  std::unique_ptr<Assignment> made(
      new Assignment(std::move(assign), std::move(plan), job, std::move(surroundings)));
  ATOLL_ASSIGN(made->crew_,
               factory({made->plan_, made->assign_.node, *made, *made, made->assign_.run_folder}));
  return made;
}

Assignment::Assignment(Assign assign, plan::Plan plan, const job::Job& job,
                       Surroundings surroundings)
    : assign_(std::move(assign)),
      plan_(std::move(plan)),
      peer_timeout_(job.peer_timeout),
      outage_(job.island ? job.local_steps->outage : Duration()),
      node_(std::move(surroundings)) {
  peers_ = std::make_unique<Peers>(
      node_.loop, node_.identity, node_.sessions, plan_, assign_,
      PeerTimes{.join = kJoinTime, .lost_after = peer_timeout_},
      Peers::Callbacks{
          [this] {
            node_.report(signal_message(Kind::kReady, {assign_.epoch, 0, ""}));
          },
          [this](const std::string& name, const Error& error) {
            failed(node_.identity.name, Error{Code::kPeerLost, name, error.text()});
          },
          [this](plan::NodeIndex from, link::Message in) { on_peer(from, std::move(in)); },
          node_.on_stream});
  partners_ = std::make_unique<PartnerChannels>(
      PartnerSite{node_.loop, node_.identity, node_.sessions, peer_timeout_,
                  largest_letter(plan_, job)},
      PartnerChannels::Callbacks{[this](std::uint32_t island, Letter letter) {
                                   if (!stopping_) crew_->letter(island, std::move(letter));
                                 },
                                 [this](std::uint32_t island, bool present) {
                                   if (!stopping_) crew_->island_changed(island, present);
                                 }});
}

Assignment::~Assignment() {
  stopping_ = true;
  peers_->close();
  partners_->close();
  if (ender_.joinable()) ender_.join();
  crew_.reset();
}

void Assignment::connect(std::shared_ptr<link::ucx::Context> ucx) {
  peers_->offer(std::move(ucx));
  peers_->connect();
}

void Assignment::accepted(link::Streams streams) {
  if (!stopping_) peers_->accepted(std::move(streams));
}

void Assignment::meet(const Partners& partners) {
  if (stopping_) return;
  if (!partners.company.homes.empty()) crew_->company(partners.company);
  partners_->meet(partners);
}

void Assignment::met(link::Streams streams) {
  if (!stopping_) partners_->accepted(std::move(streams));
}

void Assignment::keep_alive(link::secure::SecureLink& leg) const {
  leg.keep_alive(peer_timeout_ / 4, peer_timeout_);
}

void Assignment::signal(Kind kind, const Signal& signal) {
  if (stopping_) return;
  // Said again to one that came back, in case the first did not arrive.
  if (kind == Kind::kStart && !std::exchange(begun_, true)) crew_->begin();
  if (kind == Kind::kHold) crew_->hold();
  if (kind == Kind::kRelease) crew_->release(signal.step);
}

void Assignment::present(const Bytes& credential) {
  peers_->present(credential, node_.loop.clock().now() + kLeastSendTime);
  partners_->present(credential);
}

Status Assignment::may_be_joined(const security::Credential& who,
                                 const link::relay::Join& join) const {
  return node::may_be_joined(plan_, assign_, who, join);
}

Traffic Assignment::traffic() const {
  Traffic traffic = peers_->traffic();
  traffic.payload_bytes = payload_bytes_;
  traffic.wire_bytes += partners_->wire_bytes();
  return traffic;
}

void Assignment::stop(std::function<void()> ended) {
  if (stopping_.exchange(true)) return;
  peers_->close();
  partners_->close();
  ender_ = std::thread([this, ended = std::move(ended)] {
    crew_.reset();
    node_.loop.post(ended);
  });
}

void Assignment::on_peer(plan::NodeIndex from, link::Message message) {
  if (stopping_) return;
  // A letter included: that is for partners.
  Status status = Error{Code::kRefused, plan_.nodes[from].name, "sent a message it may not send"};
  if (policy_.allows(security::Role::kNode, message.kind)) {
    const auto kind = static_cast<Kind>(message.kind);
    if (kind == Kind::kToken) {
      status = accept_token(from, std::move(message));
    } else if (kind == Kind::kCredit) {
      status = accept_credit(from, message);
    } else if (kind == Kind::kPresent) {
      return presented(from, message);
    }
  }
  if (!status.ok()) failed(node_.identity.name, status.error());
}

/// Ends nothing when it is refused: the peer stays until what it showed before has run out.
void Assignment::presented(plan::NodeIndex from, const link::Message& message) {
  if (const Status taken = peers_->presented(from, message.payload.view()); !taken.ok())
    log_warning("from node " + plan_.nodes[from].name + ": " + taken.error().text());
}

const plan::Edge* Assignment::wire_edge(std::uint32_t edge) const {
  return edge < plan_.edges.size() && plan_.edges[edge].wire ? &plan_.edges[edge] : nullptr;
}

Status Assignment::accept_token(plan::NodeIndex from, link::Message message) {
  const std::string& sender = plan_.nodes[from].name;
  ATOLL_ASSIGN(WireToken token, read_token(std::move(message)));
  if (token.epoch != assign_.epoch || token.job != plan_.job) {
    return Error{Code::kFenced, sender, "a token of another job or epoch"};
  }
  const plan::Edge* edge = wire_edge(token.edge);
  const bool right = edge != nullptr && plan_.actors[edge->producer].node == from &&
                     plan_.actors[edge->consumer].node == assign_.node;
  if (!right)
    return Error{Code::kProto, sender, "a token for an edge that does not lead from it to us"};
  crew_->arrived(token.edge, token.sequence, std::move(token.token));
  return {};
}

Status Assignment::accept_credit(plan::NodeIndex from, const link::Message& message) {
  const std::string& sender = plan_.nodes[from].name;
  ATOLL_ASSIGN(const Credit credit, read_credit(message));
  if (credit.epoch != assign_.epoch) return Error{Code::kFenced, sender, "credit of another epoch"};
  const plan::Edge* edge = wire_edge(credit.edge);
  const bool right = edge != nullptr && plan_.actors[edge->consumer].node == from &&
                     plan_.actors[edge->producer].node == assign_.node;
  if (!right)
    return Error{Code::kProto, sender, "credit for an edge that does not lead from us to it"};
  crew_->credited(credit.edge);
  return {};
}

void Assignment::send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) {
  const plan::Edge& wire = plan_.edges[edge];
  const plan::NodeIndex to = plan_.actors[wire.consumer].node;
  if (token.encoded) payload_bytes_ += token.encoded->raw_bytes;
  const auto slot = static_cast<std::uint32_t>(sequence % wire.slots);
  const WireToken out{plan_.job, assign_.epoch, edge, sequence, slot, token};
  // That a peer has said farewell is told by the channel's end; after the last round one is stopped
  // before the other.
  send(to, token_message(out, lane_of(wire.content)),
       [this, edge, alive = std::weak_ptr(alive_)](const Status& status) {
         if (status.ok() || status.error().code == Code::kClosed) return;
         if (!alive.expired()) failed(plan_.edges[edge].name, status.error());
       });
}

void Assignment::send_credit(std::uint32_t edge) {
  const plan::NodeIndex to = plan_.actors[plan_.edges[edge].producer].node;
  send(to, credit_message({assign_.epoch, edge}), [](const Status&) {});
}

void Assignment::send(plan::NodeIndex to, link::Message message, link::Done done) {
  link::Channel& channel = peers_->channel(to);
  const Duration time = send_time(channel.queued_bytes() + message.size());
  channel.send(std::move(message), node_.loop.clock().now() + time, std::move(done));
}

link::LineNow Assignment::line(std::uint32_t edge) const {
  return peers_->line(plan_.actors[plan_.edges[edge].consumer].node);
}

bool Assignment::send_letter(std::uint32_t island, Letter letter) {
  return partners_->send(island, std::move(letter));
}

/// Of what is about the same, the newest says it all.
void Assignment::report(const std::string& what, link::Message message) {
  if (outage_ > Duration()) {
    const std::lock_guard lock(mutex_);
    newest_.insert_or_assign(what, Report{node_.loop.clock().now(), message});
  }
  node_.report(std::move(message));
}

void Assignment::report_again(Time since) const {
  std::vector<Report> missed;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [what, report] : newest_) {
      if (report.at >= since) missed.push_back(report);
    }
  }
  std::ranges::stable_sort(missed, {}, &Report::at);
  for (Report& report : missed) node_.report(std::move(report.message));
}

void Assignment::progress(const Progress& progress) {
  report(progress.evaluated ? "evaluation" : "progress",
         progress_message({assign_.epoch, progress, {}}));
}

void Assignment::checkpoint_written(std::uint64_t step, const std::string& folder) {
  report("checkpoint", checkpoint_message({assign_.epoch, step, folder}));
}

void Assignment::failed(const std::string& actor, const Error& error) {
  if (stopping_) return;
  log_error(actor + ": " + error.text());
  const bool lost = error.code == Code::kPeerLost;
  report("failure",
         failure_message(
             {assign_.epoch,
              {error.code, lost ? error.where : actor,
               lost ? error.what : (error.where.empty() ? "" : error.where + ": ") + error.what}}));
}

void Assignment::held(const std::string& actor, std::uint64_t step) {
  report("held by " + actor, signal_message(Kind::kHeld, {assign_.epoch, step, actor}));
}

}  // namespace reef::node
