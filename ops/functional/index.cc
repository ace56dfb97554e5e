#include "ops/functional/index.h"

#include "ops/functional/call.h"

namespace reef::ops {

namespace {

Attributes along(std::size_t axis, std::int64_t extent = 0) {
  Attributes attributes;
  attributes.axis = static_cast<std::uint8_t>(axis);
  attributes.rows = extent;
  return attributes;
}

}  // namespace

Tensor embedding(Context& context, const Tensor& tokens, const Tensor& table,
                 const Tensor& positions) {
  if (!positions.defined()) return call_one(context, Op::kEmbedding, std::array{tokens, table});
  return call_one(context, Op::kEmbedding, std::array{tokens, table, positions});
}

EmbeddingGrad embedding_grad(Context& context, const Tensor& tokens, const Tensor& grad,
                             std::int64_t vocabulary, std::int64_t positions) {
  Attributes attributes;
  attributes.rows = vocabulary;
  attributes.columns = positions;
  const std::array in{tokens, grad};
  if (positions == 0) return {call_one(context, Op::kEmbeddingGrad, in, attributes), {}};
  auto out = call<2>(context, Op::kEmbeddingGrad, in, attributes);
  return {std::move(out[0]), std::move(out[1])};
}

Tensor index_select(Context& context, const Tensor& x, std::size_t axis, const Tensor& index) {
  return call_one(context, Op::kIndexSelect, std::array{x, index}, along(axis));
}

Tensor index_add(Context& context, const Tensor& index, const Tensor& source, std::size_t axis,
                 std::int64_t extent) {
  return call_one(context, Op::kIndexAdd, std::array{index, source}, along(axis, extent));
}

Tensor gather(Context& context, const Tensor& x, std::size_t axis, const Tensor& index) {
  return call_one(context, Op::kGather, std::array{x, index}, along(axis));
}

Tensor scatter_add(Context& context, const Tensor& index, const Tensor& source, std::size_t axis,
                   std::int64_t extent) {
  return call_one(context, Op::kScatterAdd, std::array{index, source}, along(axis, extent));
}

TopK top_k(Context& context, const Tensor& x, std::int64_t k) {
  auto out = call<2>(context, Op::kTopK, std::array{x}, along(0, k));
  return {std::move(out[0]), std::move(out[1])};
}

Tensor arg_max(Context& context, const Tensor& x) {
  return call_one(context, Op::kArgMax, std::array{x});
}

}  // namespace reef::ops
