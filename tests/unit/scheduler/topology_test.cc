#include "scheduler/topology/topology.h"

#include <gtest/gtest.h>

namespace reef::topology {
namespace {

std::string text(const std::string& lines) {
  return "apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: t}\nspec:\n  datacenters:\n"
         "    - {name: east, nodes: [{name: a, memory: 1GiB}]}\n"
         "    - {name: west, nodes: [{name: b, memory: 2GiB, threads: 4, address: host-b}]}\n" +
         lines;
}

TEST(Topology, ReadsNodesAndLines) {
  const auto topology = parse_topology(
      text("  lines: [{between: [west, east], rate: 50Mbit/s, roundTrip: 40ms}]\n"), "t.yaml");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  EXPECT_EQ(topology->nodes[0], (Node{"a", "east", 1u << 30, 1, "127.0.0.1"}));
  EXPECT_EQ(topology->nodes[1], (Node{"b", "west", 2u << 30, 4, "host-b"}));
  EXPECT_EQ(line_between(*topology, "east", "west").rate, 50e6);
  EXPECT_EQ(line_between(*topology, "east", "east").rate, Line{}.rate);
}

TEST(Topology, SaysFromWhereANodeCanBeDialled) {
  const auto nodes = [](const std::string& a, const std::string& b) {
    return parse_topology(
        "apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: t}\nspec:\n  datacenters:\n"
        "    - {name: east, nodes: [{name: a, memory: 1GiB" +
            a + "}, {name: b, memory: 1GiB" + b + "}]}\n",
        "t.yaml");
  };
  const auto topology = nodes(", dialable: nowhere", ", dialable: datacenter, relayOnly: true");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  EXPECT_EQ(topology->nodes[0].dialable, Reach::kNowhere);
  EXPECT_FALSE(topology->nodes[0].relay_only);
  EXPECT_EQ(topology->nodes[1].dialable, Reach::kDatacenter);
  EXPECT_TRUE(topology->nodes[1].relay_only);
  EXPECT_EQ(nodes("", "")->nodes[0].dialable, Reach::kAnywhere);
  const std::pair<std::string, std::string> rows[] = {
      {", dialable: sometimes", "spec.datacenters[0].nodes[1].dialable"},
      {", dialable: nowhere, relayOnly: true", "nobody could dial this relay"},
      {", relayOnly: true", "every node is relayOnly"},
  };
  for (const auto& [b, said] : rows) {
    const auto refused = nodes(", relayOnly: true", b);
    ASSERT_FALSE(refused.ok()) << b;
    EXPECT_NE(refused.error().text().find(said), std::string::npos) << refused.error().text();
  }
}

TEST(Topology, ReadsWhatANodeOffersToItsDatacenter) {
  const auto offers = [](const std::string& ucx) {
    return parse_topology(
        "apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: t}\nspec:\n"
        "  datacenters:\n    - {name: east, nodes: [{name: a, memory: 1GiB, ucx: \"" +
            ucx + "\"}]}\n",
        "t.yaml");
  };
  EXPECT_EQ(offers("shm,mlx5_0:1")->nodes[0].ucx, "shm,mlx5_0:1");
  for (const char* wrong : {"", ",", "shm,", "shm lo", "a/b"})
    EXPECT_FALSE(offers(wrong).ok()) << wrong;
}

/// One datacenter with these nodes, as YAML.
Result<Topology> nodes(const std::string& entries) {
  return parse_topology(
      "apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: t}\nspec:\n"
      "  datacenters:\n    - {name: east, nodes: [" +
          entries + "]}\n",
      "t.yaml");
}

void expect_refusals(const std::vector<std::pair<std::string, std::string>>& rows) {
  for (const auto& [entries, said] : rows) {
    const auto refused = nodes(entries);
    ASSERT_FALSE(refused.ok()) << entries;
    EXPECT_NE(refused.error().text().find(said), std::string::npos) << refused.error().text();
  }
}

TEST(Topology, ReadsTheLinesWithinADatacenter) {
  const auto topology =
      parse_topology(text("  lines: [{between: [west, east], rate: 50Mbit/s, roundTrip: 40ms},\n"
                          "    {between: [west, west], rate: 200Gbit/s, roundTrip: 10us}]\n"),
                     "t.yaml");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  EXPECT_EQ(line_between(*topology, "west", "west").rate, 200e9);
  EXPECT_EQ(line_between(*topology, "east", "east").rate, Line{}.rate);
  EXPECT_EQ(line_between(*topology, "east", "west").rate, 50e6);
}

TEST(Topology, ReadsHowFastADeviceIs) {
  const auto topology = nodes(
      "{name: a, memory: 1GiB}, {name: b, memory: 1GiB, speed: 40GFLOP/s}, "
      "{name: c, memory: 1GiB, speed: 1TFLOP/s, bandwidth: 20GB/s, paced: true}");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  EXPECT_EQ(topology->nodes[0].device, Device{});
  EXPECT_EQ(topology->nodes[1].device, (Device{40e9, 0, false}));
  EXPECT_EQ(topology->nodes[2].device, (Device{1e12, 20e9, true}));
  expect_refusals({
      {"{name: a, memory: 1GiB, speed: 40GB/s}", "nodes[0].speed"},
      {"{name: a, memory: 1GiB, speed: 0GFLOP/s}", "computes nothing"},
      {"{name: a, memory: 1GiB, speed: 1GFLOP/s, bandwidth: 0B/s}", "moves nothing"},
      {"{name: a, memory: 1GiB, paced: true}", "add speed: 40GFLOP/s"},
  });
}

TEST(Topology, ReadsWhatANodeComputesOn) {
  const auto topology = nodes(
      "{name: a, memory: 1GiB, device: cpu}, {name: b, memory: 1GiB, device: cuda:1, speed: "
      "20TFLOP/s}");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  EXPECT_TRUE(topology->nodes[0].device.name.is_cpu());
  EXPECT_EQ(topology->nodes[1].device.name, (DeviceName{"cuda", 1}));
  expect_refusals({
      {"{name: a, memory: 1GiB, device: 'cuda:x', speed: 1TFLOP/s}", "'cuda:x' is no device"},
      {"{name: a, memory: 1GiB, device: 'cuda:0'}", "add speed: 20TFLOP/s"},
  });
}

TEST(Topology, MakesManyNodesOfAnEntryWithACount) {
  const auto topology = nodes(
      "{name: gpu, count: 3, memory: 1GiB, speed: 40GFLOP/s}, {name: cpu, memory: 2GiB}, "
      "{name: one, count: 1, memory: 1GiB}");
  ASSERT_TRUE(topology.ok()) << topology.error().text();
  std::vector<std::string> names;
  for (const Node& node : topology->nodes) names.push_back(node.name);
  EXPECT_EQ(names, (std::vector<std::string>{"gpu-0", "gpu-1", "gpu-2", "cpu", "one-0"}));
  EXPECT_EQ(topology->nodes[2].device.speed, 40e9);
  EXPECT_EQ(nodes("{name: n, count: 65536, memory: 1GiB}")->nodes.back().name, "n-65535");
  expect_refusals({
      {"{name: a, count: 0, memory: 1GiB}", "nodes[0].count"},
      {"{name: a, count: 65537, memory: 1GiB}", "nodes[0].count"},
      {"{name: a-1, memory: 1GiB}, {name: a, count: 2, memory: 1GiB}", "node 'a-1' stands twice"},
      {"{name: a, count: 65536, memory: 1GiB}, {name: b, memory: 1GiB}", "more than 65536 nodes"},
      {"{name: " + std::string(60, 'a') + ", count: 101, memory: 1GiB}", "longer than 63 letters"},
  });
}

TEST(Topology, GivesALongLineMoreStreams) {
  const auto streams = [](const char* line) {
    return data_streams(parse_topology(text(line), "t.yaml")->lines[0]);
  };
  EXPECT_EQ(streams("  lines: [{between: [west, east], rate: 1Gbit/s, roundTrip: 4.9ms}]\n"), 1);
  EXPECT_EQ(streams("  lines: [{between: [west, east], rate: 1Gbit/s, roundTrip: 5ms}]\n"), 8);
  EXPECT_EQ(streams("  lines: [{between: [west, east], rate: 50Mbit/s, roundTrip: 50ms}]\n"), 5);
  EXPECT_EQ(streams("  lines: [{between: [west, east], rate: 5Mbit/s, roundTrip: 50ms}]\n"), 1);
  EXPECT_EQ(
      streams("  lines: [{between: [west, east], rate: 1Gbit/s, roundTrip: 5ms, streams: 3}]\n"),
      3);
  const auto line = parse_topology(
      text("  lines: [{between: [east, west], rate: 1Gbit/s, roundTrip: 5ms, streams: 65}]\n"),
      "t.yaml");
  EXPECT_FALSE(line.ok());
  const auto bbr = parse_topology(
      text("  lines: [{between: [east, west], rate: 1Gbit/s, roundTrip: 5ms, congestion: bbr}]\n"),
      "t.yaml");
  EXPECT_EQ(bbr->lines[0].congestion, "bbr");
}

TEST(Topology, RefusesInOneExactLine) {
  const std::pair<const char*, const char*> rows[] = {
      {"",
       "E_JOB_VALUE: t.yaml:4:1: spec.lines: no line between east and west; add {between: [east, "
       "west], "
       "rate: 100Mbit/s, roundTrip: 20ms}"},
      {"  lines: [{between: [east, north], rate: 1Mbit/s, roundTrip: 1ms}]\n",
       "E_JOB_VALUE: t.yaml:8:12: spec.lines[0].between: there is no datacenter 'north'"},
      {"  lines: [{between: [east, west], rate: 5, roundTrip: 1ms}]\n",
       "E_JOB_FIELD: t.yaml:8:35: spec.lines[0].rate: expected text, found the integer 5"},
      {"  lines: [{between: [east, west], rate: 1MB, roundTrip: 1ms}]\n",
       "E_JOB_VALUE: t.yaml:8:35: spec.lines[0].rate: '1MB' is not a number with a unit of bit/s "
       "kbit/s Mbit/s "
       "Gbit/s Tbit/s; for instance 50Mbit/s"},
      {"  lines: [{between: [east], rate: 1Mbit/s, roundTrip: 1ms}]\n",
       "E_JOB_VALUE: t.yaml:8:12: spec.lines[0].between: has 1 items; at least 2 are needed"},
  };
  for (const auto& [lines, message] : rows) {
    const auto topology = parse_topology(text(lines), "t.yaml");
    ASSERT_FALSE(topology.ok()) << lines;
    EXPECT_EQ(topology.error().text(), message);
  }
}

TEST(Topology, ExamplesAreGood) {
  for (const char* name : {"one-node", "two-nodes", "two-datacenters", "behind-nat"}) {
    const auto topology = read_topology(std::string("configs/topologies/") + name + ".yaml");
    ASSERT_TRUE(topology.ok()) << topology.error().text();
    EXPECT_EQ(topology->name, name);
  }
}

TEST(Topology, GivesTheNamedDatacentersAndTheirLines) {
  Topology whole;
  whole.name = "three";
  for (const char* place : {"a", "a", "b", "c"})
    whole.nodes.push_back({"node-" + std::to_string(whole.nodes.size()), place, 1 << 20});
  for (const auto& [from, to] : {std::pair{"a", "b"}, {"a", "c"}, {"b", "c"}, {"a", "a"}})
    whole.lines.push_back({from, to});
  EXPECT_EQ(within(whole, {}).value(), whole);
  const Topology part = within(whole, {"c", "a"}).value();
  ASSERT_EQ(part.nodes.size(), 3u);
  EXPECT_EQ(part.nodes[2].datacenter, "c");
  ASSERT_EQ(part.lines.size(), 2u);
  EXPECT_EQ(part.lines[0].to, "c");
  const auto none = within(whole, {"a", "d"});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kNoFit);
  EXPECT_NE(none.error().what.find("'d' is no datacenter of topology three"), std::string::npos);
}

}  // namespace
}  // namespace reef::topology
