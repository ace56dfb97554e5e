// The manifest of a folder of token shards.

#include "actors/data/format/manifest.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest =
      data::parse_manifest(as_text(fuzz::Input(data, size).rest()), "manifest.json");
  if (!manifest.ok()) return fuzz::check_refusal(manifest.error(), {Code::kData, Code::kPath}), 0;
  const auto again = data::parse_manifest(data::to_json(*manifest), "manifest.json");
  CHECK(again.ok()) << again.error().text();
  CHECK(*again == *manifest);
  for (const data::Split* split : {&manifest->train, &manifest->validation}) {
    std::uint64_t tokens = 0;
    for (const data::ShardInfo& shard : split->shards) {
      CHECK(shard.file.find('/') == std::string::npos && shard.file != "..");
      tokens += shard.tokens;
    }
    CHECK_EQ(tokens, split->tokens);
  }
  return 0;
}
