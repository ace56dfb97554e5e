#include "collectives/wide/channel_courier.h"

#include <bit>

namespace reef::collectives {
namespace {

static_assert(std::endian::native == std::endian::little, "elements travel as they lie in memory");

constexpr std::size_t kHeader = 8;

}  // namespace

ChannelCourier::ChannelCourier(std::vector<link::Channel*> peers, std::uint16_t kind,
                               std::shared_ptr<const void> owner)
    : peers_(std::move(peers)), kind_(kind), owner_(std::move(owner)) {}

void ChannelCourier::send(Rank to, std::uint32_t step, std::span<const float> values,
                          std::function<void()> taken) {
  untaken_[{to, step}] = std::move(taken);
  const BytesView bytes(reinterpret_cast<const std::byte*>(values.data()), values.size_bytes());
  say(to, Word::kValues, step, link::Payload(owner_, bytes));
}

void ChannelCourier::say(Rank to, Word word, std::uint32_t step, link::Payload payload) {
  link::Message message;
  message.kind = kind_;
  message.lane = word == Word::kTaken ? link::Lane::kControl : link::Lane::kGradient;
  message.header.resize(kHeader);
  store(message.header.data(), static_cast<std::uint32_t>(word));
  store(message.header.data() + 4, step);
  message.payload = std::move(payload);
  peers_[to]->send(std::move(message), kNoDeadline, nullptr);
}

Status ChannelCourier::received(Rank from, const link::Message& message, Operation& operation) {
  const Error wrong{Code::kProto, "rank " + std::to_string(from), "sent what no courier sends"};
  const BytesView payload = message.payload.view();
  if (message.header.size() != kHeader || payload.size() % sizeof(float) != 0) return wrong;
  const auto word = static_cast<Word>(load<std::uint32_t>(message.header.data()));
  const auto step = load<std::uint32_t>(message.header.data() + 4);
  if (word == Word::kTaken) {
    const auto taken = untaken_.extract({from, step});
    if (taken.empty() || !payload.empty()) return wrong;
    taken.mapped()();
    return {};
  }
  if (word != Word::kValues) return wrong;
  // A channel lays a payload behind this header, in memory that is aligned for anything.
  const std::span values(reinterpret_cast<const float*>(payload.data()),
                         payload.size() / sizeof(float));
  ATOLL_TRY(operation.received(from, step, values));
  say(from, Word::kTaken, step, {});
  return {};
}

}  // namespace reef::collectives
