#pragma once
// The scheduler as a process: nodes and clients dial it; it plans jobs on the nodes of its
// topology, watches them run, and tells clients what happens. A node serves one job at a time: jobs
// that share none run side by side, others wait in the queue with their reason.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/link/channel/channel.h"
#include "runtime/link/loop.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/node/identity.h"
#include "runtime/node/protocol.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/plan.h"
#include "scheduler/service/homes.h"
#include "scheduler/service/store.h"
#include "scheduler/service/trust.h"
#include "scheduler/topology/topology.h"

namespace reef::service {

struct ServiceOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one
  TrustOptions trust;
  /// Fills in what is known of the devices beside the topology; empty: nothing. On the helper
  /// thread.
  std::function<topology::Topology(topology::Topology, nn::Precision)> measured = {};
};

/// Thread: start() and wait() on the caller's; the rest lives on the loop's thread, but that its
/// helper makes plans, one after the other.
/// Failure: a node that fails or is lost fails the job that runs on it, by name; the service itself
/// goes on. An island's node that is out of reach is lost only after the job's outage.
class Service {
 public:
  Service(node::Identity identity, topology::Topology topology, std::unique_ptr<Store> store,
          ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Listens; returns the port. kRefused or kData for a roster that cannot hold.
  Result<std::uint16_t> start();
  /// Returns when shutdown() was called.
  void wait();
  /// Tells every node to stop. Thread: any.
  void shutdown();

 private:
  struct Member {
    std::unique_ptr<link::Channel> channel;
    security::Credential credential;
    node::Sessions::Id session = 0;
    Time next_renewal{};      ///< not before
    bool registered = false;  ///< a node that has said hello
    std::string host;
    std::uint16_t port = 0;
    Reach dialable = Reach::kNowhere;
    bool gone = false;                   ///< on_closed() has run
    std::set<std::uint64_t> stopping{};  ///< epochs that it still held, and was told to stop
  };
  /// A job that holds the nodes of its plan.
  struct Run {
    std::int64_t id = 0;
    std::string name;  ///< the job's; of an island "NAME in DATACENTER"
    job::Job job;
    plan::Plan plan;
    std::string run_folder;
    std::string state = "waiting";
    std::string told = {};  ///< reason why it waits
    std::uint64_t client = 0;
    std::uint64_t step = 0;
    std::string checkpoint;
    std::uint64_t checkpoint_step = 0;
    bool last_round = false;
    bool cancelled = false;
    bool ending = false;   ///< its nodes have been told to stop: nothing changes how it ends
    bool over = false;     ///< the client has been told that
    bool returns = false;  ///< an island that was lost, and is waited for
    bool anew = false;     ///< one that was lost before
    std::map<std::string, std::uint64_t> held;     ///< loader -> step begun
    std::optional<std::uint64_t> last_step;        ///< to which they were released
    std::optional<Error> suspicion;                ///< a lost peer, until its own channel says more
    std::set<std::string> ready;                   ///< nodes
    std::uint64_t meeting = 0;                     ///< of an island; 0: a job by itself
    std::vector<node::Peer> peers;                 ///< its nodes, as the others dial them
    std::set<std::string> unstopped;               ///< nodes that have a part in it
    std::map<std::string, Time> unreachable;       ///< of an island: nodes, until when
    std::map<std::string, node::Traffic> traffic;  ///< of each node

    node::Traffic sent() const;
    bool has(const std::string& node) const;
    /// Whether `actor` is a loader on this node.
    bool loads(const std::string& actor, const std::string& node) const;
    /// For people.
    std::string actors_on(const std::string& node) const;
  };

  /// The islands of one job, each of which is a run of its own.
  struct Meeting {
    enum class Island : std::uint8_t {
      kTrains,  ///< or is about to
      kAway,    ///< lost; begins anew when its nodes are back
      kOver,
    };
    std::int64_t job = 0;  ///< id of the whole
    std::vector<Island> islands;
    Homes homes;
    double done = 0;         ///< share of its steps, of the one that is furthest
    std::uint64_t step = 0;  ///< that one's
    node::Traffic traffic;   ///< of runs that are over
    std::string checkpoint;  ///< the last of any
    bool succeeded = false;  ///< some island

    bool trains() const { return std::ranges::count(islands, Island::kTrains) > 0; }
    std::set<std::uint32_t> training() const;
  };

  /// A node measures a line for a client.
  struct LineTest {
    std::uint64_t client = 0;
    security::Credential from, to;
    std::vector<std::uint16_t> streams;  ///< that were asked for
  };

  void refused(const std::string& from, const Error& why);
  /// What came of all handshakes until now, for people.
  std::string handshakes() const;
  /// Whether a node is of the datacenter in which the topology has its name.
  Status check_place(const security::Credential& who) const;
  void accepted(std::unique_ptr<link::secure::SecureLink> link);
  Status renew(Member& member);
  void on_message(std::uint64_t id, link::Message message);
  void on_closed(std::uint64_t id, const Error& why);
  Status dispatch(std::uint64_t id, node::Kind kind, const link::Message& message);
  Status on_node(std::uint64_t id, Member& member, node::Kind kind, const link::Message& message);
  Status on_epoch_message(const std::string& name, node::Kind kind, const link::Message& message);
  void on_failure(const std::string& name, const node::FailureReport& report);
  void node_lost(Run& run, const std::string& node, const Error& why);

  // lines.cc
  void apply_measured_lines();
  void use_line(const topology::Line& measured);
  Status test_line(std::uint64_t client, const node::TestLine& test);
  Status line_measured(const Member& member, const node::LineResult& result);
  void forget_line_tests(const std::string& node, const Error& why);

  // islands.cc
  Status queue_islands(const Run& run, std::vector<plan::Plan> plans);
  bool goes_on_without(Run& run, const Error& error);
  void begin_anew(const Run& lost);
  void note_progress(const Run& run);
  void catch_up(Run& run);
  Status introduce(const Run& run);
  Status introduce_all(std::uint64_t meeting);
  void move_homes(const Run& lost);
  void leave_meeting(Run& run);
  void forget_away(std::uint64_t meeting);
  node::Traffic traffic_of(const Run& run) const;

  // outage.cc
  bool may_go_on(const Run& run, const Error& why) const;
  void wait_out(Run& run, const std::string& node, const Error& why);
  void came_back(Member& member, const std::vector<std::uint64_t>& holds);
  void go_on(Run& run, Member& member);
  void hurry(Run& run);
  void tell(const Run& run, const std::string& what);
  Status left_job(Member& member, const link::Message& message);

  // teachers.cc
  const Run* teacher_named(const std::string& name) const;
  Status check_teachers(const job::Job& student) const;
  Status check_apart(const Run& run, const plan::Plan& plan) const;
  Status may_teach(const Run& teacher, const job::Job& student) const;
  std::string waits_for_teacher(const job::Job& student) const;
  bool refuse_untaught();
  Status introduce_school();
  Result<std::vector<node::Partner>> students_of(const Run& teacher);
  Result<std::vector<node::Partner>> teachers_of(const Run& student, plan::NodeIndex asks);
  Result<node::Partner> partner_at(std::uint32_t number, const plan::Node& student,
                                   const plan::Node& teacher, bool for_student);
  Status school_changed(const Run& run);

  // runs.cc
  Status submit(std::uint64_t client, const node::Submit& submit);
  Status queue(Run run, const std::string& text, std::vector<plan::Plan> plans);
  Status may_submit(std::uint64_t client) const;
  bool withdraw(std::uint64_t client);
  std::vector<std::size_t> beginning_with(std::size_t first) const;
  void advance();
  void begin(Run run);
  void wait_for_nodes(Run& run);
  Status route(Run& run);
  void launch(Run& run);
  void assign(Run& run);
  void node_ready(Run& run, const std::string& name);
  void suspect(Run& run, const Error& error);
  void cancel(Run& run);
  void node_held(Run& run, const std::string& node, const std::string& actor, std::uint64_t step);
  link::Message release_of(const Run& run) const;
  void check_finished(Run& run);
  void stop_nodes(Run& run);
  void node_stopped(Run& run, const std::string& name);
  void conclude(Run& run);
  void fail(Run& run, const Error& error);
  Run* run_of(std::uint64_t epoch, const std::string& node);
  Run* holder_of(const std::string& node);
  void set_state(Run& run, const std::string& state, const std::string& reason = "");
  void tell_client(const Run& run, link::Message message);
  void tell_nodes(const Run& run, const link::Message& message);

  Member* node_named(const std::string& name);
  void send(Member& member, link::Message message);

  node::Identity identity_;
  topology::Topology topology_;
  std::unique_ptr<Store> store_;
  ServiceOptions options_;
  security::Policy policy_ = node::scheduler_policy();
  link::Loop loop_;
  std::unique_ptr<Trust> trust_;
  std::unique_ptr<link::tcp::Listener> listener_;
  std::map<std::uint64_t, Member> members_;  ///< by connection
  std::uint64_t next_member_ = 1;
  struct Planning {
    std::uint64_t client = 0;
    std::shared_ptr<std::atomic<bool>> withdrawn = std::make_shared<std::atomic<bool>>(false);
  };
  std::map<std::uint64_t, Planning> planning_;  ///< by submission
  std::uint64_t next_submission_ = 1;
  std::deque<Run> queue_;
  std::map<std::int64_t, Run> runs_;  ///< by id
  std::map<std::uint64_t, Meeting> meetings_;
  std::uint64_t school_ = 0;  ///< the meeting of all teachers and students; 0: none yet
  std::map<std::uint64_t, LineTest> line_tests_;  ///< by ticket
  std::uint64_t next_ticket_ = 1;
  bool shutting_down_ = false;

  std::mutex mutex_;
  std::condition_variable ended_;
  bool over_ = false;
};

}  // namespace reef::service
