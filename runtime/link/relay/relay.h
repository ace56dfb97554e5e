#pragma once
// The node between: joins legs two by two and passes on what it cannot read.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "runtime/link/record_link.h"
#include "runtime/link/relay/wire.h"
#include "security/identity/credential.h"

namespace reef::link::relay {

/// Thread: the executor's, for everything. Order: as sent, each direction by itself. Memory: of
/// each direction of each pair at most kWindow, which it holds the ends to: nobody takes what has
/// not left here, and credit counts once it has left. Legs that are not joined, or not any more,
/// are few, and wait no longer than `patience`.
/// Failure: an end that is lost, leaves, breaks the protocol or is dropped ends its pair alone; the
/// other hears which, as soon as what was sent before has left. Who it is matters: a leg is a
/// sealed link, and `allow` decides about its credential, never about what it says.
class Relay {
 public:
  /// Whether `who` may be joined as it asks; a refusal's reason stays here.
  using Allow = std::function<Status(const security::Credential& who, const Join& join)>;
  using Fallen = std::function<bool(const security::Credential& who)>;
  static constexpr std::size_t kMostUnjoined = 4096;

  Relay(Executor& executor, Duration patience, Allow allow);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// A leg of a peer that has proven to be `who`; nobody has started it.
  void add(std::unique_ptr<RecordLink> leg, const security::Credential& who);
  /// Ends every pair that has an end whom `fallen` names.
  void drop(const Fallen& fallen);

  /// The job of this epoch is over: so are its pairs, and what was counted.
  void end(std::uint64_t epoch);

  std::size_t legs() const { return legs_.size(); }
  /// Cost of all that was sent and is not credited again.
  std::size_t outstanding() const;
  /// Bytes of data passed on since the start, for the job of this epoch.
  std::uint64_t passed_bytes(std::uint64_t epoch) const;

 private:
  using Id = std::uint64_t;
  /// Which leg of which pair: epoch, mine, theirs, stream.
  using Seat = std::tuple<std::uint64_t, security::PublicKey, security::PublicKey, std::uint16_t>;
  struct Leg {
    std::unique_ptr<RecordLink> link;
    security::Credential who;
    std::optional<Seat> seat;     ///< once it has asked
    Id other = 0;                 ///< once it is joined
    std::size_t outstanding = 0;  ///< cost of what it has sent and has no credit for again
    std::size_t takeable = 0;  ///< of that, what has left for the other, which did not take it yet
    bool leaving = false;      ///< it was told why, and goes when that has left
    TimerId timer = 0;
  };

  void on_record(Id id, Kind kind, BytesView body);
  Status take(Id id, Leg& leg, Kind kind, BytesView body);
  Status seat(Id id, Leg& leg, BytesView body);
  void pass(Leg& to, Kind kind, BytesView body, Done done = nullptr,
            Deadline deadline = kNoDeadline);
  Done when_left(Id id, std::function<void(Leg&)> act);
  template <typename Condition>
  void drop_legs(Condition&& fallen);
  void gone(Id id, Why why);
  void dismiss(Id id, Why why);
  void stand_up(Leg& leg);

  Executor& executor_;
  const Duration patience_;
  const Allow allow_;
  std::map<Id, Leg> legs_;
  std::map<Seat, Id> seats_;
  std::size_t joined_ = 0;  ///< legs
  Id next_ = 1;
  std::map<std::uint64_t, std::uint64_t> passed_bytes_;         ///< by epoch
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< tasks may outlive us
};

}  // namespace reef::link::relay
