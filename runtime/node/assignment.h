#pragma once
// A node's part of one job: its crew, its peers and its partners, from the scheduler's assignment
// until it says stop. A node has none, one, or another one while the last is still ending.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/link/relay/wire.h"
#include "runtime/node/crew.h"
#include "runtime/node/identity.h"
#include "runtime/node/partners.h"
#include "runtime/node/peers.h"
#include "runtime/node/protocol.h"
#include "runtime/node/sessions.h"
#include "scheduler/job/job.h"

namespace reef::node {

/// Thread: the loop's, except what Events and Wire say. Order: connect() -> ready -> start -> ...
/// -> stop(); meet() at any time before it. Failure: a lost peer, a message that cannot be or a
/// failed actor is reported to the scheduler, which stops the job. A lost scheduler is the node's
/// to see to.
class Assignment final : public Events, public Wire {
 public:
  /// Of the node; all of it outlives the assignment.
  struct Surroundings {
    link::Loop& loop;
    const Identity& identity;
    Sessions& sessions;
    std::function<void(link::Message)> report;  ///< to the scheduler. Thread: any
    /// Of a relayed pair, whose other end began: to be gathered like one that came to our port.
    std::function<void(std::unique_ptr<link::secure::SecureLink>)> on_stream;
  };

  /// kProto or kJobGraph for an assignment that cannot be ours; whatever the crew is refused with.
  static Result<std::unique_ptr<Assignment>> make(Assign assign, Surroundings surroundings,
                                                  const CrewFactory& factory);
  /// Ends the crew first, or waits until it has ended.
  ~Assignment() override;

  std::uint64_t epoch() const { return assign_.epoch; }

  /// Joins the peers; `ucx` is null where it is not offered.
  void connect(std::shared_ptr<link::ucx::Context> ucx);
  /// A peer dialled us for this job.
  void accepted(link::Streams streams);
  /// With whom the outer store of this job exchanges letters.
  void meet(const Partners& partners);
  /// The number under which it does; 0: with nobody.
  std::uint64_t meeting() const { return partners_->meeting(); }
  /// A partner dialled us for that meeting.
  void met(link::Streams streams);
  /// The leg of an end that this node, as a relay, is to join: it may be silent as long as the job
  /// says.
  void keep_alive(link::secure::SecureLink& leg) const;
  /// Start, hold, release.
  void signal(Kind kind, const Signal& signal);
  /// Shows every peer and partner our renewed credential.
  void present(const Bytes& credential);
  /// Whether this node may join `who` with another, as a relay.
  Status may_be_joined(const security::Credential& who, const link::relay::Join& join) const;
  /// Looks at what the lines give; a few times a second.
  void sample_lines() { peers_->sample_lines(); }
  Traffic traffic() const;
  /// How long it goes on by itself when the scheduler is out of reach: as an island's job says,
  /// others not at all.
  Duration outage() const { return outage_; }
  /// Tells the scheduler once more what it was told from then on, of which some may be lost.
  void report_again(Time since) const;

  /// Leaves the peers and ends the crew, which may still be in an act: a thread waits for that,
  /// since an act takes as long as it takes. `ended` runs once on the loop; then nothing is left
  /// but this.
  void stop(std::function<void()> ended);
  bool stopping() const { return stopping_; }

  void progress(const Progress& progress) override;
  void checkpoint_written(std::uint64_t step, const std::string& folder) override;
  void failed(const std::string& actor, const Error& error) override;
  void held(const std::string& actor, std::uint64_t step) override;
  void send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) override;
  void send_credit(std::uint32_t edge) override;
  link::LineNow line(std::uint32_t edge) const override;
  bool send_letter(std::uint32_t island, Letter letter) override;

 private:
  Assignment(Assign assign, plan::Plan plan, const job::Job& job, Surroundings surroundings);
  void on_peer(plan::NodeIndex from, link::Message message);
  void presented(plan::NodeIndex from, const link::Message& message);
  Status accept_token(plan::NodeIndex from, link::Message message);
  Status accept_credit(plan::NodeIndex from, const link::Message& message);
  const plan::Edge* wire_edge(std::uint32_t edge) const;
  void send(plan::NodeIndex to, link::Message message, link::Done done);
  void report(const std::string& what, link::Message message);

  const Assign assign_;
  const plan::Plan plan_;
  const Duration peer_timeout_, outage_;
  const Surroundings node_;
  const security::Policy policy_ = node_policy();
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<PartnerChannels> partners_;
  std::unique_ptr<Crew> crew_;
  std::thread ender_;  ///< of the crew; from stop() on
  bool begun_ = false;
  std::atomic<std::uint64_t> payload_bytes_{0};
  std::atomic<bool> stopping_{false};
  struct Report {
    Time at;
    link::Message message;
  };
  mutable std::mutex mutex_;              ///< guards newest_
  std::map<std::string, Report> newest_;  ///< by what it is about; where there is an outage
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< what is sent may outlive us
};

}  // namespace reef::node
