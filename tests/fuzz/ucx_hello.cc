// The one frame on the life line of a UCX link.

#include <algorithm>

#include "runtime/link/ucx/wire.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView frame(reinterpret_cast<const std::byte*>(data), size);
  const auto address = link::ucx::read_hello(frame);
  if (!address.ok()) {
    fuzz::check_refusal(address.error(), {Code::kProto});
    return 0;
  }
  CHECK(!address->empty() && address->size() <= link::ucx::kMaxAddress);
  CHECK(std::ranges::equal(link::ucx::hello(*address), frame));
  return 0;
}
