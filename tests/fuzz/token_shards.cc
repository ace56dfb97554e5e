// A folder of token shards: manifest and one shard, which may be listed more than once.

#include "actors/data/format/token_shards.h"

#include "actors/data/format/sha256.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// Reads windows of the split; each is tokens of the vocabulary or a refusal.
void read(const data::TokenShards& shards, fuzz::Input& input) {
  for (int windows = 0; windows < 4; ++windows) {
    std::uint64_t position = input.number<std::uint16_t>();
    if (position >= 0xFF00) position = ~std::uint64_t{0} - (position & 0xFF);
    std::vector<std::int32_t> out(input.number<std::uint8_t>(), -1);
    const Status status = shards.read(position, out);
    if (!status.ok()) {
      fuzz::check_refusal(status.error(), {Code::kData});
      continue;
    }
    CHECK_LE(position + out.size(), shards.tokens());
    for (const std::int32_t token : out)
      CHECK(token >= 0 && static_cast<std::uint32_t>(token) < shards.vocab_size());
  }
}

}  // namespace

/// `windows 12 | piece manifest.json | piece shard`. In the manifest "@sha256" stands for the
/// shard's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Bytes windows = to_bytes(input.take(12));
  std::string manifest(as_text(input.piece()));
  const BytesView shard = input.rest();
  manifest = fuzz::replaced(manifest, "@sha256", data::sha256(shard));
  fuzz::put(data::kManifestName, as_bytes(manifest));
  fuzz::put("train-00000.bin", shard);
  for (const bool verify : {false, true}) {
    const auto shards = data::TokenShards::open(fuzz::folder(), "train", verify);
    // What is refused unseen is refused in the same words with a look at its hash.
    if (!shards.ok()) return fuzz::check_refusal(shards.error(), {Code::kData, Code::kPath}), 0;
    fuzz::Input places(reinterpret_cast<const std::uint8_t*>(windows.data()), windows.size());
    read(*shards, places);
  }
  return 0;
}
