#include "runtime/app/line_survey.h"

#include <gtest/gtest.h>

namespace reef::app {
namespace {

topology::Topology topology_of(
    const std::vector<std::tuple<std::string, std::string, Reach>>& nodes) {
  topology::Topology topology;
  for (const auto& [name, datacenter, dialable] : nodes) {
    topology::Node node;
    node.name = name;
    node.datacenter = datacenter;
    node.dialable = dialable;
    topology.nodes.push_back(node);
  }
  return topology;
}

std::string text_of(const std::vector<LineEnds>& lines) {
  std::string text;
  for (const LineEnds& line : lines) {
    text += line.from_datacenter + '-' + line.to_datacenter + ':' + line.from + '>' + line.to + ' ';
  }
  return text;
}

TEST(LinesToMeasure, AreThoseBetweenAndWithinDatacentersFromWhereTheyCanBeDialled) {
  using enum Reach;
  EXPECT_EQ(text_of(lines_to_measure(topology_of({{"a0", "a", kAnywhere}}))), "");
  EXPECT_EQ(text_of(lines_to_measure(topology_of({{"a0", "a", kAnywhere},
                                                  {"a1", "a", kAnywhere},
                                                  {"b0", "b", kAnywhere},
                                                  {"c0", "c", kAnywhere}}))),
            "a-b:a0>b0 a-c:a0>c0 b-c:b0>c0 a-a:a0>a1 ");
  EXPECT_EQ(text_of(lines_to_measure(topology_of({{"a0", "a", kNowhere},
                                                  {"a1", "a", kAnywhere},
                                                  {"b0", "b", kNowhere},
                                                  {"b1", "b", kDatacenter}}))),
            "a-b:b0>a1 a-a:a0>a1 b-b:b0>b1 ");
  EXPECT_EQ(text_of(lines_to_measure(topology_of(
                {{"a0", "a", kNowhere}, {"a1", "a", kNowhere}, {"b0", "b", kDatacenter}}))),
            "a-b:> a-a:> ");
}

}  // namespace
}  // namespace reef::app
