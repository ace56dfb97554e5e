#include "actors/store/local_steps/told.h"

#include <array>
#include <string>

namespace reef::actors {
namespace {

Error wrong(const std::string& what) { return {Code::kProto, "update", what}; }

}  // namespace

void append(Bytes& payload, const Told& told) {
  std::array<std::byte, kToldHeader> header;
  store(header.data(), told.island);
  store(header.data() + 4, std::uint32_t{told.last});
  store(header.data() + 8, told.number);
  store(header.data() + 16, told.tokens);
  store(header.data() + 24, std::uint64_t{told.encoded.size()});
  payload.insert(payload.end(), header.begin(), header.end());
  payload.insert(payload.end(), told.encoded.begin(), told.encoded.end());
}

Result<std::vector<ToldView>> read_told(BytesView payload, std::uint32_t islands) {
  std::vector<ToldView> all;
  struct Seen {
    std::size_t count = 0;
    std::uint64_t number = 0;
  };
  std::vector<Seen> seen(islands + 1);  // the last is of all together
  while (!payload.empty()) {
    if (payload.size() < kToldHeader) return wrong("ends inside a header");
    const std::byte* header = payload.data();
    ToldView told{load<std::uint32_t>(header),
                  load<std::uint32_t>(header + 4) != 0,
                  load<std::uint64_t>(header + 8),
                  load<std::uint64_t>(header + 16),
                  {}};
    const bool together = told.island == kTogether;
    if (told.island >= islands && !together) return wrong("of no island");
    Seen& of_island = seen[together ? islands : told.island];
    if (of_island.count > 0 && told.number <= of_island.number) return wrong("not in order");
    if (of_island.count == (together ? 1 : kMostTellings)) return wrong("of too many tellings");
    of_island = {of_island.count + 1, told.number};
    const auto bytes = load<std::uint64_t>(header + 24);
    payload = payload.subspan(kToldHeader);
    if (bytes > payload.size()) return wrong("ends inside what an island has told");
    told.encoded = payload.first(bytes);
    payload = payload.subspan(bytes);
    all.push_back(told);
  }
  return all;
}

}  // namespace reef::actors
