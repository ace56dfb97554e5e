#include "actors/sync/resume.h"

#include <algorithm>
#include <cstring>

#include "actors/checkpoint/format/checkpoint.h"
#include "runtime/base/log.h"

namespace reef::actors {
namespace {

using checkpoint::Checkpoint;

/// Adds the tensor to `to`, or puts it there.
Status take(const Checkpoint& from, const std::string& name, std::span<float> to, bool add) {
  const checkpoint::TensorView* const view = from.find(name);
  if (view == nullptr || view->dtype != "F32" || view->bytes.size() != to.size_bytes()) {
    return Error{
        Code::kCheckpoint, from.folder().string(),
        "has no '" + name + "' of this model's shape; resume with the model it was written by"};
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    float value;  // files align as they like
    std::memcpy(&value, view->bytes.data() + i * sizeof value, sizeof value);
    to[i] = add ? to[i] + value : value;
  }
  return {};
}

class Resume {
 public:
  Resume(const TaskSetup& setup, const plan::Actor& sync, const Checkpoint& from)
      : setup_(setup), sync_(sync), from_(from) {}

  Status same(const Exchange& exchange, codec::Feedback& feedback) const {
    std::size_t at = 0;
    for (const Gradient& gradient : gradients_of(setup_.model, sync_, exchange)) {
      ATOLL_TRY(
          take(from_, residual_name(gradient, exchange), part(feedback, gradient, at), false));
    }
    if (feedback.warm.empty()) return {};
    return take(from_, warm_name(setup_.plan, sync_, exchange), feedback.warm, false);
  }

  /// Of everything that was remembered of the gradients, what the exchange gives away.
  Status sum(const Exchange& exchange, codec::Feedback& feedback) const {
    std::size_t at = 0;
    for (const Gradient& gradient : gradients_of(setup_.model, sync_, exchange.tied)) {
      ATOLL_ASSIGN(const std::vector<float> whole, remembered(gradient));
      const ops::Shape own = part_of(gradient.shape, exchange.strips, exchange.strip);
      const auto first = whole.begin() + first_of(gradient.shape, exchange.strips, exchange.strip);
      std::ranges::copy(first, first + own.elements(),
                        part(feedback, {gradient.name, own}, at).begin());
    }
    return {};
  }

 private:
  Result<std::vector<float>> remembered(const Gradient& gradient) const {
    const std::vector<std::string> names = from_.names();
    const std::string prefix = gradient.name + std::string(checkpoint::kResidual);
    std::vector<float> whole(static_cast<std::size_t>(gradient.shape.elements()));
    for (auto name = std::lower_bound(names.begin(), names.end(), prefix);
         name != names.end() && name->starts_with(prefix); ++name) {
      ATOLL_ASSIGN(const Exchange of, exchange_named(*name));
      const auto first = static_cast<std::size_t>(first_of(gradient.shape, of.strips, of.strip));
      const auto count =
          static_cast<std::size_t>(part_of(gradient.shape, of.strips, of.strip).elements());
      ATOLL_TRY(take(from_, *name, std::span(whole).subspan(first, count), true));
    }
    return whole;
  }

  static std::span<float> part(codec::Feedback& feedback, const Gradient& gradient,
                               std::size_t& at) {
    const auto elements = static_cast<std::size_t>(gradient.shape.elements());
    at += elements;
    return std::span(feedback.residual).subspan(at - elements, elements);
  }

  const TaskSetup& setup_;
  const plan::Actor& sync_;
  const Checkpoint& from_;
};

}  // namespace

Status resume_feedback(const TaskSetup& setup, const plan::Actor& sync,
                       std::span<const Exchange> exchanges,
                       const std::function<codec::Feedback&(const Exchange&)>& feedback) {
  const bool speaks = sync.replica == 0 && sync.first_layer == 0;
  if (exchanges.empty() && !speaks) return {};
  ATOLL_ASSIGN(const Checkpoint from, Checkpoint::open(setup.job.checkpoints.resume));
  const auto saved = from.description().state.find("feedback");
  if (saved == from.description().state.end()) return {};
  const bool same = *saved == feedback_signature(setup.plan);
  if (speaks && !same) {
    log_warning(from.folder().string() +
                ": what its codecs of gradients had not sent yet was kept for another layout; " +
                (exchanges.empty() ? "this one sends all and leaves it out"
                                   : "it is added up and sent by the first replica"));
  }
  const Resume resume(setup, sync, from);
  for (const Exchange& exchange : exchanges) {
    if (same) {
      ATOLL_TRY(resume.same(exchange, feedback(exchange)));
    } else if (&exchange == &exchanges.front() && sync.replica >> exchange.act == 0) {
      ATOLL_TRY(resume.sum(exchange, feedback(exchange)));
    }
  }
  return {};
}

}  // namespace reef::actors
