#pragma once
// What the actors of a node tell the outside, and how encoded tokens leave a process. The node
// implements both; tests and the simulation implement them in their own way.

#include <cstdint>
#include <string>

#include "runtime/base/error.h"
#include "runtime/base/round.h"
#include "runtime/link/line_meter.h"
#include "runtime/node/letter.h"
#include "runtime/register/token.h"

namespace reef::node {

/// One finished round, as the metrics sink saw it.
struct Progress {
  Round round;
  double loss = 0;           ///< mean nats per token over the round's global batch
  double gradient_norm = 0;  ///< before clipping; 0 in evaluation rounds
  double learning_rate = 0;
  std::uint64_t tokens = 0;    ///< trained tokens in this round, over all replicas
  double evaluation_loss = 0;  ///< in the last round of an evaluation: mean over its rounds; else 0
  bool evaluated = false;
};

/// Thread: any. None of the calls blocks.
class Events {
 public:
  virtual ~Events() = default;
  virtual void progress(const Progress& progress) = 0;
  virtual void checkpoint_written(std::uint64_t step, const std::string& folder) = 0;
  /// The job cannot go on; `actor` is the name in the plan.
  virtual void failed(const std::string& actor, const Error& error) = 0;
  /// Answer to a hold: the loader `actor` has begun rounds up to training step `step`.
  virtual void held(const std::string& actor, std::uint64_t step) = 0;
};

/// The way out of a process for kSend actors, back for the credit of kReceive actors, and to other
/// islands for the outer store.
/// Thread: any. Order: tokens of one edge arrive in order. Failure: a lost peer is reported by the
/// node, not here.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual void send_token(std::uint32_t edge, std::uint64_t sequence, const Token& token) = 0;
  /// One slot of wire edge `edge` is free again.
  virtual void send_credit(std::uint32_t edge) = 0;
  /// What the line under wire edge `edge`, which begins here, gives at the moment.
  virtual link::LineNow line(std::uint32_t edge) const = 0;
  /// To the outer store of island `island`; false, and nothing is sent, while there is no channel
  /// to it. Thread: any. Order: letters to one island arrive in order, or not at all once the
  /// channel is lost.
  virtual bool send_letter(std::uint32_t island, Letter letter) = 0;
};

}  // namespace reef::node
