#include "runtime/link/relay/wire.h"

#include <algorithm>

#include "runtime/link/secure/wire.h"

namespace reef::link::relay {
namespace {

Error malformed(std::string what) { return {Code::kProto, "leg", std::move(what)}; }

}  // namespace

Bytes encode(const Join& join) {
  Bytes body(kJoinSize);
  store(body.data(), join.epoch);
  std::ranges::copy(join.far, body.begin() + 8);
  store(body.data() + 8 + join.far.size(), join.stream);
  return body;
}

Result<Join> read_join(BytesView body) {
  if (body.size() != kJoinSize) return malformed("a request of another size");
  Join join;
  join.epoch = load<std::uint64_t>(body.data());
  std::ranges::copy(body.subspan(8, join.far.size()), join.far.begin());
  join.stream = load<std::uint16_t>(body.data() + 8 + join.far.size());
  if (join.stream >= secure::kMaxStreams) {
    return malformed("stream " + std::to_string(join.stream) + "; limit " +
                     std::to_string(secure::kMaxStreams));
  }
  return join;
}

Bytes encode_taken(std::size_t cost) {
  Bytes body(4);
  store(body.data(), static_cast<std::uint32_t>(cost));
  return body;
}

Result<std::size_t> read_taken(BytesView body, std::size_t most) {
  if (body.size() != 4) return malformed("credit of another size");
  const std::size_t cost = load<std::uint32_t>(body.data());
  if (cost < kTellTaken) return malformed("credit in too small portions");
  if (cost > most) return malformed("credit for what was not sent");
  return cost;
}

Bytes encode(Why why) { return Bytes(1, static_cast<std::byte>(why)); }

Result<Why> read_why(BytesView body) {
  if (body.size() != 1) return malformed("a reason of another size");
  const auto why = static_cast<Why>(body[0]);
  if (why < Why::kFarewell || why > Why::kDropped) return malformed("an unknown reason");
  return why;
}

}  // namespace reef::link::relay
