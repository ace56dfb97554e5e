// Nodes of an island that are out of the scheduler's reach. They train by themselves and with each
// other, so what is lost is only the line to them: they keep their part for the job's outage, and
// when they are back and still have it, all goes on as if nothing had been.

#include <algorithm>
#include <string>
#include <vector>

#include "runtime/base/log.h"
#include "runtime/base/units.h"
#include "scheduler/service/service.h"

namespace reef::service {
namespace {

/// A connection that broke, unlike one that fell silent, is made anew at once, or its node is gone.
constexpr Duration kRedialTime = std::chrono::seconds(3);

}  // namespace

bool Service::may_go_on(const Run& run, const Error& why) const {
  const bool cut_off = why.code == Code::kTimedOut || why.code == Code::kPeerLost;
  const bool runs = run.state == "running" || run.state == "stopping";
  return cut_off && runs && !run.ending && run.meeting != 0;
}

void Service::wait_out(Run& run, const std::string& node, const Error& why) {
  const Duration outage = run.job.local_steps->outage;
  const Duration patience = why.code == Code::kTimedOut ? outage : std::min(outage, kRedialTime);
  const Time until = loop_.clock().now() + patience;
  run.unreachable[node] = until;
  const std::string reason = run.name + " may go on by itself: node " + node +
                             " is out of reach, and waited for " + format_duration(patience);
  log_warning(reason);
  tell_client(run,
              node::status_message({run.state, traffic_of(run), run.step, run.checkpoint, reason}));
  loop_.at(until, [this, id = run.id, node, until, why] {
    const auto found = runs_.find(id);
    if (found == runs_.end()) return;
    const auto still = found->second.unreachable.find(node);
    if (still == found->second.unreachable.end() || still->second != until) return;
    found->second.unreachable.erase(still);
    node_lost(found->second, node, why);
  });
}

/// A node has said hello, and with which jobs it has gone on.
void Service::came_back(Member& member, const std::vector<std::uint64_t>& holds) {
  const std::string& name = member.credential.name;
  std::vector<Run*> lost;
  for (auto& [id, run] : runs_) {
    const bool holds_it = std::ranges::count(holds, run.plan.epoch) > 0;
    if (run.unreachable.erase(name) > 0 && !holds_it) lost.push_back(&run);
  }
  for (Run* run : lost)
    node_lost(*run, name, {Code::kPeerLost, name, "its process has begun anew"});
  for (const std::uint64_t epoch : holds) {
    Run* const run = run_of(epoch, name);
    if (run == nullptr || run->ending) {
      send(member, node::signal_message(node::Kind::kStop, {epoch, 0, ""}));
      continue;
    }
    log_info("node " + name + " is back, and has gone on with " + run->name);
    if (run->cancelled) send(member, node::signal_message(node::Kind::kHold, {epoch, 0, ""}));
    if (const Status met = introduce_all(run->meeting); !met.ok()) log_error(met.error().text());
  }
}

}  // namespace reef::service
