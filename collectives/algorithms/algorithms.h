#pragma once
// The algorithms of collectives, each a function from who takes part to a schedule. All work for
// any number of ranks, and for any number of elements, none included, unless said otherwise.
//
// Sources: Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in
// MPICH" (2005); Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms" (2009); Goyal et
// al., "Accurate, Large Minibatch SGD" (2017) for hierarchies.

#include <span>
#include <vector>

#include "collectives/algorithms/schedule.h"

namespace reef::collectives {

inline constexpr std::size_t kEveryMember = ~std::size_t{0};

/// Ranks 0 .. world-1.
std::vector<Rank> ranks_of(Rank world);

// N: the elements of one buffer, W: the ranks. `chunk`: the most elements of one message.

/// Every rank ends with the sum of all buffers. Ranks pass parts of the sum around the ring in this
/// order, then the finished parts: 2 (W-1) messages one after the other, 2 N (W-1)/W elements over
/// each line of the ring. Not reproducible: each part is added in an order of its own.
Schedule ring_all_reduce(const std::vector<Rank>& order, std::uint64_t elements,
                         std::uint64_t chunk);

/// The same for a power of two ranks: partners at distance 1, 2, 4, ... exchange halves of what
/// they still add up, then double what is finished on the way back. 2 log2 W messages one after the
/// other, 2 N (W-1)/W elements sent by each. Reproducible: distances that grow add along the leaf
/// tree. (Halving by distances that shrink would not.)
Schedule halving_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk);

/// The same for a power of two ranks: partners at distance 1, 2, 4, ... exchange all they have.
/// log2 W messages one after the other, N log2 W elements sent by each. Reproducible. For what is
/// so short that only the number of messages counts.
Schedule doubling_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk);

/// The same: up a binomial tree to rank 0 and down again. 2 log2 W messages one after the other, N
/// elements a line and way. Reproducible for a power of two.
Schedule tree_all_reduce(Rank world, std::uint64_t elements, std::uint64_t chunk);

/// The same for groups of ranks with slow lines between them: each group adds up inside, a part at
/// each of its first `gates` members (of the smallest group there may be fewer); members with the
/// same part exchange it across; the group spreads the result. With two groups N elements cross
/// each way, whatever their sizes. One gate keeps the slow line to a single flow, which fills it
/// more evenly; many share out the work where one could not fill it. `groups` name each rank once.
/// Not reproducible.
Schedule hierarchical_all_reduce(const std::vector<std::vector<Rank>>& groups,
                                 std::uint64_t elements, std::uint64_t chunk,
                                 std::size_t gates = kEveryMember);

/// Rank r ends with the sum of part r of all buffers (part_of()); elsewhere its buffer holds what
/// is left of the work. Around the ring in this order.
Schedule ring_reduce_scatter(const std::vector<Rank>& order, std::uint64_t elements,
                             std::uint64_t chunk);

/// Rank r begins with part r of its buffer; all end with all parts. Around the ring in this order.
Schedule ring_all_gather(const std::vector<Rank>& order, std::uint64_t elements,
                         std::uint64_t chunk);

/// All end with the buffer of `root`, down a binomial tree.
Schedule broadcast(Rank world, Rank root, std::uint64_t elements, std::uint64_t chunk);

/// counts[r][s]: the elements that rank r has for rank s. A buffer is what a rank sends, rank by
/// rank, and behind it what it receives, rank by rank; its part for itself is not moved. In W-1
/// rounds in which rank r sends to r + 1, r + 2, ..., so that no rank is sent to by all at once.
Schedule all_to_all(const std::vector<std::vector<std::uint64_t>>& counts, std::uint64_t chunk);
/// Where, in the buffer of `to`, the elements of `from` arrive.
Range all_to_all_target(const std::vector<std::vector<std::uint64_t>>& counts, Rank from, Rank to);

}  // namespace reef::collectives
