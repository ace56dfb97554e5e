#include "simulated_cluster.h"

#include <map>

#include "actors/core/crew.h"
#include "runtime/link/sim/plain_channel.h"
#include "runtime/node/protocol.h"

namespace reef::simulation {
namespace {

link::Lane lane_of(plan::Content content) {
  switch (content) {
    case plan::Content::kGradient:
    case plan::Content::kWeights:
      return link::Lane::kGradient;
    case plan::Content::kState:
      return link::Lane::kBulk;
    default:
      return link::Lane::kActivation;
  }
}

}  // namespace

/// One node: its crew, its channels to the others, and what both tell it.
class SimulatedCluster::Member final : public node::Events, public node::Wire {
 public:
  Member(SimulatedCluster& cluster, plan::NodeIndex index) : cluster_(cluster), index_(index) {}

  void connect(plan::NodeIndex peer, std::unique_ptr<link::Link> link) {
    auto& channel = channels_[peer];
    channel = link::PlainChannelForTests::create(std::move(link));
    channel->start([this, peer](link::Message message) { receive(peer, std::move(message)); },
                   [this](const Error& why) { failed(plan().nodes[index_].name, why); });
  }

  Status spawn(const actors::CrewSite& site) {
    ATOLL_ASSIGN(crew_,
                 actors::make_crew(site, {plan(), index_, *this, *this, cluster_.run_folder_}));
    return {};
  }
  node::Crew& crew() { return *crew_; }
  void dismiss() { crew_.reset(); }

  void progress(const node::Progress& progress) override {
    cluster_.record_.progress.push_back(progress);
  }
  void checkpoint_written(std::uint64_t step, const std::string& folder) override {
    cluster_.record_.checkpoints.emplace_back(step, folder);
  }
  void failed(const std::string& actor, const Error& error) override {
    cluster_.record_.failures.push_back(actor + ": " + error.text());
  }
  void held(const std::string& actor, std::uint64_t step) override {
    cluster_.record_.held.emplace_back(actor, step);
  }

  void send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) override {
    const plan::Edge& wire = plan().edges[edge];
    if (token.encoded) cluster_.record_.codecs.emplace_back(token.round.step, token.encoded->codec);
    const auto slot = static_cast<std::uint32_t>(sequence % wire.slots);
    const node::WireToken out{plan().job, plan().epoch, edge, sequence, slot, token};
    send(wire.consumer, node::token_message(out, lane_of(wire.content)));
  }
  link::LineNow line(std::uint32_t) const override { return cluster_.line_now_; }
  /// There is one plan, and no other island.
  bool send_letter(std::uint32_t, node::Letter) override { return false; }
  void send_credit(std::uint32_t edge) override {
    send(plan().edges[edge].producer, node::credit_message({plan().epoch, edge}));
  }

 private:
  const plan::Plan& plan() const { return cluster_.plan_; }

  void send(plan::ActorId to, link::Message message) {
    channels_.at(plan().actors[to].node)->send(std::move(message), kNoDeadline, [](const Status&) {
    });
  }

  void receive(plan::NodeIndex from, link::Message message) {
    const bool is_token = static_cast<node::Kind>(message.kind) == node::Kind::kToken;
    const Status status = is_token ? receive_token(std::move(message)) : receive_credit(message);
    if (!status.ok()) failed(plan().nodes[from].name, status.error());
  }

  Status receive_token(link::Message message) {
    ATOLL_ASSIGN(node::WireToken token, node::read_token(std::move(message)));
    crew_->arrived(token.edge, token.sequence, std::move(token.token));
    return {};
  }

  Status receive_credit(const link::Message& message) {
    ATOLL_ASSIGN(const node::Credit credit, node::read_credit(message));
    crew_->credited(credit.edge);
    return {};
  }

  SimulatedCluster& cluster_;
  plan::NodeIndex index_;
  std::map<plan::NodeIndex, std::unique_ptr<link::Channel>> channels_;
  std::unique_ptr<node::Crew> crew_;
};

SimulatedCluster::SimulatedCluster(const plan::Plan& plan, std::uint64_t seed,
                                   std::string run_folder, const link::sim::Line& line)
    : plan_(plan),
      run_folder_(std::move(run_folder)),
      network_(seed),
      coordinator_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())) {
  for (plan::NodeIndex i = 0; i < plan.nodes.size(); ++i)
    members_.push_back(std::make_unique<Member>(*this, i));
  join(line);
}

SimulatedCluster::~SimulatedCluster() {
  for (const auto& member : members_) member->dismiss();
  coordinator_.run();  // the actors' farewells
}

template <typename F>
void SimulatedCluster::for_each_pair(F&& action) {
  for (plan::NodeIndex left = 0; left < plan_.nodes.size(); ++left) {
    for (plan::NodeIndex right = left + 1; right < plan_.nodes.size(); ++right) action(left, right);
  }
}

void SimulatedCluster::join(const link::sim::Line& line) {
  for_each_pair([&](plan::NodeIndex left, plan::NodeIndex right) {
    auto ends = network_.connect(plan_.nodes[left].name, plan_.nodes[right].name, line);
    members_[left]->connect(right, std::move(ends.first));
    members_[right]->connect(left, std::move(ends.second));
  });
}

Status SimulatedCluster::begin() {
  const auto trace = [this](const plan::Actor& actor, std::size_t act, std::uint64_t firing) {
    const std::int64_t now = network_.clock().now().time_since_epoch().count();
    record_.trace.push_back({now, actor.name, actor.acts[act].name, firing});
  };
  const actors::CrewSite site{system_,          stream_, stream_,
                              network_.clock(), trace,   [this] { coordinator_.run(); }};
  for (const auto& member : members_) ATOLL_TRY(member->spawn(site));
  for (const auto& member : members_) member->crew().begin();
  return {};
}

bool SimulatedCluster::step() {
  const bool acted = coordinator_.run() > 0;
  return network_.step() || acted;
}

bool SimulatedCluster::run_to_round(std::size_t rounds) {
  while (record_.progress.size() < rounds) {
    if (!step()) return false;
  }
  return true;
}

void SimulatedCluster::hold() {
  for (const auto& member : members_) member->crew().hold();
}

void SimulatedCluster::release(std::uint64_t step) {
  for (const auto& member : members_) member->crew().release(step);
}

void SimulatedCluster::partition() {
  for_each_pair([this](auto left, auto right) {
    network_.partition(plan_.nodes[left].name, plan_.nodes[right].name);
  });
}

void SimulatedCluster::heal() {
  for_each_pair([this](auto left, auto right) {
    network_.heal(plan_.nodes[left].name, plan_.nodes[right].name);
  });
}

void SimulatedCluster::cut() {
  for_each_pair([this](auto left, auto right) {
    network_.cut(plan_.nodes[left].name, plan_.nodes[right].name);
  });
}

}  // namespace reef::simulation
