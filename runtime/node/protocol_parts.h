#pragma once
// What protocol*.cc share: between Cap'n Proto and the values of protocol.h. Private to
// runtime/node.

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <optional>
#include <utility>

#include "configs/schema/wire.capnp.h"
#include "runtime/base/utf8.h"
#include "runtime/link/secure/wire.h"
#include "runtime/node/protocol.h"

namespace reef::node {

/// Words a reader may traverse: a header of at most kMaxMessageHeader bytes cannot need more, so
/// pointer loops and amplification end at once.
inline constexpr capnp::ReaderOptions kLimits{.traversalLimitInWords = link::kMaxMessageHeader,
                                              .nestingLimit = 8};

template <typename Struct, typename Fill>
link::Message build(Kind kind, link::Lane lane, Fill&& fill) {
  capnp::MallocMessageBuilder builder;
  fill(builder.initRoot<Struct>());
  const auto words = capnp::messageToFlatArray(builder);
  const auto bytes = words.asBytes();
  link::Message message;
  message.kind = static_cast<std::uint16_t>(kind);
  message.lane = lane;
  const auto* data = reinterpret_cast<const std::byte*>(bytes.begin());
  message.header.assign(data, data + bytes.size());
  return message;
}

/// Reads the header as `Struct` and hands it to `take`. Cap'n Proto reports by exception; it ends
/// here.
template <typename Struct, typename T, typename Take>
Result<T> parse(const link::Message& message, Take&& take) {
  if (message.header.empty() || message.header.size() % sizeof(capnp::word) != 0) {
    return Error{Code::kProto, "message", "a header that is not whole words"};
  }
  // A copy of its own, because Cap'n Proto wants words aligned.
  auto words = kj::heapArray<capnp::word>(message.header.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), message.header.data(), message.header.size());
  std::optional<Result<T>> result;
  auto failure = kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader reader(words, kLimits);
    result.emplace(take(reader.getRoot<Struct>()));
  });
  if (failure != nullptr || !result)
    return Error{Code::kProto, "message", "a header that cannot be read"};
  return std::move(*result);
}

inline std::string text(capnp::Text::Reader reader) { return {reader.begin(), reader.size()}; }
inline Bytes bytes(capnp::Data::Reader reader) {
  const auto* data = reinterpret_cast<const std::byte*>(reader.begin());
  return {data, data + reader.size()};
}

inline void put(wire::Round::Builder to, const Round& round) {
  to.setNumber(round.number);
  to.setStep(round.step);
  to.setEvaluation(round.evaluation);
  to.setSnapshot(round.snapshot);
  to.setLast(round.last);
  to.setSettling(round.settling);
}

inline Round get(wire::Round::Reader from) {
  return {from.getNumber(),   from.getStep(), from.getEvaluation(),
          from.getSnapshot(), from.getLast(), from.getSettling()};
}

inline void put(wire::Peer::Builder to, const Peer& peer) {
  to.setName(peer.name);
  to.setHost(peer.host);
  to.setPort(peer.port);
  to.setNoiseKey({reinterpret_cast<const kj::byte*>(peer.noise_key.data()), peer.noise_key.size()});
  to.setStreams(peer.streams);
  to.setCongestion(peer.congestion);
}

inline Result<Peer> get(wire::Peer::Reader from) {
  if (from.getStreams() == 0 || from.getStreams() >= link::secure::kMaxStreams) {
    return Error{Code::kProto, "message", "a peer with an impossible number of streams"};
  }
  return Peer{text(from.getName()),      text(from.getHost()), from.getPort(),
              bytes(from.getNoiseKey()), from.getStreams(),    text(from.getCongestion())};
}

/// Of each part of an error: a report that does not fit a header would not leave, and a failure
/// that nobody hears of is worse than one cut short.
inline constexpr std::size_t kLongestErrorText = 4096;

inline void put(wire::Failure::Builder to, const FailureReport& report) {
  to.setEpoch(report.epoch);
  to.setCode(static_cast<std::uint16_t>(report.error.code));
  to.setWhere(printable(report.error.where, kLongestErrorText));
  to.setWhat(printable(report.error.what, kLongestErrorText));
}

inline Result<FailureReport> get(wire::Failure::Reader from) {
  if (from.getCode() > static_cast<std::uint16_t>(Code::kInternal)) {
    return Error{Code::kProto, "message", "unknown error code"};
  }
  return FailureReport{
      from.getEpoch(),
      {static_cast<Code>(from.getCode()), text(from.getWhere()), text(from.getWhat())}};
}

}  // namespace reef::node
