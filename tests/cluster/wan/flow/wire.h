#pragma once
// What atoll-flow's two sides say to each other: one Hello at the start of each connection, "go" to
// begin, and one line of JSON as the result.
//
//   sender                              receiver
//   control: Hello{kControl, n}  ->
//   n x data: Hello{kData}       ->
//                                <-     control: 'g', when all n are there: the clock begins
//   data ...                     ->     counts what arrives between skip and skip + window
//                                <-     control: {"seconds": 20.0, "bytes": [...]}
//
// The receiver counts, since what a sender has handed to its kernel has not arrived.

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>

namespace reef::flow {

enum class Kind : std::uint32_t { kControl = 1, kData = 2 };

inline constexpr std::uint32_t kMostFlows = 256;
inline constexpr std::uint32_t kMostWindowMs = 24 * 3600 * 1000;
inline constexpr char kGo = 'g';
inline constexpr std::size_t kMostResult = 16384;  // 256 counts of at most 20 digits fit

/// In network byte order.
struct Hello {
  static constexpr char kMagic[9] = "atollflw";

  char magic[8];
  std::uint32_t kind;
  std::uint32_t flows;
  std::uint32_t skip_ms;
  std::uint32_t window_ms;

  static Hello make(Kind kind, std::uint32_t flows, std::uint32_t skip_ms,
                    std::uint32_t window_ms) {
    Hello hello{{},
                htonl(static_cast<std::uint32_t>(kind)),
                htonl(flows),
                htonl(skip_ms),
                htonl(window_ms)};
    std::memcpy(hello.magic, kMagic, sizeof hello.magic);
    return hello;
  }
  bool is(Kind wanted) const {
    return std::memcmp(magic, kMagic, sizeof magic) == 0 &&
           ntohl(kind) == static_cast<std::uint32_t>(wanted);
  }
};
static_assert(sizeof(Hello) == 24);

}  // namespace reef::flow
