#include "scheduler/topology/topology.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "configs/schema/schemas.h"
#include "runtime/base/units.h"
#include "scheduler/job/document.h"

namespace reef::topology {
namespace {

using job::complaint;
using job::Document;
using job::Json;

constexpr std::chrono::milliseconds kLongRoundTrip{5};
constexpr double kMostStreams = 8;
constexpr double kOfAStream = 64 * 1024;  ///< bytes under way
constexpr std::size_t kLongestName = 63;  ///< as the schema has it for names that are written out

/// `value`, or its error as a complaint about the field it was parsed from.
template <typename T>
Result<T> at(const Document& document, const std::string& pointer, Result<T> value) {
  if (value.ok()) return value;
  return complaint(document, Code::kJobValue, pointer, value.error().what);
}

Error no(const Document& document, const std::string& pointer, const std::string& what) {
  return complaint(document, Code::kJobValue, pointer, what);
}

bool joins(const Line& line, std::string_view a, std::string_view b) {
  return (line.from == a && line.to == b) || (line.from == b && line.to == a);
}

bool is_list_of_devices(const std::string& text) {
  constexpr std::string_view kSigns = "_.:-";
  const auto allowed = [kSigns](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kSigns.find(c) != kSigns.npos;
  };
  bool in_name = false;
  for (const char c : text) {
    if (c == ',' ? !in_name : !allowed(c)) return false;
    in_name = c != ',';
  }
  return in_name;
}

class Reader {
 public:
  explicit Reader(const Document& document) : document_(document) {}

  Result<Topology> read() {
    static const job::Schema schema(schema::kTopologySchema);
    ATOLL_TRY(schema.check(document_));
    const Json& spec = document_.value["spec"];
    topology_.name = document_.value["metadata"]["name"];
    for (std::size_t i = 0; i < spec["datacenters"].size(); ++i) {
      ATOLL_TRY(datacenter(spec["datacenters"][i], "/spec/datacenters/" + std::to_string(i)));
    }
    for (std::size_t i = 0; spec.contains("lines") && i < spec["lines"].size(); ++i) {
      ATOLL_TRY(line(spec["lines"][i], "/spec/lines/" + std::to_string(i)));
    }
    ATOLL_TRY(check_pairs());
    ATOLL_TRY(check_workers());
    return std::move(topology_);
  }

 private:
  Status datacenter(const Json& from, const std::string& pointer) {
    const std::string name = from["name"];
    if (std::count(datacenters_.begin(), datacenters_.end(), name) > 0) {
      return no(document_, pointer + "/name", "datacenter '" + name + "' stands twice");
    }
    datacenters_.push_back(name);
    for (std::size_t i = 0; i < from["nodes"].size(); ++i) {
      ATOLL_TRY(node(from["nodes"][i], name, pointer + "/nodes/" + std::to_string(i)));
    }
    return {};
  }

  Status node(const Json& from, const std::string& datacenter, const std::string& pointer) {
    Node node;
    node.name = from["name"];
    node.datacenter = datacenter;
    ATOLL_ASSIGN(node.memory,
                 at(document_, pointer + "/memory", parse_size(from["memory"].get<std::string>())));
    if (node.memory == 0) return no(document_, pointer + "/memory", "a node without memory");
    node.threads = from.value("threads", node.threads);
    node.address = from.value("address", node.address);
    ATOLL_ASSIGN(node.dialable, at(document_, pointer + "/dialable",
                                   parse_reach(from.value("dialable", "anywhere"))));
    node.relay_only = from.value("relayOnly", node.relay_only);
    if (node.relay_only && node.dialable == Reach::kNowhere)
      return no(document_, pointer + "/dialable", "nobody could dial this relay");
    node.ucx = from.value("ucx", node.ucx);
    if (!node.ucx.empty() && !is_list_of_devices(node.ucx)) {
      return no(document_, pointer + "/ucx",
                "'" + node.ucx +
                    "' is no list of devices; shm and network devices by UCX's names, "
                    "with commas between them, such as shm,mlx5_0:1");
    }
    ATOLL_TRY(device(from, pointer, node.device));
    if (!from.contains("count")) return add(std::move(node), pointer);
    const std::uint32_t count = from["count"];
    for (std::uint32_t i = 0; i < count; ++i) {
      Node one = node;
      one.name += "-" + std::to_string(i);
      ATOLL_TRY(add(std::move(one), pointer));
    }
    return {};
  }

  Status add(Node node, const std::string& pointer) {
    if (node.name.size() > kLongestName) {
      return no(document_, pointer + "/name",
                "'" + node.name + "' is longer than " + std::to_string(kLongestName) + " letters");
    }
    if (!names_.insert(node.name).second) {
      return no(document_, pointer + "/name", "node '" + node.name + "' stands twice");
    }
    if (topology_.nodes.size() == kMostNodes) {
      return no(document_, pointer + "/count",
                "more than " + std::to_string(kMostNodes) + " nodes in all");
    }
    topology_.nodes.push_back(std::move(node));
    return {};
  }

