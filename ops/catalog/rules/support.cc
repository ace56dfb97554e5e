#include <algorithm>
#include <string>

#include "ops/catalog/rules.h"

namespace reef::ops {

Result<Signature> signature(std::initializer_list<TensorSpec> outputs) {
  Result<Signature> result(std::in_place);
  Signature& made = *result;
  for (const TensorSpec& output : outputs) made.outputs[made.count++] = output;
  return result;
}

Error misfit(Op op, Specs in, std::string_view rule) {
  std::string what(rule);
  for (std::size_t i = 0; i < in.size(); ++i) {
    what += (i == 0 ? "; given " : " ") + std::string(name_of(in[i]->dtype)) + in[i]->shape.text();
  }
  return {Code::kTensor, std::string(name_of(op)), what};
}

bool all_floating(Specs in) {
  if (in.empty() || !is_floating(in[0]->dtype)) return false;
  return std::all_of(in.begin(), in.end(),
                     [in](const TensorSpec* spec) { return spec->dtype == in[0]->dtype; });
}

Result<Shape> broadcast(Op op, Specs in, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const std::size_t rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t left = i < a.rank() ? a[a.rank() - 1 - i] : 1;
    const std::int64_t right = i < b.rank() ? b[b.rank() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1) {
      return misfit(op, in, "shapes do not broadcast against each other");
    }
    extents[rank - 1 - i] = left == 1 ? right : left;
  }
  return Shape::make({extents.data(), rank});
}

}  // namespace reef::ops
