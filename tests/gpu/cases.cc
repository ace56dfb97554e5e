// Products, indices and images.

#include "tests/gpu/compare.h"

namespace reef::ops::gpu {

namespace {

Attributes along(std::uint8_t axis, std::int64_t rows = 0) {
  Attributes attributes;
  attributes.axis = axis;
  attributes.rows = rows;
  return attributes;
}

Shape stored(std::int64_t rows, std::int64_t columns, bool transposed) {
  return transposed ? Shape{columns, rows} : Shape{rows, columns};
}

/// One product m x k x n with everything that may follow it.
void add_products(std::vector<Case>& cases, std::int64_t m, std::int64_t k, std::int64_t n) {
  for (const Product product : {Product::kNN, Product::kNT, Product::kTN}) {
    for (const Activation activation :
         {Activation::kNone, Activation::kGelu, Activation::kSilu, Activation::kRelu}) {
      for (const std::size_t inputs : {2, 3, 4}) {
        for (const bool keep : {false, true}) {
          Attributes attributes;
          attributes.product = product;
          attributes.activation = activation;
          attributes.keep = keep;
          std::vector<Input> in = {{stored(m, k, product == Product::kTN)},
                                   {stored(k, n, product == Product::kNT)},
                                   {Shape{n}},
                                   {Shape{m, n}}};
          in.resize(inputs);
          cases.push_back({"matmul product " + std::to_string(static_cast<int>(product)) +
                               " activation " + std::to_string(static_cast<int>(activation)) + " " +
                               std::to_string(inputs) + " inputs of " + std::to_string(m) + " x " +
                               std::to_string(k) + " x " + std::to_string(n),
                           Op::kMatmul, in, attributes, true});
        }
      }
    }
  }
}

void add_batch_products(std::vector<Case>& cases) {
  for (const Product product : {Product::kNN, Product::kNT, Product::kTN}) {
    Attributes attributes;
    attributes.product = product;
    const Shape a = stored(17, 24, product == Product::kTN).inserted(0, 3).inserted(0, 2);
    const Shape b = stored(24, 33, product == Product::kNT).inserted(0, 3).inserted(0, 2);
    cases.push_back({"batch_matmul product " + std::to_string(static_cast<int>(product)),
                     Op::kBatchMatmul,
                     {{a}, {b}},
                     attributes});
  }
}

Window window_of(std::int64_t stride, std::int64_t padding, std::int64_t dilation,
                 std::int64_t groups) {
  Window window;
  window.stride = {stride, 1};
  window.padding = {padding, padding};
  window.dilation = {dilation, 1};
  window.groups = groups;
  window.size = {3, 2};
  return window;
}

}  // namespace

std::vector<Case> dense_cases() {
  std::vector<Case> cases;
  add_products(cases, 5, 7, 3);
  add_products(cases, 64, 48, 40);
  cases.push_back({"matmul without inner", Op::kMatmul, {{{4, 0}}, {{0, 6}}, {{6}}}, {}, true});
  cases.push_back({"matmul without rows", Op::kMatmul, {{{0, 4}}, {{4, 6}}}, {}, true});
  cases.push_back({"matmul f32 bias",
                   Op::kMatmul,
                   {{{9, 16}}, {{16, 8}}, {{8}, Fill::kNormal, 0, true}},
                   {},
                   true});
  add_batch_products(cases);
  cases.push_back({"column_sum", Op::kColumnSum, {{{700, 37}}}});
  cases.push_back({"column_sum of nothing", Op::kColumnSum, {{{0, 5}}}});
  Attributes scaled;
  scaled.scale = 0.125;
  cases.push_back({"linear_cross_entropy",
                   Op::kLinearCrossEntropy,
                   {{{70, 24}}, {{301, 24}}, {{70}, Fill::kTarget, 301}},
                   scaled});
  return cases;
}

std::vector<Case> index_cases() {
  Attributes table = along(0, 19);
  Attributes both = table;
  both.columns = 11;
  return {
      {"embedding", Op::kEmbedding, {{{3, 10}, Fill::kIndex, 19}, {{19, 37}}}},
      {"embedding with positions",
       Op::kEmbedding,
       {{{3, 10}, Fill::kIndex, 19}, {{19, 37}}, {{11, 37}}}},
      {"embedding_grad", Op::kEmbeddingGrad, {{{6, 10}, Fill::kIndex, 7}, {{6, 10, 37}}}, table},
      {"embedding_grad with positions",
       Op::kEmbeddingGrad,
       {{{6, 10}, Fill::kIndex, 19}, {{6, 10, 300}}},
       both},
      {"index_select", Op::kIndexSelect, {{{5, 9, 6}}, {{20}, Fill::kIndex, 9}}, along(1)},
      {"index_select i64", Op::kIndexSelect, {{{5, 9}}, {{20}, Fill::kLongIndex, 9}}, along(1)},
      {"index_add", Op::kIndexAdd, {{{40}, Fill::kIndex, 9}, {{5, 40, 6}}}, along(1, 9)},
      {"index_add i64", Op::kIndexAdd, {{{40}, Fill::kLongIndex, 70000}, {{40}}}, along(0, 70000)},
      {"index_add of nothing", Op::kIndexAdd, {{{0}, Fill::kIndex, 9}, {{0, 6}}}, along(0, 9)},
      {"gather", Op::kGather, {{{5, 9, 6}}, {{5, 4, 6}, Fill::kIndex, 9}}, along(1)},
      {"scatter_add", Op::kScatterAdd, {{{5, 40, 6}, Fill::kIndex, 9}, {{5, 40, 6}}}, along(1, 9)},
      {"scatter_add i64",
       Op::kScatterAdd,
       {{{5, 40}, Fill::kLongIndex, 9}, {{5, 40}}},
       along(1, 9)},
      {"top_k", Op::kTopK, {{{6, 131}}}, along(0, 9)},
      {"top_k of all", Op::kTopK, {{{2, 3, 33}}}, along(0, 33)},
      {"arg_max", Op::kArgMax, {{{7, 1500}}}},
  };
}

std::vector<Case> vision_cases() {
  std::vector<Case> cases;
  for (const Window& window :
       {window_of(1, 0, 1, 1), window_of(2, 1, 1, 2), window_of(1, 2, 2, 4)}) {
    Attributes attributes;
    attributes.window = window;
    const Shape x{2, 8, 11, 9};
    const Shape weight{12, 8 / window.groups, 3, 2};
    const TensorSpec specs[] = {{x}, {weight}};
    const Shape y = infer(Op::kConv2d, specs, attributes).value().outputs[0].shape;
    cases.push_back({"conv2d", Op::kConv2d, {{x}, {weight}}, attributes});
    cases.push_back({"conv2d with bias", Op::kConv2d, {{x}, {weight}, {Shape{12}}}, attributes});
    attributes.shape = x;
    cases.push_back({"conv2d_input_grad", Op::kConv2dInputGrad, {{weight}, {y}}, attributes});
    attributes.shape = weight;
    cases.push_back({"conv2d_weight_grad", Op::kConv2dWeightGrad, {{x}, {y}}, attributes});
  }
  Attributes pool;
  pool.window = window_of(2, 1, 1, 1);
  const TensorSpec x[] = {{Shape{2, 3, 11, 9}}};
  const Shape y = infer(Op::kAvgPool2d, x, pool).value().outputs[0].shape;
  cases.push_back({"max_pool2d", Op::kMaxPool2d, {{x[0].shape}}, pool});
  cases.push_back({"avg_pool2d", Op::kAvgPool2d, {{x[0].shape}}, pool});
  pool.shape = x[0].shape;
  cases.push_back({"avg_pool2d_grad", Op::kAvgPool2dGrad, {{y}}, pool});
  return cases;
}

}  // namespace reef::ops::gpu