  Status device(const Json& from, const std::string& pointer, Device& device) const {
    ATOLL_ASSIGN(device.name,
                 at(document_, pointer + "/device", parse_device(from.value("device", "cpu"))));
    if (from.contains("speed")) {
      ATOLL_ASSIGN(device.speed, at(document_, pointer + "/speed",
                                    parse_speed(from["speed"].get<std::string>())));
      if (device.speed < 1)
        return no(document_, pointer + "/speed", "a device that computes nothing");
    }
    if (from.contains("bandwidth")) {
      ATOLL_ASSIGN(device.bandwidth, at(document_, pointer + "/bandwidth",
                                        parse_bandwidth(from["bandwidth"].get<std::string>())));
      if (device.bandwidth < 1)
        return no(document_, pointer + "/bandwidth", "a memory that moves nothing");
    }
    device.paced = from.value("paced", false);
    if (device.paced && device.speed == 0) {
      return no(document_, pointer + "/paced",
                "a paced device needs the speed that it is to keep; add speed: 40GFLOP/s");
    }
    if (!device.name.is_cpu() && device.speed == 0) {
      return no(document_, pointer + "/device",
                "nothing is known of how fast " + device.name.text() + " is; add speed: 20TFLOP/s");
    }
    return {};
  }

  Status check_workers() const {
    const bool any =
        std::ranges::any_of(topology_.nodes, [](const Node& node) { return !node.relay_only; });
    if (any) return {};
    return no(document_, "/spec/datacenters", "every node is relayOnly; one must do the work");
  }

  Status line(const Json& from, const std::string& pointer) {
    Line line;
    line.from = from["between"][0];
    line.to = from["between"][1];
    for (const std::string& end : {line.from, line.to}) {
      if (std::count(datacenters_.begin(), datacenters_.end(), end) == 0) {
        return no(document_, pointer + "/between",
                  "there is no datacenter '" + end.substr(0, 80) + "'");
      }
    }
    for (const Line& other : topology_.lines) {
      if (joins(other, line.from, line.to)) {
        return no(document_, pointer + "/between",
                  line.from + " and " + line.to + " have a line already");
      }
    }
    ATOLL_ASSIGN(line.rate,
                 at(document_, pointer + "/rate", parse_rate(from["rate"].get<std::string>())));
    if (line.rate < 1) return no(document_, pointer + "/rate", "a line that carries nothing");
    ATOLL_ASSIGN(line.round_trip, at(document_, pointer + "/roundTrip",
                                     parse_duration(from["roundTrip"].get<std::string>())));
    line.streams = from.value("streams", line.streams);
    line.congestion = from.value("congestion", line.congestion);
    topology_.lines.push_back(std::move(line));
    return {};
  }

  Status check_pairs() const {
    for (std::size_t i = 0; i < datacenters_.size(); ++i) {
      for (std::size_t k = i + 1; k < datacenters_.size(); ++k) {
        const bool joined = std::any_of(
            topology_.lines.begin(), topology_.lines.end(),
            [&](const Line& line) { return joins(line, datacenters_[i], datacenters_[k]); });
        if (joined) continue;
        return no(document_, "/spec/lines",
                  "no line between " + datacenters_[i] + " and " + datacenters_[k] +
                      "; add {between: [" + datacenters_[i] + ", " + datacenters_[k] +
                      "], rate: 100Mbit/s, roundTrip: 20ms}");
      }
    }
    return {};
  }

  const Document& document_;
  Topology topology_;
  std::vector<std::string> datacenters_;
  std::set<std::string> names_;
};

}  // namespace

Result<Topology> parse_topology(std::string_view yaml, const std::string& file) {
  ATOLL_ASSIGN(const Document document, job::parse_document(yaml, file));
  return Reader(document).read();
}

Result<Topology> read_topology(const std::string& path) {
  ATOLL_ASSIGN(const Document document, job::read_document(path));
  return Reader(document).read();
}

Result<Topology> within(const Topology& topology, const std::vector<std::string>& datacenters) {
  if (datacenters.empty()) return topology;
  const auto named = [&datacenters](const std::string& name) {
    return std::ranges::find(datacenters, name) != datacenters.end();
  };
  for (const std::string& name : datacenters) {
    if (std::ranges::find(topology.nodes, name, &Node::datacenter) != topology.nodes.end())
      continue;
    return Error{Code::kNoFit, "spec.placement.datacenters",
                 "'" + name + "' is no datacenter of topology " + topology.name +
                     " that has nodes; take one of its own"};
  }
  Topology part = topology;
  std::erase_if(part.nodes, [&](const Node& node) { return !named(node.datacenter); });
  std::erase_if(part.lines, [&](const Line& line) { return !named(line.from) || !named(line.to); });
  return part;
}

std::uint16_t data_streams(const Line& line) {
  if (line.streams > 0) return line.streams;
  if (line.round_trip < kLongRoundTrip) return 1;
  const double under_way = line.rate / 8 * seconds(line.round_trip);
  return static_cast<std::uint16_t>(
      std::clamp(std::ceil(under_way / kOfAStream), 1.0, kMostStreams));
}

Line line_between(const Topology& topology, std::string_view from, std::string_view to) {
  for (const Line& line : topology.lines) {
    if (joins(line, from, to)) return line;
  }
  return {};
}

}  // namespace reef::topology
