// The cache of measured kernels, a file that people may edit.

#include "ops/tune/cache.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ops::tune::Cache cache(fuzz::put("tune.json", fuzz::Input(data, size).rest()));
  const auto choices = cache.read("processor");
  if (!choices.ok()) {
    fuzz::check_refusal(choices.error(), {Code::kPath});
    CHECK(!cache.merge("processor", {}).ok()) << "a file that is not ours was replaced";
    return 0;
  }
  const Status merged = cache.merge("processor", {});
  CHECK(merged.ok()) << merged.error().text();
  const auto again = cache.read("processor");
  CHECK(again.ok());
  CHECK(*again == *choices);
  return 0;
}
