#include "actors/optimize/starting_values.h"

#include <algorithm>
#include <utility>

#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {
namespace {

using ops::Tensor;
using plan::HeldSlice;

/// With these weights and moments of zero.
nn::TrainedParameter begin(ops::Context& context, const HeldSlice& held, const Tensor& weights) {
  const ops::Shape shape = shape_of(held);
  return nn::trained(context, held.parameter, ops::to_device(context, weights.reshape(shape)),
                     ops::zeros(context, ops::DType::kF32, shape),
                     ops::zeros(context, ops::DType::kF32, shape));
}

/// What somebody saved in `folder`.
Result<Tensor> saved(const HeldSlice& held, const checkpoint::HuggingFaceModel& model,
                     const std::string& folder) {
  const nn::Parameter& parameter = held.parameter;
  const checkpoint::TensorView* view = model.find(parameter.name);
  if (!checkpoint::holds(view, parameter)) {
    return Error{Code::kCheckpoint, folder,
                 "has no '" + parameter.name + "' of the shape that its config.json had"};
  }
  const Tensor whole =
      Tensor::empty(ops::Pool::host(), ops::DType::kF32, {nn::whole_elements(parameter)});
  checkpoint::read_f32(*view, whole.values<float>());
  Tensor slice = Tensor::empty(ops::Pool::host(), ops::DType::kF32, {held.slice.count});
  nn::for_each_run(parameter, held.slice.first, held.slice.count,
                   [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                     std::ranges::copy(whole.slice(first, count).values<float>(),
                                       slice.slice(place, count).values<float>().begin());
                   });
  return slice;
}

/// What a checkpoint has under `name` of a slice.
Status read(const checkpoint::Checkpoint& from, const std::string& name, const HeldSlice& held,
            std::span<float> to) {
  const auto elements = static_cast<std::uint64_t>(nn::whole_elements(held.parameter));
  Status status;
  nn::for_each_run(held.parameter, held.slice.first, held.slice.count,
                   [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                     if (!status.ok()) return;
                     status = from.read(name, elements, static_cast<std::uint64_t>(first),
                                        to.subspan(static_cast<std::size_t>(place),
                                                   static_cast<std::size_t>(count)));
                   });
  return status;
}

/// Checkpoints hold f32 whatever the precision, so that a run goes on with the same bits.
Result<nn::TrainedParameter> restore(ops::Context& context, const HeldSlice& held,
                                     const checkpoint::Checkpoint& from) {
  const nn::Parameter& parameter = held.parameter;
  Tensor master, mean, square;
  for (auto [suffix, tensor] :
       {std::pair{std::string_view(), &master}, std::pair{checkpoint::kAdamM, &mean},
        std::pair{checkpoint::kAdamV, &square}}) {
    const Tensor values = Tensor::empty(ops::Pool::host(), ops::DType::kF32, shape_of(held));
    ATOLL_TRY(read(from, parameter.name + std::string(suffix), held, values.values<float>()));
    *tensor = ops::to_device(context, values);
  }
  return nn::trained(context, parameter, master, mean, square);
}

}  // namespace

ops::Shape shape_of(const HeldSlice& held) {
  const bool whole = held.slice.count == held.parameter.elements();
  return whole ? ops::Shape(held.parameter.shape) : ops::Shape{held.slice.count};
}

Result<StartingValues> StartingValues::open(const job::Job& job) {
  StartingValues values(job);
  if (!job.checkpoints.resume.empty()) {
    ATOLL_ASSIGN(values.checkpoint_, checkpoint::Checkpoint::open(job.checkpoints.resume));
  } else if (!job.model_from.empty()) {
    values.folder_ = job.model_from;
    ATOLL_ASSIGN(values.model_, checkpoint::load_folder(job.model_from));
  }
  return values;
}

Result<nn::TrainedParameter> StartingValues::of(ops::Context& context,
                                                const HeldSlice& held) const {
  if (checkpoint_) {
    ATOLL_ASSIGN(auto restored, restore(context, held, *checkpoint_));
    return anew_ ? begin(context, held, restored.master) : std::move(restored);
  }
  if (model_) {
    ATOLL_ASSIGN(const Tensor taken, saved(held, *model_, folder_));
    return begin(context, held, taken);
  }
  return begin(context, held,
               nn::initial_slice(held.parameter, seed_, held.slice.first, held.slice.count));
}

Result<std::vector<nn::TrainedParameter>> starting_values(ops::Context& context,
                                                          const job::Job& job,
                                                          std::span<const HeldSlice> slices) {
  ATOLL_ASSIGN(const StartingValues values, StartingValues::open(job));
  std::vector<nn::TrainedParameter> trained;
  for (const HeldSlice& held : slices) {
    ATOLL_ASSIGN(trained.emplace_back(), values.of(context, held));
  }
  return trained;
}

}  // namespace reef::actors
