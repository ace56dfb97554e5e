// Nodes of an island that are out of the scheduler's reach. They train by themselves and with each
// other, so what is lost is only the line to them: they keep their part for the job's outage, and
// when they are back and still have it, all goes on as if nothing had been.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/log.h"
#include "runtime/base/units.h"
#include "scheduler/service/service.h"

namespace reef::service {
namespace {

/// A connection that broke, unlike one that fell silent, is made anew soon, or its node is gone.
/// Nor is one waited for longer when nothing is to go on.
constexpr Duration kRedialTime = std::chrono::seconds(10);

}  // namespace

bool Service::may_go_on(const Run& run, const Error& why) const {
  const bool cut_off = why.code == Code::kTimedOut || why.code == Code::kPeerLost;
  const bool runs = run.state == "running" || run.state == "stopping";
  return cut_off && runs && !run.ending && run.meeting != 0;
}

void Service::wait_out(Run& run, const std::string& node, const Error& why) {
  const bool long_enough = why.code == Code::kTimedOut && !run.cancelled;
  const Duration outage = run.job.local_steps->outage;
  const Duration patience = long_enough ? outage : std::min(outage, kRedialTime);
  const Time until = loop_.clock().now() + patience;
  run.unreachable[node] = until;
  tell(run, run.name + " may go on by itself: node " + node + " is out of reach, and waited for " +
                format_duration(patience));
  loop_.at(until, [this, id = run.id, node, until, why] {
    const auto found = runs_.find(id);
    if (found == runs_.end()) return;
    const auto still = found->second.unreachable.find(node);
    if (still == found->second.unreachable.end() || still->second != until) return;
    found->second.unreachable.erase(still);
    node_lost(found->second, node, why);
  });
}

/// The run is to end.
void Service::hurry(Run& run) {
  for (const auto& [node, until] : std::map(run.unreachable))
    wait_out(run, node, {Code::kTimedOut, node, "out of reach when the job was stopped"});
}

/// The client and the log; how it goes on is no matter of states.
void Service::tell(const Run& run, const std::string& what) {
  log_info(what);
  tell_client(run,
              node::status_message({run.state, traffic_of(run), run.step, run.checkpoint, what}));
}

/// A node has said hello, and with which jobs it has gone on.
void Service::came_back(Member& member, const std::vector<std::uint64_t>& holds) {
  const std::string& name = member.credential.name;
  std::vector<Run*> lost;
  for (auto& [id, run] : runs_) {
    const bool holds_it = std::ranges::count(holds, run.plan.epoch) > 0;
    if (run.unreachable.contains(name) && !holds_it) lost.push_back(&run);
  }
  for (Run* run : lost) {
    run->unreachable.erase(name);
    node_lost(*run, name, {Code::kPeerLost, name, "its process has begun anew"});
  }
  for (const std::uint64_t epoch : holds) {
    Run* const run = run_of(epoch, name);
    if (run != nullptr && run->unreachable.erase(name) > 0) {
      go_on(*run, member);
    } else {
      member.stopping.insert(epoch);
      send(member, node::signal_message(node::Kind::kStop, {epoch, 0, ""}));
    }
  }
}

/// What it was told and may not have heard, it is told again.
void Service::go_on(Run& run, Member& member) {
  tell(run, "node " + member.credential.name + " is back, and has gone on with " + run.name);
  const std::uint64_t epoch = run.plan.epoch;
  send(member, node::signal_message(node::Kind::kStart, {epoch, 0, ""}));
  if (run.last_step) {
    send(member, release_of(run));
  } else if (run.cancelled) {
    send(member, node::signal_message(node::Kind::kHold, {epoch, 0, ""}));
  }
  if (const Status met = introduce_all(run.meeting); !met.ok()) log_error(met.error().text());
}

/// A node that was told to stop what it held has done so, and is free.
Status Service::left_job(Member& member, const link::Message& message) {
  ATOLL_ASSIGN(const auto heartbeat, node::read_heartbeat(message));
  if (member.stopping.erase(heartbeat.epoch) == 0) return {};
  for (auto& [id, run] : runs_) wait_for_nodes(run);
  return {};
}

}  // namespace reef::service
