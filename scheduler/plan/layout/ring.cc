#include "scheduler/plan/layout/ring.h"

#include <algorithm>

#include "ops/nn/tensor_rank.h"
#include "scheduler/plan/layout/pipeline.h"

namespace reef::plan {
namespace {

/// What is passed on is met in the firing after, so that a round begins with what the last one left
/// over; with the slot that fills meanwhile this keeps a ring from waiting for itself.
constexpr std::uint32_t kPassedSlots = 2;

/// The ring of one layer, among the replicas of one context and on one tensor-parallel rank.
class Ring {
 public:
  Ring(Frame& frame, Place first, std::uint32_t segment)
      : f_(frame), first_(first), segment_(segment), heads_(nn::heads_of(part().spec)) {}

  void connect_forward() {
    enum Act { kOpen, kAttend };
    for_all([&](Place at) {
      join("forward-held", at, pass(at, kOpen), pass(at, kAttend), held_in_forward());
    });
    for_all([&](Place at) {
      join("forward-keys", at, pass(at, kOpen), pass(next(at), kAttend), keys_bytes());
    });
    if (f_.shards.context == 2) return;
    for_all([&](Place at) {
      pass_on("forward-passed", at, pass(at, kAttend), pass(next(at), kAttend),
              Content::kActivation, keys_bytes(), f_.activations);
    });
  }

  void connect_backward() {
    enum Act { kClose, kAttend, kOpen };
    const auto act = [&](Place at, Act which) { return back(at, which); };
    for_all([&](Place at) {
      join("backward-held", at, act(at, kClose), act(at, kOpen), held_in_backward());
      join("backward-turn", at, act(at, kClose), act(at, kAttend), 0);
    });
    for_all([&](Place at) {
      join("backward-keys", at, act(at, kClose), act(next(at), kAttend), keys_bytes());
    });
    for_all(
        [&](Place at) { join_sums("backward-sums", at, act(at, kClose), act(next(at), kAttend)); });
    if (f_.shards.context > 2) {
      for_all([&](Place at) {
        pass_on("backward-passed-keys", at, act(at, kAttend), act(next(at), kAttend),
                Content::kActivation, keys_bytes(), f_.activations);
      });
      for_all([&](Place at) {
        pass_on("backward-passed-sums", at, act(at, kAttend), act(next(at), kAttend),
                Content::kActivationGradient, sums_bytes(), ops::DType::kF32);
      });
    }
    for_all([&](Place at) { join("backward-met", at, act(at, kAttend), act(at, kOpen), 0); });
    for_all(
        [&](Place at) { join_sums("backward-home", at, act(at, kAttend), act(next(at), kOpen)); });
  }

 private:
  const RankPart& part() const { return f_.ranks[first_.rank]; }

  template <typename Visit>
  void for_all(Visit&& visit) const {
    for (std::uint32_t c = 0; c < f_.shards.context; ++c)
      visit(Place{first_.replica + c, first_.stage, first_.rank});
  }
  Place next(Place at) const {
    const std::uint32_t member = (at.replica - first_.replica + 1) % f_.shards.context;
    return {first_.replica + member, at.stage, at.rank};
  }
  ActRef pass(Place at, std::size_t act) const { return f_.shard(at).forward[segment_][act]; }
  ActRef back(Place at, std::size_t act) const { return f_.shard(at).backward[segment_][act]; }

  /// Micro-batches in the ring: as many as their stage lets in, but two keep it busy.
  std::uint32_t slots(Place at) const { return std::min(2u, stash_slots(f_, at)); }

  void join(const char* what, Place at, ActRef from, ActRef to, std::uint64_t bytes) {
    f_.builder.connect({what + f_.of_segment(at, segment_), from, to, Content::kActivation,
                        f_.micro, slots(at), 0, bytes, f_.activations});
  }
  void join_sums(const char* what, Place at, ActRef from, ActRef to) {
    f_.builder.connect({what + f_.of_segment(at, segment_), from, to, Content::kActivationGradient,
                        f_.micro, slots(at), 0, sums_bytes(), ops::DType::kF32});
  }
  void pass_on(const char* what, Place at, ActRef from, ActRef to, Content content,
               std::uint64_t bytes, ops::DType dtype) {
    f_.builder.connect({what + f_.of_segment(at, segment_), from, to, content,
                        f_.micro * (f_.shards.context - 1), kPassedSlots, 1, bytes, dtype});
  }

  /// Channels of all tokens of a shard, times their heads.
  std::uint64_t elements(std::int64_t heads) const {
    return f_.tokens * static_cast<std::uint64_t>(heads * heads_.size);
  }
  std::uint64_t keys_bytes() const {
    return ops::size_of(f_.activations) * elements(2 * heads_.keys);
  }
  std::uint64_t sums_bytes() const { return 4 * elements(2 * heads_.keys); }
  /// The stash grows; results of meetings are added up in f32.
  std::uint64_t held_in_forward() const {
    return f_.segment_size(first_, segment_).stash + 4 * elements(heads_.queries);
  }
  /// The stash shrinks; beside it, what close_backward() gave for the time after, the gradient of
  /// what was attended, and that of queries in f32.
  std::uint64_t held_in_backward() const {
    const StageSize size = f_.segment_size(first_, segment_);
    return size.stash + size.later + (4 + ops::size_of(f_.activations)) * elements(heads_.queries);
  }

  Frame& f_;
  const Place first_;  ///< of the context
  const std::uint32_t segment_;
  const nn::Heads heads_;
};

}  // namespace

void connect_rings(Frame& frame) {
  if (frame.shards.context == 1) return;
  for (std::uint32_t r = 0; r < frame.shards.replicas; r += frame.shards.context) {
    for (std::uint32_t s = 0; s < frame.stages; ++s) {
      const Passes passes = frame.passes(s);
      for (std::uint32_t t = 0; t < frame.shards.ranks; ++t) {
        for (std::uint32_t i = 0; i < passes.segments(); ++i) {
          if (!passes.is_ring(i)) continue;
          Ring ring(frame, {r, s, t}, i);
          ring.connect_forward();
          ring.connect_backward();
        }
      }
    }
  }
}

}  // namespace reef::plan
