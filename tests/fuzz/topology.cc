// A topology descriptor.

#include "scheduler/topology/topology.h"

#include <set>

#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read =
      topology::parse_topology(as_text(fuzz::Input(data, size).rest()), "topology.yaml");
  if (!read.ok()) {
    fuzz::check_refusal(read.error(), {Code::kJobSyntax, Code::kJobField, Code::kJobValue});
    return 0;
  }
  std::set<std::string> names, datacenters;
  for (const topology::Node& node : read->nodes) {
    CHECK(names.insert(node.name).second) << node.name;
    CHECK(node.memory > 0 && node.threads > 0);
    CHECK(!node.device.paced || node.device.speed >= 1);
    CHECK(node.device.name.is_valid());
    CHECK(node.device.name.is_cpu() || node.device.speed >= 1);
    datacenters.insert(node.datacenter);
  }
  CHECK(!names.empty());
  for (const std::string& from : datacenters) {
    for (const std::string& to : datacenters) {
      const topology::Line line = topology::line_between(*read, from, to);
      CHECK(line.rate >= 1 && line.round_trip >= Duration{});
      if (from != to) CHECK(line.from == from || line.to == from);
    }
  }
  return 0;
}
