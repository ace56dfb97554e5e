#include "runtime/link/relay/relay.h"

#include <utility>
#include <vector>

namespace reef::link::relay {
namespace {

/// For the last word to a leg to leave behind what was sent before.
constexpr std::chrono::seconds kLastWordTime{30};

}  // namespace

Relay::Relay(Executor& executor, Duration patience, Allow allow)
    : executor_(executor), patience_(patience), allow_(std::move(allow)) {}

Relay::~Relay() {
  for (auto& [id, leg] : legs_) executor_.cancel(leg.timer);
}

void Relay::add(std::unique_ptr<RecordLink> link, const security::Credential& who) {
  if (legs_.size() - joined_ >= kMostUnjoined) return;
  const Id id = next_++;
  Leg& leg = legs_[id];
  leg.link = std::move(link);
  leg.who = who;
  leg.timer = executor_.at(executor_.clock().now() + patience_, [this, id] {
    legs_.at(id).timer = 0;
    dismiss(id, Why::kAbsent);
  });
  // The links are ours, and call nobody once they are destroyed.
  leg.link->start_records(
      [this, id](const RecordHeader& header, BytesView body) {
        on_record(id, static_cast<Kind>(header.flags), body);
      },
      [this, id](const Error& why) {
        gone(id, why.code == Code::kClosed ? Why::kFarewell : Why::kLost);
      });
}

void Relay::on_record(Id id, Kind kind, BytesView body) {
  Leg& leg = legs_.at(id);
  if (leg.leaving) return;
  if (!take(id, leg, kind, body).ok()) gone(id, Why::kBroken);
}

/// An Error for what no honest end sends.
Status Relay::take(Id id, Leg& leg, Kind kind, BytesView body) {
  const Error wrong{Code::kProto, leg.who.name, "a record out of place on a leg"};
  if (kind == Kind::kJoin && !leg.seat) return seat(id, leg, body);
  if (leg.other == 0) return wrong;
  Leg& other = legs_.at(leg.other);
  if (kind == Kind::kData) {
    const std::size_t cost = cost_of(body.size());
    leg.outstanding += cost;
    if (leg.outstanding > kWindow) return wrong;
    passed_bytes_[std::get<0>(*leg.seat)] += body.size();
    pass(other, kind, body, when_left(id, [cost](Leg& from) { from.takeable += cost; }));
    return {};
  }
  if (kind != Kind::kTaken) return wrong;
  ATOLL_ASSIGN(const std::size_t cost, read_taken(body, other.takeable));
  other.takeable -= cost;
  pass(other, kind, body, when_left(leg.other, [cost](Leg& to) { to.outstanding -= cost; }));
  return {};
}

/// Does something to a leg, if it is still there, once what is passed on has left.
Done Relay::when_left(Id id, std::function<void(Leg&)> act) {
  return [this, id, act = std::move(act), alive = std::weak_ptr(alive_)](const Status& status) {
    if (!status.ok() || alive.expired()) return;
    if (const auto found = legs_.find(id); found != legs_.end()) act(found->second);
  };
}

std::uint64_t Relay::passed_bytes(std::uint64_t epoch) const {
  const auto found = passed_bytes_.find(epoch);
  return found == passed_bytes_.end() ? 0 : found->second;
}

Status Relay::seat(Id id, Leg& leg, BytesView body) {
  ATOLL_ASSIGN(const Join join, read_join(body));
  const Seat mine{join.epoch, leg.who.noise_key, join.far, join.stream};
  const Seat theirs{join.epoch, join.far, leg.who.noise_key, join.stream};
  if (!allow_(leg.who, join).ok() || mine == theirs || !seats_.emplace(mine, id).second) {
    return dismiss(id, Why::kRefused), Status();
  }
  leg.seat = mine;
  const auto found = seats_.find(theirs);
  if (found == seats_.end()) return {};
  Leg& other = legs_.at(found->second);
  leg.other = found->second;
  other.other = id;
  joined_ += 2;
  const Bytes nothing(1);
  for (Leg* one : {&leg, &other}) {
    executor_.cancel(one->timer);
    pass(*one, Kind::kJoined, nothing);
  }
  return {};
}

void Relay::pass(Leg& to, Kind kind, BytesView body, Done done, Deadline deadline) {
  to.link->send_record({static_cast<std::uint8_t>(kind), 0, 0}, {&body, 1}, deadline,
                       std::move(done));
}

/// The leg is over, and its other end hears why.
void Relay::gone(Id id, Why why) {
  const auto node = legs_.extract(id);  // its link goes last, since it may be the caller
  Leg& leg = node.mapped();
  const Id other = leg.other;
  stand_up(leg);
  if (other != 0) dismiss(other, why);
}

/// Tells a leg why its pair is over and lets it go once that has left.
void Relay::dismiss(Id id, Why why) {
  Leg& leg = legs_.at(id);
  stand_up(leg);
  leg.leaving = true;
  const auto let_go = [this, id, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) legs_.erase(id);
  };
  pass(
      leg, Kind::kEnded, encode(why),
      [this, let_go, alive = std::weak_ptr(alive_)](const Status&) {
        if (!alive.expired()) executor_.post(let_go);
      },
      executor_.clock().now() + kLastWordTime);
}

/// It has no place in a pair any more.
void Relay::stand_up(Leg& leg) {
  if (std::exchange(leg.other, 0) != 0) --joined_;
  executor_.cancel(leg.timer);
  if (leg.seat) seats_.erase(*leg.seat);
  leg.seat.reset();
}

std::size_t Relay::outstanding() const {
  std::size_t sum = 0;
  for (const auto& [id, leg] : legs_) sum += leg.outstanding;
  return sum;
}

template <typename Condition>
void Relay::drop_legs(Condition&& fallen) {
  std::vector<Id> ids;
  for (const auto& [id, leg] : legs_) {
    if (fallen(leg)) ids.push_back(id);
  }
  for (const Id id : ids) {
    if (legs_.contains(id)) gone(id, Why::kDropped);
  }
}

void Relay::drop(const Fallen& fallen) {
  drop_legs([&fallen](const Leg& leg) { return fallen(leg.who); });
}

void Relay::end(std::uint64_t epoch) {
  drop_legs([epoch](const Leg& leg) { return leg.seat && std::get<0>(*leg.seat) == epoch; });
  passed_bytes_.erase(epoch);
}

}  // namespace reef::link::relay
