#include "ops/nn/pass.h"

#include <algorithm>

#include "ops/autograd/functions.h"
#include "ops/functional/functional.h"

namespace reef::nn {

using ops::DType;
using ops::Tensor;
using ops::Variable;

Variable embed_held(Pass& pass, const Parameter& table, const Tensor& tokens) {
  const Part::Range held = table.part->ranges.front();
  const ops::Shape& shape = tokens.shape();
  Tensor rows = Tensor::empty(ops::Pool::host(), DType::kI32, shape);
  Tensor ours = Tensor::empty(ops::Pool::host(), DType::kBool, {shape[0], shape[1], 1});
  const Tensor here = on_host(pass.context, tokens);
  const auto from = here.values<std::int32_t>();
  const auto row = rows.values<std::int32_t>();
  const auto is_ours = ours.values<bool>();
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::int64_t place = from[i] - held.first;
    is_ours[i] = place >= 0 && place < held.count;
    row[i] = static_cast<std::int32_t>(std::clamp<std::int64_t>(place, 0, held.count - 1));
  }
  const Variable found = ops::embedding(pass.context, pass.tape, ops::to_device(pass.context, rows),
                                        pass.leaf(table.name));
  return ops::where(pass.context, pass.tape, ops::to_device(pass.context, ours), found,
                    ops::constant(ops::zeros(pass.context, found.value.dtype(), {})));
}

}  // namespace reef::nn
