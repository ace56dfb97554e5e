#pragma once
// The embedded cluster: a scheduler and the nodes of a topology as real processes on this machine,
// with keys made for this one run.

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>

#include "runtime/node/identity.h"
#include "scheduler/topology/topology.h"

namespace reef::app {

/// Thread: one. Failure: start() leaves nothing running. Destruction ends every process that still
/// runs: first politely, then not. Should this process die, the kernel ends them.
class Cluster {
 public:
  /// `plugins`: where nodes find what their devices need.
  Cluster(std::filesystem::path run_folder, topology::Topology topology, std::string topology_path,
          std::filesystem::path plugins);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Makes the keys, starts the processes and waits for the scheduler's address. `port` 0: any free
  /// one.
  Status start(std::uint16_t port);
  /// Has the scheduler end itself and the nodes, and waits for the nodes, no longer than `limit`.
  void stop(Duration limit);

  const node::Identity& client() const { return client_; }
  std::uint16_t port() const { return port_; }
  /// Process ids by name ("scheduler", "east-0", ...), for people and tests.
  const std::map<std::string, pid_t>& processes() const { return processes_; }

 private:
  Status make_identities();
  Status spawn(const std::string& name, const std::vector<std::string>& arguments);
  Status wait_for_address();
  /// What a process says before its log is open, and why it ended.
  std::filesystem::path error_file(const std::string& name) const;

  std::filesystem::path run_folder_;
  topology::Topology topology_;
  std::string topology_path_;
  std::filesystem::path plugins_;
  node::Identity client_;
  std::uint16_t port_ = 0;
  std::map<std::string, pid_t> processes_;
};

}  // namespace reef::app
