// A plan as a node receives it.

#include "scheduler/plan/plan.h"

#include "scheduler/plan/encoding.h"
#include "scheduler/plan/live.h"
#include "scheduler/plan/memory.h"
#include "scheduler/plan/validate.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto decoded = plan::decode(fuzz::Input(data, size).rest());
  if (!decoded.ok()) return fuzz::check_refusal(decoded.error(), {Code::kProto}), 0;
  const Bytes again = plan::encode(*decoded);
  const Status status = plan::validate(*decoded);
  if (!status.ok()) return fuzz::check_refusal(status.error(), {Code::kProto}), 0;
  // A valid plan has bounded names, so that it is as long as what it came from, or near.
  const auto twice = plan::decode(again);
  CHECK(twice.ok()) << twice.error().text();
  CHECK(plan::encode(*twice) == again);
  for (std::size_t i = 0; i < decoded->nodes.size(); ++i)
    CHECK_LE(plan::memory_of(*decoded)[i], decoded->nodes[i].memory);
  const Status live = plan::prove_live(*decoded);
  if (!live.ok()) fuzz::check_refusal(live.error(), {Code::kJobGraph});
  return 0;
}
