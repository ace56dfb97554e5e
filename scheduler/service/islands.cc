// The islands of a job that trains by local steps: runs that begin together, know of each other,
// and go on when one of them is lost, which begins anew when its nodes are back.

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/route.h"
#include "scheduler/service/service.h"

namespace reef::service {

Status Service::queue_islands(const Run& run, std::vector<plan::Plan> plans) {
  ATOLL_ASSIGN(const std::uint64_t meeting, store_->next_epoch(run.id));
  std::vector<Run> islands;
  for (plan::Plan& plan : plans) {
    Run island = run;
    ATOLL_ASSIGN(island.job, job::job_from_json(plan.descriptor));
    const std::string& datacenter = island.job.datacenters.front();
    island.name += " in " + datacenter;
    island.run_folder += "/" + datacenter;
    island.meeting = meeting;
    island.plan = std::move(plan);
    island.plan.epoch = 0;
    ATOLL_ASSIGN(island.id,
                 store_->add_job(island.name, island.plan.descriptor, island.run_folder));
    islands.push_back(std::move(island));
  }
  Meeting& met = meetings_[meeting];
  met.job = run.id;
  met.islands.assign(islands.size(), Meeting::Island::kTrains);
  met.homes = Homes(static_cast<std::uint32_t>(islands.size()));
  for (Run& island : islands) queue_.push_back(std::move(island));
  advance();
  return {};
}

std::set<std::uint32_t> Service::Meeting::training() const {
  std::set<std::uint32_t> training;
  for (std::uint32_t i = 0; i < islands.size(); ++i) {
    if (islands[i] == Island::kTrains) training.insert(i);
  }
  return training;
}

/// What has its home at the one that is lost, or over, gets another, best with one that has caught
/// up.
void Service::move_homes(const Run& lost) {
  Meeting& meeting = meetings_.at(lost.meeting);
  std::set<std::uint32_t> known;
  for (const auto& [id, run] : runs_) {
    if (run.meeting != lost.meeting || run.id == lost.id || run.ending || run.last_round ||
        run.plan.epoch == 0 || !run.unreachable.empty())
      continue;
    const job::Island& island = *run.job.island;
    if (island.begun == 0 || run.step > island.first_step) known.insert(island.index);
  }
  meeting.homes.lose(lost.job.island->index, known.empty() ? meeting.training() : known);
}

/// Whether the others of its meeting do. One that was only lost may come back.
bool Service::goes_on_without(Run& run, const Error& error) {
  Meeting& meeting = meetings_.at(run.meeting);
  const bool lost = error.code == Code::kPeerLost || error.code == Code::kTimedOut;
  run.returns = lost && !run.cancelled;
  meeting.islands[run.job.island->index] =
      run.returns ? Meeting::Island::kAway : Meeting::Island::kOver;
  if (!meeting.trains()) {
    run.returns = false;
    return meeting.succeeded;
  }
  move_homes(run);
  if (!run.cancelled) {
    tell_client(
        run, node::status_message({"running", traffic_of(run), meeting.step, run.checkpoint,
                                   "the others go on without " + run.name + ": " + error.text()}));
  }
  return true;
}

/// Its nodes are free of it; those that are back, or will be, take its part again.
void Service::begin_anew(const Run& lost) {
  if (!meetings_.contains(lost.meeting)) return;
  Run run;
  const auto id = store_->add_job(lost.name, lost.plan.descriptor, lost.run_folder);
  if (!id.ok()) return log_error(id.error().text());
  run.id = *id;
  run.name = lost.name;
  run.job = lost.job;
  run.plan = lost.plan;
  run.plan.epoch = 0;
  run.run_folder = lost.run_folder;
  run.client = lost.client;
  run.meeting = lost.meeting;
  run.anew = true;
  queue_.push_back(std::move(run));
}

void Service::note_progress(const Run& run) {
  const auto met = meetings_.find(run.meeting);
  if (met == meetings_.end()) return;
  const double done = static_cast<double>(run.step) / static_cast<double>(run.job.training.steps);
  if (done < met->second.done) return;
  met->second.done = done;
  met->second.step = run.step;
}

/// What it has missed it need not do; the weights come from the others.
void Service::catch_up(Run& run) {
  Meeting& meeting = meetings_.at(run.meeting);
  meeting.islands[run.job.island->index] = Meeting::Island::kTrains;
  const auto steps = static_cast<double>(run.job.training.steps);
  run.step = std::min(static_cast<std::uint64_t>(meeting.done * steps), run.job.training.steps - 1);
  run.job.island->begun += 1;
  run.job.island->first_step = run.step;
  run.plan.descriptor = job::job_to_json(run.job);
}

/// Tells the outer store of a run where those of the others are, and where homes are.
Status Service::introduce(const Run& run) {
  const plan::Node& own = run.plan.nodes[plan::outer_store_of(run.plan)];
  const Meeting& meeting = meetings_.at(run.meeting);
  node::Partners partners{
      run.plan.epoch, run.meeting, {}, {meeting.training(), meeting.homes.places()}};
  partners.company.islands.erase(run.job.island->index);
  for (const auto& [id, other] : runs_) {
    const bool there = other.meeting == run.meeting && other.id != run.id &&
                       other.plan.epoch != 0 && !other.ending;
    if (!there) continue;
    const plan::NodeIndex store = plan::outer_store_of(other.plan);
    const plan::Node& node = other.plan.nodes[store];
    node::Peer peer = other.peers[store];
    const bool first = run.job.island->index < other.job.island->index;
    const bool can = plan::can_dial(own, node), asked = plan::can_dial(node, own);
    if (!can && !asked) {
      return Error{Code::kNoFit, own.name + " and " + node.name,
                   "neither can dial the other, and outer stores use no relay; give one of the two "
                   "datacenters a node that can be dialled, as the first of its list"};
    }
    const topology::Line line = topology::line_between(topology_, own.datacenter, node.datacenter);
    peer.streams = topology::data_streams(line);
    peer.congestion = line.congestion;
    partners.partners.push_back(
        {other.job.island->index, can && (first || !asked), std::move(peer)});
  }
  if (Member* member = node_named(own.name)) send(*member, node::partners_message(partners));
  return {};
}

/// All of them hear of the others.
Status Service::introduce_all(std::uint64_t meeting) {
  for (const auto& [id, run] : runs_) {
    if (run.meeting == meeting && run.plan.epoch != 0 && !run.ending) ATOLL_TRY(introduce(run));
  }
  return {};
}

/// The run is over. When the last that trains is, so is the job, and the client hears of it.
void Service::leave_meeting(Run& run) {
  const auto found = meetings_.find(run.meeting);
  if (found == meetings_.end()) return;
  Meeting& meeting = found->second;
  meeting.traffic += run.sent();
  const bool succeeded = run.state == "succeeded";
  // What one that was lost has left is not what the others came to.
  if (!run.checkpoint.empty() && (succeeded || !meeting.succeeded))
    meeting.checkpoint = run.checkpoint;
  meeting.succeeded = meeting.succeeded || succeeded;
  if (run.returns) return;
  meeting.islands[run.job.island->index] = Meeting::Island::kOver;
  if (meeting.trains()) {
    // Who was cut off when it ended may still need its homes.
    move_homes(run);
    if (const Status met = introduce_all(run.meeting); !met.ok()) log_error(met.error().text());
    return;
  }
  const std::string state = run.cancelled ? "stopped" : meeting.succeeded ? "succeeded" : "failed";
  if (const Status saved = store_->set_job(meeting.job, state, "", meeting.step); !saved.ok())
    log_error(saved.error().text());
  tell_client(run,
              node::status_message({state, meeting.traffic, meeting.step, meeting.checkpoint, ""}));
  meetings_.erase(found);
  forget_away(run.meeting);
}

/// Nobody is left with whom they could go on.
void Service::forget_away(std::uint64_t meeting) {
  std::erase_if(queue_, [meeting](const Run& run) { return run.meeting == meeting; });
  for (auto& [id, run] : runs_) {
    if (run.meeting != meeting || run.ending) continue;
    run.ending = run.over = true;
    set_state(run, "stopped", "it did not come back before the end");
    loop_.post([this, id = id] {
      runs_.erase(id);
      advance();
    });
  }
}

/// Bytes of the run, or of all islands of its job.
node::Traffic Service::traffic_of(const Run& run) const {
  const auto met = meetings_.find(run.meeting);
  if (met == meetings_.end()) return run.sent();
  node::Traffic sum = met->second.traffic;
  for (const auto& [id, one] : runs_) {
    if (one.meeting == run.meeting && !one.over) sum += one.sent();
  }
  return sum;
}

}  // namespace reef::service
