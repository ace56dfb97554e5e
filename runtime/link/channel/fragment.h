#pragma once
// How a message is cut: each fragment is one record and says all there is to know about its
// message, so that it may be the first to arrive.

#include <array>
#include <cstdint>

#include "runtime/base/error.h"
#include "runtime/link/channel/message.h"
#include "runtime/link/record_link.h"

namespace reef::link {

/// The prefix of each fragment's body:
///   kind u16 | lane u8 | zero u8 | header length u32 | payload length u64 | offset u64
/// The record's header has the message's epoch and its number within its lane, from 1. The rest of
/// the body is the part of header|payload that begins at `offset`.
inline constexpr std::size_t kFragmentPrefix = 24;

/// The record's flags. An aborted message ends at `offset`, the number of its bytes that were sent,
/// and the receiver forgets it.
enum FragmentFlag : std::uint8_t { kAbort = 4 };

struct Fragment {
  std::uint64_t number = 0;  ///< of the message in its lane
  std::uint64_t epoch = 0;
  bool abort = false;
  std::uint16_t kind = 0;
  Lane lane = Lane::kControl;
  std::uint32_t header_size = 0;
  std::uint64_t payload_size = 0;
  std::uint64_t offset = 0;
  BytesView bytes = {};  ///< lies in the record's body

  std::uint64_t message_size() const { return header_size + payload_size; }
};

/// What stands before fragment.bytes.
RecordHeader record_header(const Fragment& fragment);
std::array<std::byte, kFragmentPrefix> prefix(const Fragment& fragment);

/// The inverse. kProto for unknown flags, no lane, number 0, a length over kMaxMessageHeader or
/// `max_payload`, bytes that reach beyond the message, none in a message that has some.
Result<Fragment> parse_fragment(const RecordHeader& header, BytesView body,
                                std::size_t max_payload);

}  // namespace reef::link
