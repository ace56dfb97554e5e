#pragma once
// One rank's part in a collective over links: it does the steps of a schedule as messages come and
// go, and after a break goes on where it was instead of from the beginning.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "collectives/algorithms/schedule.h"

namespace reef::collectives {

/// Carries messages between ranks. Whoever owns it notices that a peer is lost, and says so to
/// whoever waits for the operation.
class Courier {
 public:
  virtual ~Courier() = default;
  /// `values` stay as they are until `taken` runs: once the other rank has received the message,
  /// never inline, or never at all when the line breaks before.
  virtual void send(Rank to, std::uint32_t step, std::span<const float> values,
                    std::function<void()> taken) = 0;
};

/// Thread: one at a time, which pays for adding. Order: messages may arrive in any. Memory: the
///   caller's buffer, in place; beside it what has arrived before its turn, and for kExchange what
///   was sent and not yet taken.
/// Failure: none of its own. What is sent again after a break is taken once.
class Operation {
 public:
  /// `buffer`: the rank's, as long as the schedule says, untouched by others until finished().
  Operation(std::shared_ptr<const Schedule> schedule, Rank self, std::span<float> buffer);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// Begins; or goes on with a courier in the place of one whose line broke, and sends again what
  /// nobody has taken. The courier outlives the operation or the next call.
  void run(Courier& courier);
  /// A message has arrived. kProto, naming the rank, for one that no step of the schedule brings;
  /// the operation stays as it was.
  Status received(Rank from, std::uint32_t step, std::span<const float> values);

  /// All received and added up, and all that was sent taken.
  bool finished() const { return left_ == 0; }
  /// Ranks from which something is missing, or who have not taken something, ascending.
  std::vector<Rank> waits_for() const;

 private:
  /// This rank's side of a step: of an exchange there are two.
  struct Half {
    std::uint32_t step;
    Rank peer;
    Range range;
    Action action;
    bool sends;
    std::size_t blockers = 0;               ///< earlier halves that still need the elements
    std::vector<std::size_t> blocked = {};  ///< later ones that wait for this
    bool begun = false, done = false;
    std::vector<float> values = {};  ///< arrived early, or sent as they were
  };

  void add(const Half& half);
  void begin(std::size_t index);
  void send(std::size_t index);
  void apply(Half& half, std::span<const float> values);
  void release(std::size_t index);
  void finish(std::size_t index);
  void pump();

  const std::shared_ptr<const Schedule> schedule_;
  const std::span<float> buffer_;
  Courier* courier_ = nullptr;
  std::vector<Half> halves_;
  std::map<std::uint32_t, std::size_t> arrivals_;  ///< the receiving half of each step
  std::vector<std::size_t> ready_;                 ///< nothing before them needs their elements
  std::size_t left_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< a courier may outlive us
};

}  // namespace reef::collectives
