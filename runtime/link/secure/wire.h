#pragma once
// The sealed channel on the wire: every struct and every limit. See docs/protocol.md.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reef::link::secure {

inline constexpr std::string_view kMagic = "atoll/1";

/// First frame: the preamble in clear, bound by the prologue, then Noise message 1.
/// `magic 7 | version u16 | suite u8 | role u8 | stream u16 | message`. The prologue has the
/// cluster id (32) after the magic, which is therefore proven without being said. Integers in
/// Atoll's own structures are little-endian.

/// Inside each record: `type u8 | flags u8 | stream u16 | message id u64 | epoch u64 | body`.
enum class RecordType : std::uint8_t { kControl = 1, kData = 2, kRekey = 3, kPing = 4, kClose = 5 };

/// The initiator's payload in message 3: `bundle 16 | streams u16 | purpose u8 | epoch u64 |
/// credential`.

/// What the dialler wants a bundle for.
enum class Purpose : std::uint8_t {
  kWork = 0,
  kProbe = 1,
  kRelay = 2,    ///< a leg, runtime/link/relay
  kUcx = 3,      ///< a life line, runtime/link/ucx
  kLetters = 4,  ///< of outer stores; the epoch is their meeting's number
};
inline constexpr Purpose kLastPurpose = Purpose::kLetters;

/// What a session is sealed with, beside X25519 and BLAKE2b. Both ends must mean the same one.
enum class SuiteId : std::uint8_t { kChaChaPoly = 1, kAesGcm = 2 };

/// The stream on which a machine without a credential enrols: XKpsk3, keyed with its token, always
/// with kChaChaPoly, and with zeros for the cluster id, since the machine does not know them yet.
/// The token's id follows in message 1, sealed.
inline constexpr std::uint16_t kEnrolStream = 0xffff;

/// Flags of CLOSE.
enum CloseFlag : std::uint8_t { kGoodbye = 0, kRefusedByPeer = 1 };

enum Limit : std::size_t {
  kVersion = 1,
  kPreambleSize = 13,
  kBundleSize = 16,
  kMaxStreams = 65,  ///< links between two peers: one for control, 64 for data
  kTokenIdSize = 16,
  kHandshakeFrameLimit = 1024,
  kRecordHeaderSize = 20,
  kRecordOverhead = 36,  ///< header and tag
  kFrameLimit = 65535,   ///< ciphertext of one record
  kRekeyRecords = 1u << 20,
};

inline constexpr std::chrono::seconds kHandshakeTime{5};
inline constexpr std::chrono::seconds kRekeyTime{120};
inline constexpr std::chrono::seconds kCloseTime{1};  ///< for CLOSE to leave

}  // namespace reef::link::secure
