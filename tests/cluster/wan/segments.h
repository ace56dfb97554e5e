#pragma once
// Cuts the super-packets that the kernel hands over (segmentation offload: one set of headers, up
// to 64 KiB) into the packets that a real line would carry, or into shorter super-packets.
//
// Why: moving 64 KiB at a time makes the emulator cheap, but a line loses, queues and delays
// *packets*. So every decision is made for each segment, and what survives travels on in runs of
// neighbours.
//
// Pure functions; no state. Nothing in a packet is believed: each offset is checked against the
// packet's size.

#include <array>
#include <cstdint>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::wan {

/// IPv4 and TCP with all options are 120 bytes; the rest is room for extension headers of IPv6.
inline constexpr std::size_t kMaxHeaders = 256;

/// What stands before each packet on a TUN device with offload: struct virtio_net_hdr. Its own
/// header is not C++.
struct Offload {
  static constexpr std::uint8_t kNeedsChecksum = 1;
  static constexpr std::uint8_t kNone = 0, kTcp4 = 1, kTcp6 = 4, kUdp = 5, kEcn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t type = kNone;
  std::uint16_t header_bytes = 0;
  std::uint16_t segment_bytes = 0;
  std::uint16_t checksum_start = 0;   ///< the transport header
  std::uint16_t checksum_offset = 0;  ///< of the checksum in the transport header
};
static_assert(sizeof(Offload) == 10);

enum class Transport : std::uint8_t { kOther, kTcp, kUdp };

/// How one packet from the kernel falls into packets of the line.
struct Shape {
  Transport transport = Transport::kOther;
  bool v6 = false;
  std::uint32_t transport_offset = 0;
  std::uint32_t header_bytes = 0;   ///< what every segment repeats: IP, extensions, TCP or UDP
  std::uint32_t payload_bytes = 0;  ///< of all segments together
  std::uint32_t segment_bytes = 0;  ///< payload of each segment; the last may have less
  std::uint32_t count = 1;

  /// Bytes of segment `index` on the line, its headers included.
  std::uint32_t wire_bytes(std::uint32_t index) const;
  bool operator==(const Shape&) const = default;
};

/// Reads the shape of a packet as it came from a TUN device. A packet without segmentation offload
/// is one segment, whatever is in it. kProto: the offload header and the packet do not fit
/// together.
Result<Shape> shape_of(const Offload& offload, BytesView packet);

/// A run of neighbouring segments, ready to be written to a TUN device: offload header, headers,
/// payload.
struct Piece {
  Offload offload{};
  std::array<std::byte, kMaxHeaders> headers;
  std::size_t header_bytes = 0;  ///< 0 when the packet is whole: then its headers are in `payload`
  BytesView payload;             ///< points into the packet

  BytesView header_view() const { return {headers.data(), header_bytes}; }
};

/// Segments [first, first + count) of `packet` as one shorter super-packet, or one plain packet:
/// lengths, sequence number, IP id, flags (CWR on the first segment of the packet alone, FIN and
/// PSH on its last) and IP checksum are made right; the transport checksum is left to the kernel,
/// as the offload header says.
Piece cut(const Offload& offload, BytesView packet, const Shape& shape, std::uint32_t first,
          std::uint32_t count);

/// Adds 16-bit big-endian words, an odd last byte padded with zero; the Internet checksum before it
/// is folded.
std::uint64_t add_words(BytesView bytes, std::uint64_t sum = 0);
/// Folds a sum of words into 16 bits, end-around carry included; not complemented.
std::uint16_t fold(std::uint64_t sum);
/// The sum of the pseudo header that TCP and UDP checksums begin with.
std::uint64_t pseudo_header(BytesView ip, bool v6, std::uint8_t protocol,
                            std::uint32_t transport_bytes);

}  // namespace reef::wan
