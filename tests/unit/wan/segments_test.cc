#include "tests/cluster/wan/segments.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace reef::wan {
namespace {

void put16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}
void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16);
  put16(bytes, at + 2, value & 0xffff);
}
std::uint32_t get16(BytesView bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 8 | static_cast<std::uint32_t>(bytes[at + 1]);
}
std::uint32_t get32(BytesView bytes, std::size_t at) {
  return get16(bytes, at) << 16 | get16(bytes, at + 2);
}

/// A super-packet as the kernel makes it: headers once, checksum of the pseudo header alone.
struct Super {
  Offload offload{};
  Bytes bytes;
  std::uint32_t ip_bytes = 20;
  bool tcp = true, v6 = false;

  Super(bool tcp, bool v6, std::uint32_t segment, std::uint32_t payload, std::uint32_t options = 12)
      : ip_bytes(v6 ? 40 : 24), tcp(tcp), v6(v6) {
    const std::uint32_t transport = tcp ? 20 + options : 8;
    bytes.resize(ip_bytes + transport + payload);
    if (v6) {
      bytes[0] = std::byte{0x60};
      put16(bytes, 4, static_cast<std::uint32_t>(bytes.size()) - 40);
      bytes[6] = std::byte{tcp ? std::uint8_t{6} : std::uint8_t{17}};
      for (std::size_t i = 8; i < 40; ++i) bytes[i] = static_cast<std::byte>(i * 7);
    } else {
      bytes[0] = std::byte{0x46};  // 24 bytes: one word of options
      put16(bytes, 2, static_cast<std::uint32_t>(bytes.size()));
      put16(bytes, 4, 0xfffe);  // the id wraps inside the super-packet
      bytes[8] = std::byte{64};
      bytes[9] = std::byte{tcp ? std::uint8_t{6} : std::uint8_t{17}};
      put32(bytes, 12, 0x0a4d0001);
      put32(bytes, 16, 0x0a4d0002);
      put16(bytes, 10,
            static_cast<std::uint16_t>(~fold(add_words(BytesView(bytes).first(ip_bytes)))));
    }
    if (tcp) {
      put32(bytes, ip_bytes + 4, 0xfffffc00);  // the sequence number wraps too
      bytes[ip_bytes + 12] = static_cast<std::byte>(transport / 4 << 4);
      bytes[ip_bytes + 13] = std::byte{0x80 | 0x10 | 0x08 | 0x01};  // CWR ACK PSH FIN
    } else {
      put16(bytes, ip_bytes + 4, 8 + payload);
    }
    const std::size_t check = ip_bytes + (tcp ? 16 : 6);
    put16(bytes, check, fold(pseudo_header(bytes, v6, tcp ? 6 : 17, transport + payload)));
    for (std::uint32_t i = 0; i < payload; ++i) {
      bytes[ip_bytes + transport + i] = static_cast<std::byte>(i * 31 + i / 256);
    }
    offload.flags = Offload::kNeedsChecksum;
    offload.type = tcp ? (v6 ? Offload::kTcp6 : Offload::kTcp4) | Offload::kEcn : Offload::kUdp;
    offload.segment_bytes = static_cast<std::uint16_t>(segment);
    offload.checksum_start = static_cast<std::uint16_t>(ip_bytes);
    offload.checksum_offset = tcp ? 16 : 6;
    offload.header_bytes = static_cast<std::uint16_t>(ip_bytes + transport);
  }

  Shape shape() const { return shape_of(offload, bytes).value(); }
  std::size_t headers() const { return bytes.size() - shape().payload_bytes; }
};

Bytes whole(const Piece& piece) {
  Bytes all = to_bytes(piece.header_view());
  all.insert(all.end(), piece.payload.begin(), piece.payload.end());
  return all;
}

/// Completes the transport checksum as the kernel would, then sums it as a receiver does: 0xffff is
/// right.
std::uint16_t received_sum(Bytes packet, const Offload& offload, bool v6, bool tcp) {
  const std::size_t start = offload.checksum_start;
  put16(packet, start + offload.checksum_offset,
        static_cast<std::uint16_t>(~fold(add_words(BytesView(packet).subspan(start)))));
  const auto bytes = static_cast<std::uint32_t>(packet.size() - start);
  return fold(
      add_words(BytesView(packet).subspan(start), pseudo_header(packet, v6, tcp ? 6 : 17, bytes)));
}

TEST(Segments, ACheckSumOfTheRfcIsFound) {
  // RFC 1071, section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
  const unsigned char words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  const BytesView bytes = std::as_bytes(std::span(words));
  EXPECT_EQ(fold(add_words(bytes)), 0xddf2);
  EXPECT_EQ(fold(add_words(bytes.first(3))), 0xf201);  // an odd byte is the high one of its word
}

TEST(Segments, CountPacketsAndTheirBytesOnTheLine) {
  const Super super(true, false, 1448, 10000);
  const Shape shape = super.shape();
  EXPECT_EQ(shape.count, 7u);
  EXPECT_EQ(shape.header_bytes, 24u + 32u);
  std::uint32_t payload = 0;
  for (std::uint32_t i = 0; i < shape.count; ++i)
    payload += shape.wire_bytes(i) - shape.header_bytes;
  EXPECT_EQ(payload, 10000u);
  EXPECT_EQ(shape.wire_bytes(0), 1448u + 56u);
  EXPECT_EQ(shape.wire_bytes(6), 10000u - 6 * 1448u + 56u);
}

