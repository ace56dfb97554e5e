#pragma once
// Messages of a collective on the channels to the other ranks.

#include <map>
#include <memory>
#include <vector>

#include "collectives/wide/operation.h"
#include "runtime/link/channel/channel.h"

namespace reef::collectives {

/// A message is `word u32 | step u32` and, for values, a payload of fp32, little-endian.
/// Thread: the channels' executor. Memory: nothing is copied: a channel reads the operation's
///   elements as it sends them. Failure: a channel's errors are its owner's to see; what was not
///   taken then is sent again by another courier (Operation::run()).
class ChannelCourier final : public Courier {
 public:
  /// `peers` by rank, the own one null; they outlive the courier. `kind`: of all its messages.
  /// `owner` keeps the operation and its buffer alive as long as a channel may read them.
  ChannelCourier(std::vector<link::Channel*> peers, std::uint16_t kind,
                 std::shared_ptr<const void> owner);

  void send(Rank to, std::uint32_t step, std::span<const float> values,
            std::function<void()> taken) override;
  /// A message of this kind from `from`. kProto, naming the rank, for what no courier sends and
  /// what the operation does not expect.
  Status received(Rank from, const link::Message& message, Operation& operation);

 private:
  enum class Word : std::uint32_t { kValues = 0, kTaken = 1 };
  void say(Rank to, Word word, std::uint32_t step, link::Payload payload);

  const std::vector<link::Channel*> peers_;
  const std::uint16_t kind_;
  const std::shared_ptr<const void> owner_;
  std::map<std::pair<Rank, std::uint32_t>, std::function<void()>> untaken_;
};

}  // namespace reef::collectives
