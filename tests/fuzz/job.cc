// A job descriptor as a user or a client sends it, up to its plan.

#include "scheduler/job/job.h"

#include "scheduler/plan/live.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/validate.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

topology::Topology machines() {
  topology::Topology topology;
  topology.name = "fuzz";
  for (const char* name : {"east-0", "east-1", "west-0", "west-1"}) {
    const std::string node = name;
    topology.nodes.push_back({node, node.substr(0, 4), std::uint64_t{2} << 30, 1, "127.0.0.1"});
  }
  topology.lines.push_back({"east", "west", 100e6, std::chrono::milliseconds(20)});
  return topology;
}

void check(const Result<job::Job>& read) {
  if (!read.ok()) {
    return fuzz::check_refusal(read.error(), {Code::kJobSyntax, Code::kJobField, Code::kJobValue});
  }
  const auto again = job::job_from_json(job::job_to_json(*read));
  CHECK(again.ok()) << again.error().text();
  CHECK(*again == *read) << job::job_to_json(*read);
  // Larger jobs take as long to plan as they are large; their arithmetic is the same.
  if (nn::blocks_of(read->model) > 16 || read->training.leaves > 16) return;
  static const topology::Topology topology = machines();
  const auto plan = plan::make_plan(*read, topology);
  if (!plan.ok()) {
    return fuzz::check_refusal(plan.error(), {Code::kNoFit, Code::kJobValue});
  }
  CHECK(plan::validate(*plan).ok());
  CHECK(plan::prove_live(*plan).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(fuzz::Input(data, size).rest()));
  check(job::parse_job(text, "job.yaml"));
  if (text.starts_with('{')) check(job::job_from_json(text));
  return 0;
}