TEST(Segments, APacketWithoutOffloadIsOneAndStaysAsItIs) {
  Bytes packet(84, std::byte{0x45});
  const Offload none{};
  const Shape shape = shape_of(none, packet).value();
  EXPECT_EQ(shape.count, 1u);
  EXPECT_EQ(shape.wire_bytes(0), 84u);
  const Piece piece = cut(none, packet, shape, 0, 1);
  EXPECT_EQ(whole(piece), packet);
  EXPECT_EQ(piece.payload.data(), packet.data());
}

TEST(Segments, AWholeSuperPacketIsNotTouched) {
  const Super super(true, false, 1448, 10000);
  const Piece piece = cut(super.offload, super.bytes, super.shape(), 0, 7);
  EXPECT_EQ(whole(piece), super.bytes);
  EXPECT_EQ(piece.offload.type, super.offload.type);
}

/// Every run of every kind of super-packet, held against what its headers must say.
TEST(Segments, EveryRunHasTheHeadersOfItsPlace) {
  for (const bool tcp : {true, false}) {
    for (const bool v6 : {true, false}) {
      const Super super(tcp, v6, 700, 700 * 5 + 123);
      const Shape shape = super.shape();
      ASSERT_EQ(shape.count, 6u);
      const std::size_t ip = super.ip_bytes, headers = super.headers();
      for (std::uint32_t first = 0; first < shape.count; ++first) {
        for (std::uint32_t count = 1; first + count <= shape.count; ++count) {
          if (count == shape.count) continue;
          SCOPED_TRACE((tcp ? "tcp " : "udp ") + std::string(v6 ? "6 " : "4 ") +
                       std::to_string(first) + "+" + std::to_string(count));
          const bool last = first + count == shape.count;
          const std::uint32_t payload = last ? 700 * (5 - first) + 123 : 700 * count;
          const Piece piece = cut(super.offload, super.bytes, shape, first, count);
          const Bytes packet = whole(piece);
          ASSERT_EQ(packet.size(), headers + payload);
          EXPECT_TRUE(std::equal(packet.begin() + headers, packet.end(),
                                 super.bytes.begin() + headers + 700 * first));
          if (v6) {
            EXPECT_EQ(get16(packet, 4), packet.size() - 40);
          } else {
            EXPECT_EQ(get16(packet, 2), packet.size());
            EXPECT_EQ(get16(packet, 4), (0xfffe + first) & 0xffff);
            EXPECT_EQ(fold(add_words(BytesView(packet).first(ip))), 0xffff);
          }
          if (tcp) {
            EXPECT_EQ(get32(packet, ip + 4), 0xfffffc00u + 700 * first);
            const unsigned flags = 0x10 | (first == 0 ? 0x80 : 0) | (last ? 0x09 : 0);
            EXPECT_EQ(static_cast<unsigned>(packet[ip + 13]), flags);
          } else {
            EXPECT_EQ(get16(packet, ip + 4), 8 + payload);
          }
          EXPECT_EQ(received_sum(packet, piece.offload, v6, tcp), 0xffff);
          EXPECT_EQ(piece.offload.flags, Offload::kNeedsChecksum);
          EXPECT_EQ(piece.offload.header_bytes, headers);
          if (count == 1) {
            EXPECT_EQ(piece.offload.type, Offload::kNone);
          } else {
            EXPECT_EQ(piece.offload.segment_bytes, 700);
            const unsigned ecn = tcp && first == 0 ? Offload::kEcn : 0;
            EXPECT_EQ(piece.offload.type & Offload::kEcn, ecn);
            EXPECT_EQ(shape_of(piece.offload, packet).value().count, count);
          }
        }
      }
    }
  }
}

TEST(Segments, WhatDoesNotFitTogetherIsRefused) {
  const auto refused = [](Super super, auto change) {
    change(super);
    const auto shape = shape_of(super.offload, super.bytes);
    return !shape.ok() && shape.error().code == Code::kProto;
  };
  const Super four(true, false, 1448, 5000), six(true, true, 1448, 5000),
      udp(false, false, 1448, 5000);
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes.clear(); }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes.resize(19); }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes.resize(24 + 19); }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes.resize(24 + 32); }));  // no payload
  EXPECT_TRUE(refused(four, [](Super& s) { s.offload.segment_bytes = 0; }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes[0] = std::byte{0x44}; }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.bytes[24 + 12] = std::byte{0x40}; }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.offload.type = Offload::kTcp6; }));
  EXPECT_TRUE(refused(four, [](Super& s) { s.offload.type = 7; }));
  EXPECT_TRUE(refused(six, [](Super& s) { s.bytes.resize(30); }));
  EXPECT_TRUE(refused(six, [](Super& s) { s.offload.checksum_start = 39; }));
  EXPECT_TRUE(refused(six, [](Super& s) { s.offload.checksum_start = 5039; }));
  EXPECT_TRUE(refused(six, [](Super& s) {
    s.offload.checksum_start = 250;
    s.bytes[262] = std::byte{0xf0};
  }));
  EXPECT_TRUE(refused(udp, [](Super& s) { s.bytes.resize(24 + 7); }));
}

}  // namespace
}  // namespace reef::wan
