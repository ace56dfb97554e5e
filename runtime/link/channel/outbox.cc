#include "runtime/link/channel/outbox.h"

#include <algorithm>
#include <utility>

namespace reef::link {
namespace {

Fragment about(const Outbox::Entry& entry) {
  return {.number = entry.number,
          .epoch = entry.message.epoch,
          .kind = entry.message.kind,
          .lane = entry.message.lane,
          .header_size = static_cast<std::uint32_t>(entry.message.header.size()),
          .payload_size = entry.message.payload.size(),
          .offset = entry.sent};
}

}  // namespace

void Outbox::push(Entry entry) {
  lanes_[static_cast<std::size_t>(entry.message.lane)].push_back(std::move(entry));
}

bool Outbox::has(Lane first, Lane last) const {
  return std::any_of(lanes_.begin() + static_cast<int>(first),
                     lanes_.begin() + static_cast<int>(last) + 1,
                     [](const auto& lane) { return !lane.empty(); });
}

Outbox::Cut Outbox::cut(Lane first, Lane last, std::size_t room) {
  const auto lane = std::find_if(lanes_.begin() + static_cast<int>(first),
                                 lanes_.begin() + static_cast<int>(last) + 1,
                                 [](const auto& one) { return !one.empty(); });
  Entry& entry = lane->front();
  if (entry.number == 0) entry.number = ++numbers_[static_cast<std::size_t>(entry.message.lane)];
  Cut cut{entry.id, about(entry), {}};
  const std::array<BytesView, 2> whole{entry.message.header, entry.message.payload.view()};
  std::size_t skip = entry.sent;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t skipped = std::min(skip, whole[i].size());
    skip -= skipped;
    cut.pieces[i] = whole[i].subspan(skipped, std::min(room, whole[i].size() - skipped));
    room -= cut.pieces[i].size();
  }
  entry.sent += cut.size();
  ++entry.leaving;
  if (entry.sent == entry.message.size()) {
    leaving_.emplace(entry.id, std::move(entry));
    lane->pop_front();
  }
  return cut;
}

std::optional<Outbox::Entry> Outbox::left(std::uint64_t id) {
  if (const auto found = leaving_.find(id); found != leaving_.end()) {
    if (--found->second.leaving > 0) return {};
    return std::move(leaving_.extract(found).mapped());
  }
  for (auto& lane : lanes_) {
    if (!lane.empty() && lane.front().id == id) --lane.front().leaving;
  }
  return {};
}

std::optional<Outbox::Entry> Outbox::take_back(std::uint64_t id, Lane lane,
                                               std::optional<Fragment>& abort) {
  // Of one that is cut to the end the peer will have all, whatever we do.
  if (auto leaving = leaving_.extract(id); !leaving.empty()) return std::move(leaving.mapped());
  auto& queue = lanes_[static_cast<std::size_t>(lane)];
  const auto found =
      std::find_if(queue.begin(), queue.end(), [id](const Entry& entry) { return entry.id == id; });
  if (found == queue.end()) return {};
  Entry entry = std::move(*found);
  queue.erase(found);
  if (entry.sent > 0) {
    abort = about(entry);
    abort->abort = true;
  }
  return entry;
}

std::vector<Outbox::Entry> Outbox::take_all() {
  std::vector<Entry> all;
  for (auto& [id, entry] : std::exchange(leaving_, {})) all.push_back(std::move(entry));
  for (auto& lane : std::exchange(lanes_, {})) {
    std::move(lane.begin(), lane.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace reef::link
