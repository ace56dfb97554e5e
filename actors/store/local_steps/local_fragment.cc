#include "actors/store/local_steps/local_fragment.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace reef::actors {

std::span<const float> LocalFragment::tell(std::span<const float> weights, bool last,
                                           Coder* coder) {
  Bytes encoded;
  const auto some = [&](std::span<float> progress) {
    encoded = coder->encode_alone(progress, false);
    // Of what is no number this is none, either: the home refuses it.
    static_cast<void>(coder->decode(encoded, false, progress));
  };
  // Nothing is told after the last, so that one counts as if it were told whole.
  const std::span<const float> progress =
      coder == nullptr || last ? progress_.tell(weights) : progress_.tell(weights, some);
  if (coder != nullptr && last) encoded = coder->encode_alone(progress, true);
  ended_ = last;
  pending_.push_back({++told_, std::exchange(tokens_, 0), last, std::move(encoded)});
  return progress;
}

Result<std::vector<const LocalFragment::Telling*>> LocalFragment::met(std::uint64_t number) {
  // One that begins anew goes on with the numbers of the one before it.
  if (pending_.empty() && number > told_) told_ = counted_ = number;
  if (number > told_ || number < counted_)
    return Error{Code::kProto, "telling " + std::to_string(number),
                 "is not what the home can have"};
  met_ = true;
  std::vector<const Telling*> again;
  for (const Telling& telling : pending_) {
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
