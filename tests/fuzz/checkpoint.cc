// A checkpoint's folder: manifest and one part.

#include "actors/checkpoint/format/checkpoint.h"

#include "actors/data/format/sha256.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

/// `piece manifest.json | piece header | data`. In the manifest "@sha256" and "@bytes" stand for
/// those of the part, which no input could guess.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  std::string manifest(as_text(input.piece()));
  const BytesView header = input.piece();
  const Bytes part =
      fuzz::Output().number(std::uint64_t{header.size()}).rest(header).rest(input.rest()).bytes();
  manifest = fuzz::replaced(manifest, "@sha256", data::sha256(part));
  manifest = fuzz::replaced(manifest, "@bytes", std::to_string(part.size()));
  fuzz::put("manifest.json", as_bytes(manifest));
  fuzz::put("part-00000.safetensors", part);
  const auto opened = checkpoint::Checkpoint::open(fuzz::folder());
  if (!opened.ok()) {
    return fuzz::check_refusal(opened.error(), {Code::kCheckpoint, Code::kPath}), 0;
  }
  for (const std::string& name : opened->names()) {
    const checkpoint::TensorView* const tensor = opened->find(name);
    CHECK(tensor != nullptr);
    CHECK_EQ(checkpoint::byte_size(tensor->dtype, tensor->shape).value(), tensor->bytes.size());
    if (!checkpoint::is_moment(name)) continue;
    const auto* const weight =
        opened->find(name.substr(0, name.size() - checkpoint::kAdamM.size()));
    CHECK(weight != nullptr && weight->shape == tensor->shape);
  }
  const Status job = opened->check_job("another");
  if (!job.ok()) fuzz::check_refusal(job.error(), {Code::kCheckpoint});
  return 0;
}
