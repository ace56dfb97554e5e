#pragma once
// What an end and a relay say to each other on a leg: the sealed link between the two, stream 0,
// one leg for each stream of the pair. See docs/protocol.md.

#include <cstddef>
#include <cstdint>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"
#include "security/crypto/crypto.h"

namespace reef::link::relay {

/// In the flags of each record.
enum class Kind : std::uint8_t {
  kData = 0,    ///< a frame of the pair, which the relay cannot read
  kJoin = 1,    ///< end to relay, first and once: Join
  kJoined = 2,  ///< relay to end: the other is there; one byte, 0
  kTaken = 3,   ///< u32: so much data was delivered, by cost_of()
  kEnded = 4,   ///< relay to end, last: Why
};

/// Whom an end asks for.
struct Join {
  std::uint64_t epoch = 0;
  security::PublicKey far{};  ///< Noise key of the other end
  std::uint16_t stream = 0;   ///< which of the pair's
  bool operator==(const Join&) const = default;
};

/// Why a pair is over, as the relay tells the end that is left.
enum class Why : std::uint8_t {
  kFarewell = 1,  ///< the other end closed its leg
  kLost = 2,      ///< the other end's leg broke
  kAbsent = 3,    ///< the other end did not come in time
  kRefused = 4,   ///< these two are not to be joined here
  kBroken = 5,    ///< the other end broke this protocol
  kDropped = 6,   ///< the other end was revoked, or the job is over
};

enum Limit : std::size_t {
  kJoinSize = 8 + security::kKeySize + 2,
  /// Cost of the data that one end has sent and the other has not taken: what the relay, its
  /// sockets and the other end hold of one direction of one stream. It must fill the line there and
  /// back.
  kWindow = std::size_t{1} << 20,
  kFrameCost = 128,  ///< of a frame, beside its bytes, so that small ones are bounded too
  /// What is taken is told in portions of at least this: not a record for each record. With the
  /// largest frame it stays well below the window, so nobody waits for ever.
  kTellTaken = kWindow / 8,
};

/// What a frame takes of the window.
constexpr std::size_t cost_of(std::size_t frame) { return frame + kFrameCost; }

Bytes encode(const Join& join);
/// kProto for another size, or a stream that cannot be.
Result<Join> read_join(BytesView body);
Bytes encode_taken(std::size_t cost);
/// kProto for another size, less than kTellTaken, or more than `most`.
Result<std::size_t> read_taken(BytesView body, std::size_t most);
Bytes encode(Why why);
/// kProto for another size or an unknown reason.
Result<Why> read_why(BytesView body);

}  // namespace reef::link::relay
