#pragma once
// One codec for all replicas, though each sees another line: every replica sends what the codecs
// would cost it along with its gradients, the largest cost of each is what counts, and after the
// last exchange all have the same figures and choose alike, for the next round. Replicas that
// rounded through different codecs would drift apart.

#include <span>
#include <vector>

#include "actors/core/factory.h"
#include "actors/wire/codec_choice.h"

namespace reef::actors {

/// The scalars of a token for these candidates: three numbers each.
std::vector<double> wishes_of(std::span<const codec::Candidate> candidates);
/// The reverse; `wishes` are as many as those of `candidates`, whose codecs stay.
void take_wishes(std::span<const double> wishes, std::span<codec::Candidate> candidates);
/// Takes the larger of both. Failure: kProto when a partner sent another number of them.
Status join_wishes(std::vector<double>& wishes, std::span<const double> received);

}  // namespace reef::actors
