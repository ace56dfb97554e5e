#include "runtime/machine/machine.h"

#include <hwloc.h>

#include <array>
#include <memory>

#include "runtime/base/units.h"

namespace reef::machine {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, Destroy>;

Result<Topology> load() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0)
    return Error{Code::kIo, "hwloc", "cannot begin to look at this machine"};
  Topology topology(raw);
  if (hwloc_topology_load(raw) != 0) {
    return Error{Code::kIo, "hwloc",
                 "cannot look at this machine; is HWLOC_SYNTHETIC or HWLOC_XMLFILE set to what it "
                 "cannot read?"};
  }
  return topology;
}

std::uint32_t count(const Topology& topology, hwloc_obj_type_t type) {
  const int found = hwloc_get_nbobjs_by_type(topology.get(), type);
  return found > 0 ? static_cast<std::uint32_t>(found) : 0;
}

std::vector<Cache> caches(const Topology& topology) {
  constexpr std::array kLevels{HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE,
                               HWLOC_OBJ_L4CACHE};
  std::vector<Cache> found;
  for (std::uint32_t level = 0; level < kLevels.size(); ++level) {
    const hwloc_obj_t first = hwloc_get_obj_by_type(topology.get(), kLevels[level], 0);
    if (first != nullptr)
      found.push_back({level + 1, first->attr->cache.size, count(topology, kLevels[level])});
  }
  return found;
}

std::vector<NumaNode> numa(const Topology& topology) {
  std::vector<NumaNode> found;
  hwloc_obj_t node = nullptr;
  while ((node = hwloc_get_next_obj_by_type(topology.get(), HWLOC_OBJ_NUMANODE, node)) != nullptr) {
    const int cores =
        hwloc_get_nbobjs_inside_cpuset_by_type(topology.get(), node->cpuset, HWLOC_OBJ_CORE);
    found.push_back({node->os_index, node->attr->numanode.local_memory,
                     cores > 0 ? static_cast<std::uint32_t>(cores) : 0});
  }
  return found;
}

std::string counted(std::uint32_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

}  // namespace

Result<Machine> discover() {
  ATOLL_ASSIGN(const Topology topology, load());
  Machine machine;
  machine.real = hwloc_topology_is_thissystem(topology.get()) != 0;
  machine.packages = count(topology, HWLOC_OBJ_PACKAGE);
  machine.threads = count(topology, HWLOC_OBJ_PU);
  // Some virtual machines do not say which threads share a core.
  machine.cores = count(topology, HWLOC_OBJ_CORE);
  if (machine.cores == 0) machine.cores = machine.threads;
  machine.memory = hwloc_get_root_obj(topology.get())->total_memory;
  machine.caches = caches(topology);
  machine.numa = numa(topology);
  return machine;
}

std::string text_of(const Machine& machine) {
  return counted(machine.packages, "package") + ", " + counted(machine.cores, "core") + ", " +
         counted(machine.threads, "thread") + ", " + format_size(machine.memory);
}

}  // namespace reef::machine
