#include "runtime/link/channel/fragment.h"

namespace reef::link {

RecordHeader record_header(const Fragment& fragment) {
  return {fragment.abort ? static_cast<std::uint8_t>(kAbort) : std::uint8_t{0}, fragment.number,
          fragment.epoch};
}

std::array<std::byte, kFragmentPrefix> prefix(const Fragment& fragment) {
  std::array<std::byte, kFragmentPrefix> out{};
  store(out.data(), fragment.kind);
  store(out.data() + 2, static_cast<std::uint8_t>(fragment.lane));
  store(out.data() + 4, fragment.header_size);
  store(out.data() + 8, fragment.payload_size);
  store(out.data() + 16, fragment.offset);
  return out;
}

Result<Fragment> parse_fragment(const RecordHeader& header, BytesView body,
                                std::size_t max_payload) {
  const auto wrong = [](std::string what) { return Error{Code::kProto, "", std::move(what)}; };
  if ((header.flags & ~kAbort) != 0) return wrong("unknown fragment flags");
  if (body.size() < kFragmentPrefix) return wrong("a fragment without its prefix");
  const auto lane = load<std::uint8_t>(body.data() + 2);
  if (lane >= kLanes || load<std::uint8_t>(body.data() + 3) != 0) {
    return wrong("a message in no lane");
  }
  Fragment fragment{.number = header.message,
                    .epoch = header.epoch,
                    .abort = header.flags != 0,
                    .kind = load<std::uint16_t>(body.data()),
                    .lane = static_cast<Lane>(lane),
                    .header_size = load<std::uint32_t>(body.data() + 4),
                    .payload_size = load<std::uint64_t>(body.data() + 8),
                    .offset = load<std::uint64_t>(body.data() + 16),
                    .bytes = body.subspan(kFragmentPrefix)};
  if (fragment.number == 0) return wrong("a message without a number");
  if (fragment.header_size > kMaxMessageHeader || fragment.payload_size > max_payload) {
    return wrong("a message of " + std::to_string(fragment.header_size) + " + " +
                 std::to_string(fragment.payload_size) + " bytes; limit " +
                 std::to_string(kMaxMessageHeader) + " + " + std::to_string(max_payload));
  }
  const std::uint64_t size = fragment.message_size();
  if (fragment.offset > size || fragment.bytes.size() > size - fragment.offset) {
    return wrong("a message is longer than it said");
  }
  if (fragment.abort) {
    const bool between = fragment.offset > 0 && fragment.offset < size;
    if (!between || !fragment.bytes.empty()) return wrong("an abort of no part of a message");
  } else if (fragment.bytes.empty() && size > 0) {
    return wrong("an empty fragment");
  }
  return fragment;
}

}  // namespace reef::link
