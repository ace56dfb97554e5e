#include "tests/cluster/wan/segments.h"

#include <netinet/in.h>

#include <algorithm>

namespace reef::wan {
namespace {

// Offsets into the headers, as the RFCs draw them.
constexpr std::size_t kIp4Length = 2, kIp4Id = 4, kIp4Checksum = 10, kIp4Addresses = 12;
constexpr std::size_t kIp4Bytes = 20;
constexpr std::size_t kIp6Length = 4, kIp6Addresses = 8, kIp6Bytes = 40;
constexpr std::size_t kTcpSequence = 4, kTcpOffset = 12, kTcpFlags = 13, kTcpChecksum = 16,
                      kTcpBytes = 20;
constexpr std::size_t kUdpLength = 4, kUdpChecksum = 6, kUdpBytes = 8;
constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

std::uint8_t byte_at(BytesView bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint16_t word_at(BytesView bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}
void put_word(std::byte* to, std::uint16_t value) {
  to[0] = static_cast<std::byte>(value >> 8);
  to[1] = static_cast<std::byte>(value);
}

Error unfit(const char* what) { return Error{Code::kProto, "super-packet", what}; }

/// Where the transport header begins. IPv6 extension headers are stepped over by the offload
/// header's word for it.
Result<std::uint32_t> find_transport(const Offload& offload, BytesView packet, bool v6) {
  if (packet.size() < (v6 ? kIp6Bytes : kIp4Bytes)) return unfit("shorter than an IP header");
  if (!v6) {
    const std::uint32_t bytes = (byte_at(packet, 0) & 0x0f) * 4u;
    if (bytes < kIp4Bytes) return unfit("IPv4 header of less than 20 bytes");
    return bytes;
  }
  if ((offload.flags & Offload::kNeedsChecksum) == 0) return std::uint32_t{kIp6Bytes};
  if (offload.checksum_start < kIp6Bytes) return unfit("transport begins inside the IPv6 header");
  return std::uint32_t{offload.checksum_start};
}

void set_ip_lengths(std::byte* headers, const Shape& shape, std::uint32_t first,
                    std::uint32_t bytes) {
  if (shape.v6) {
    put_word(headers + kIp6Length, static_cast<std::uint16_t>(bytes - kIp6Bytes));
    return;
  }
  const BytesView ip(headers, shape.transport_offset);
  put_word(headers + kIp4Length, static_cast<std::uint16_t>(bytes));
  put_word(headers + kIp4Id, static_cast<std::uint16_t>(word_at(ip, kIp4Id) + first));
  put_word(headers + kIp4Checksum, 0);
  put_word(headers + kIp4Checksum, static_cast<std::uint16_t>(~fold(add_words(ip))));
}

void set_tcp(std::byte* tcp, const Shape& shape, std::uint32_t first, bool last) {
  const BytesView view(tcp, kTcpBytes);
  const std::uint32_t sequence =
      (std::uint32_t{word_at(view, kTcpSequence)} << 16 | word_at(view, kTcpSequence + 2)) +
      first * shape.segment_bytes;
  put_word(tcp + kTcpSequence, static_cast<std::uint16_t>(sequence >> 16));
  put_word(tcp + kTcpSequence + 2, static_cast<std::uint16_t>(sequence));
  std::uint8_t flags = byte_at(view, kTcpFlags);
  if (first > 0) flags &= static_cast<std::uint8_t>(~kCwr);
  if (!last) flags &= static_cast<std::uint8_t>(~(kFin | kPsh));
  tcp[kTcpFlags] = static_cast<std::byte>(flags);
}

/// The offload header of segments [first, first + count).
Offload offload_of(const Offload& whole, const Shape& shape, std::uint32_t first,
                   std::uint32_t count) {
  Offload offload{};
  offload.flags = Offload::kNeedsChecksum;
  offload.checksum_start = static_cast<std::uint16_t>(shape.transport_offset);
  offload.checksum_offset = shape.transport == Transport::kTcp ? kTcpChecksum : kUdpChecksum;
  offload.header_bytes = static_cast<std::uint16_t>(shape.header_bytes);
  if (count == 1) return offload;  // Offload::kNone is 0
  offload.type = whole.type;
  if (first > 0) offload.type &= static_cast<std::uint8_t>(~Offload::kEcn);
  offload.segment_bytes = static_cast<std::uint16_t>(shape.segment_bytes);
  return offload;
}

}  // namespace

std::uint32_t Shape::wire_bytes(std::uint32_t index) const {
  return header_bytes + std::min(segment_bytes, payload_bytes - index * segment_bytes);
}

Result<Shape> shape_of(const Offload& offload, BytesView packet) {
  if (packet.empty()) return unfit("no bytes");
  Shape shape;
  const auto bytes = static_cast<std::uint32_t>(packet.size());
  const std::uint8_t type = offload.type & static_cast<std::uint8_t>(~Offload::kEcn);
  if (type == Offload::kNone) {
    shape.payload_bytes = shape.segment_bytes = bytes;
    return shape;
  }
  shape.v6 = byte_at(packet, 0) >> 4 == 6;
  switch (type) {
    case Offload::kTcp4:
    case Offload::kTcp6:
      shape.transport = Transport::kTcp;
      if (shape.v6 != (type == Offload::kTcp6)) return unfit("IP version and offload differ");
      break;
    case Offload::kUdp:
      shape.transport = Transport::kUdp;
      break;
    default:
      return unfit("unknown kind of offload");
  }
  ATOLL_ASSIGN(shape.transport_offset, find_transport(offload, packet, shape.v6));
  const std::size_t least = shape.transport == Transport::kTcp ? kTcpBytes : kUdpBytes;
  if (bytes < shape.transport_offset + least) return unfit("shorter than its headers");
  std::size_t transport_bytes = kUdpBytes;
  if (shape.transport == Transport::kTcp) {
    transport_bytes = (byte_at(packet, shape.transport_offset + kTcpOffset) >> 4) * 4u;
    if (transport_bytes < kTcpBytes) return unfit("TCP header of less than 20 bytes");
  }
  shape.header_bytes = shape.transport_offset + static_cast<std::uint32_t>(transport_bytes);
  if (shape.header_bytes > kMaxHeaders) return unfit("headers of more than 256 bytes");
  if (bytes <= shape.header_bytes) return unfit("no payload to cut");
  if (offload.segment_bytes == 0) return unfit("segments of 0 bytes");
  shape.payload_bytes = bytes - shape.header_bytes;
  shape.segment_bytes = offload.segment_bytes;
  shape.count = (shape.payload_bytes + shape.segment_bytes - 1) / shape.segment_bytes;
  return shape;
}

Piece cut(const Offload& offload, BytesView packet, const Shape& shape, std::uint32_t first,
          std::uint32_t count) {
  Piece piece;
  if (count == shape.count) {
    piece.offload = offload;
    piece.payload = packet;
    return piece;
  }
  const bool last = first + count == shape.count;
  const std::uint32_t begin = first * shape.segment_bytes;
  const std::uint32_t payload = last ? shape.payload_bytes - begin : count * shape.segment_bytes;
  piece.offload = offload_of(offload, shape, first, count);
  piece.header_bytes = shape.header_bytes;
  piece.payload = packet.subspan(shape.header_bytes + begin, payload);
  std::byte* headers = piece.headers.data();
  std::copy_n(packet.data(), shape.header_bytes, headers);

  set_ip_lengths(headers, shape, first, shape.header_bytes + payload);
  std::byte* transport = headers + shape.transport_offset;
  const std::uint32_t transport_bytes = shape.header_bytes - shape.transport_offset + payload;
  const bool tcp = shape.transport == Transport::kTcp;
  if (tcp) {
    set_tcp(transport, shape, first, last);
  } else {
    put_word(transport + kUdpLength, static_cast<std::uint16_t>(transport_bytes));
  }
  const std::uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  put_word(transport + piece.offload.checksum_offset,
           fold(pseudo_header(piece.header_view(), shape.v6, protocol, transport_bytes)));
  return piece;
}

std::uint64_t add_words(BytesView bytes, std::uint64_t sum) {
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) sum += word_at(bytes, at);
  if (at < bytes.size()) sum += static_cast<std::uint64_t>(byte_at(bytes, at)) << 8;
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::uint64_t pseudo_header(BytesView ip, bool v6, std::uint8_t protocol,
                            std::uint32_t transport_bytes) {
  const BytesView addresses = v6 ? ip.subspan(kIp6Addresses, 32) : ip.subspan(kIp4Addresses, 8);
  return add_words(addresses,
                   std::uint64_t{protocol} + (transport_bytes >> 16) + (transport_bytes & 0xffff));
}

}  // namespace reef::wan
