#include "actors/store/local_steps/local_fragment.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace reef::actors {

const Told& LocalFragment::tell(std::span<const float> weights, bool last, Coder& coder) {
  Bytes encoded;
  const auto some = [&](std::span<float> progress) {
    encoded = coder.encode(progress, false);
    // Of what is no number this is none, either: the home refuses it.
    static_cast<void>(coder.decode(encoded, false, progress));
  };
  // Nothing is told after the last, so that one counts as if it were told whole.
  const std::span<const float> progress =
      last ? progress_.tell(weights) : progress_.tell(weights, some);
  if (last) encoded = coder.encode(progress, true);
  ended_ = last;
  return pending_.emplace_back(
      Told{island_, last, ++told_, std::exchange(tokens_, 0), std::move(encoded)});
}

Result<std::vector<const Told*>> LocalFragment::met(std::uint64_t number) {
  // One that begins anew goes on with the numbers of the one before it.
  if (pending_.empty() && number > told_) told_ = counted_ = number;
  if (number > told_ || number < counted_)
    return Error{Code::kProto, "telling " + std::to_string(number),
                 "is not what the home can have"};
  met_ = true;
  std::vector<const Told*> again;
  for (const Told& telling : pending_) {
    if (telling.number > number) again.push_back(&telling);
  }
  return again;
}

Result<LocalFragment::Taken> LocalFragment::take(std::uint64_t version, std::uint64_t included,
                                                 std::span<const float> update) {
  if (version <= version_) return Taken::kOld;
  if (version != version_ + 1) return Taken::kGap;
  return count(version, included, update);
}

Result<LocalFragment::Taken> LocalFragment::take_snapshot(std::uint64_t version,
                                                          std::uint64_t included,
                                                          std::span<const float> global) {
  if (version == version_) return Taken::kOld;
  std::vector<float> update = progress_.global();
  std::ranges::transform(global, update, update.begin(), std::minus<>());
  return count(version, included, update);
}

Result<LocalFragment::Taken> LocalFragment::count(std::uint64_t version, std::uint64_t included,
                                                  std::span<const float> update) {
  // Of one that has begun anew since, the home may count what its predecessor told.
  const std::uint64_t first = told_ - pending_.size();
  const std::uint64_t known = std::max(included, first);
  if (known > told_)
    return Error{Code::kProto, "update " + std::to_string(version), "includes what was never told"};
  const std::size_t now = static_cast<std::size_t>(known - first);
  progress_.take(update, now, change_);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(now));
  counted_ = known;
  version_ = version;
  if (std::exchange(handed_out_, false)) std::ranges::fill(correction_, 0.0f);
  std::ranges::transform(correction_, change_, correction_.begin(), std::plus<>());
  corrects_ = true;
  return Taken::kDone;
}

std::span<const float> LocalFragment::correction() {
  corrects_ = false;
  handed_out_ = true;
  return correction_;
}

}  // namespace reef::actors
