#include "tests/unit/ops/autograd_cases.h"

#include "ops/autograd/functions.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

namespace {

using Inputs = std::span<const Variable>;

Tensor input(const Shape& shape, double seed) { return uneven(DType::kF64, shape, seed); }

/// Between 0.4 and 1.6: away from the poles of logarithms and quotients.
Tensor positive(const Shape& shape, double seed) {
  std::vector<double> values = values_of(input(shape, seed));
  for (double& value : values) value = 1 + 0.6 * value;
  return of(DType::kF64, shape, values);
}

Tensor index(const Shape& shape, const std::vector<double>& values, DType dtype = DType::kI32) {
  return of(dtype, shape, values);
}

using UnaryFunction = Variable (*)(Context&, Tape&, const Variable&);
using BinaryFunction = Variable (*)(Context&, Tape&, const Variable&, const Variable&);

Case unary_case(Op op, const char* name, UnaryFunction function, const Tensor& x) {
  return {op, name, {x}, [function](Context& context, Tape& tape, Inputs in) {
            return function(context, tape, in[0]);
          }};
}

Case binary_case(Op op, const std::string& name, BinaryFunction function, const Tensor& a,
                 const Tensor& b) {
  return {op, name, {a, b}, [function](Context& context, Tape& tape, Inputs in) {
            return function(context, tape, in[0], in[1]);
          }};
}

constexpr Draw kDraw{0.3f, 1, 2, 3, 4};

/// AttentionOptions with a mask and a scale of its own.
AttentionOptions masked(const Tensor& mask) {
  AttentionOptions options;
  options.causal = false;
  options.mask = mask;
  options.scale = 0.3f;
  return options;
}

Case attention_case(const std::string& name, std::vector<Tensor> qkv, AttentionOptions options) {
  return {Op::kAttention, name, std::move(qkv), [options](Context& context, Tape& tape, Inputs in) {
            return attention(context, tape, in[0], in[1], in[2], options);
          }};
}

}  // namespace

std::vector<Case> product_cases() {
  std::vector<Case> cases;
  for (const Product product : {Product::kNN, Product::kNT, Product::kTN}) {
    const std::string kind = product == Product::kNN ? "NN" : product == Product::kNT ? "NT" : "TN";
    const Shape left = product == Product::kTN ? Shape{2, 2, 3} : Shape{2, 1, 4};
    const Shape right = product == Product::kNT ? Shape{3, 4} : Shape{4, 3};
    const auto multiply = [product](Context& context, Tape& tape, Inputs in) {
      return matmul(context, tape, in[0], in[1], product);
    };
    cases.push_back({Op::kMatmul, "matmul " + kind, {input(left, 1), input(right, 2)}, multiply});
    const Shape a = product == Product::kTN ? Shape{2, 4, 2} : Shape{2, 2, 4};
    const Shape b = product == Product::kNT ? Shape{2, 3, 4} : Shape{2, 4, 3};
    const auto batched = [product](Context& context, Tape& tape, Inputs in) {
      return batch_matmul(context, tape, in[0], in[1], product);
    };
    cases.push_back(
        {Op::kBatchMatmul, "batch_matmul " + kind, {input(a, 3), input(b, 4)}, batched});
  }
  const std::vector<Tensor> layer = {input({2, 2, 3}, 1), input({3, 2}, 2), input({2}, 3)};
  cases.push_back({Op::kMatmul, "linear", layer, [](Context& context, Tape& tape, Inputs in) {
                     return linear(context, tape, in[0], in[1], in[2]);
                   }});
  cases.push_back({Op::kMatmul,
                   "linear without bias",
                   {layer[0], layer[1]},
                   [](Context& context, Tape& tape, Inputs in) {
                     return linear(context, tape, in[0], in[1], {});
                   }});
  for (const Activation activation : {Activation::kGelu, Activation::kSilu, Activation::kRelu}) {
    cases.push_back({Op::kMatmul,
                     "linear_activation " + std::to_string(static_cast<int>(activation)), layer,
                     [activation](Context& context, Tape& tape, Inputs in) {
                       return linear_activation(context, tape, in[0], in[1], in[2], activation);
                     }});
  }
  cases.push_back({Op::kMatmul,
                   "linear_residual",
                   {layer[0], layer[1], layer[2], input({2, 2, 2}, 4)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return linear_residual(context, tape, in[0], in[1], in[2], in[3]);
                   }});
  cases.push_back({Op::kMatmul,
                   "project",
                   {input({2, 2, 3}, 1), input({4, 3}, 2)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return project(context, tape, in[0], in[1]);
                   }});
  cases.push_back(unary_case(Op::kColumnSum, "column_sum", column_sum, input({2, 3, 2}, 1)));
  const Tensor targets = index({3}, {2, -1, 0});
  cases.push_back({Op::kLinearCrossEntropy,
                   "linear_cross_entropy",
                   {input({3, 3}, 1), input({4, 3}, 2)},
                   [targets](Context& context, Tape& tape, Inputs in) {
                     return linear_cross_entropy(context, tape, in[0], in[1], targets, 0.5f);
                   }});
  for (const char* equation : {"abc,cbd->bad", "ij,jk", "ab,bc,cd->da", "...a,a->...", "abc->cb"}) {
    const std::string_view text = equation;
    std::vector<Tensor> in = {input({2, 2}, 1), input({2, 2}, 2)};
    if (text == "ab,bc,cd->da") in.push_back(input({2, 3}, 3));
    if (text == "abc,cbd->bad") in = {input({2, 3, 2}, 1), input({2, 3, 2}, 2)};
    if (text == "...a,a->...") in = {input({2, 3, 2}, 1), input({2}, 2)};
    if (text == "abc->cb") in = {input({2, 3, 2}, 1)};
    cases.push_back({Op::kBatchMatmul, "einsum " + std::string(text), in,
                     [text](Context& context, Tape& tape, Inputs in) {
                       return einsum(context, tape, text, in).value();
                     }});
  }
  return cases;
}

std::vector<Case> attention_cases() {
  std::vector<Case> cases;
  const Shape small{2, 3, 2, 2};
  const std::vector<Tensor> alike = {input(small, 1), input(small, 2), input(small, 3)};
  cases.push_back(attention_case("attention, causal", alike, {}));
  AttentionOptions dropping;
  dropping.draw = kDraw;
  cases.push_back(attention_case("attention with dropout", alike, dropping));
  // Two heads a group, and more keys than queries.
  const std::vector<Tensor> grouped = {input({1, 2, 4, 2}, 1), input({1, 3, 2, 2}, 2),
                                       input({1, 3, 2, 2}, 3)};
  cases.push_back(attention_case("attention, grouped queries", grouped, {}));
  cases.push_back(attention_case("attention with lengths", alike, masked(index({2}, {2, 0}))));
  const Tensor visible = of(DType::kBool, {2, 3}, {1, 0, 1, 0, 1, 1});
  cases.push_back(attention_case("attention with a mask", alike, masked(visible)));
  cases.push_back({Op::kAttention,
                   "packed attention",
                   {input({1, 3, 12}, 1)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return attention(context, tape, in[0], 2, kDraw);
                   }});
  cases.push_back(
      {Op::kRope, "rope", {input({1, 3, 2, 4}, 1)}, [](Context& context, Tape& tape, Inputs in) {
         return rope(context, tape, in[0], 100, 2);
       }});
  return cases;
}

std::vector<Case> row_cases() {
  std::vector<Case> cases;
  const Tensor x = input({3, 4}, 1);
  const Tensor weight = positive({4}, 2);
  const Tensor bias = input({4}, 3);
  cases.push_back({Op::kLayerNorm,
                   "layer_norm",
                   {x, weight, bias},
                   [](Context& context, Tape& tape, Inputs in) {
                     return layer_norm(context, tape, in[0], in[1], in[2], 1e-2f);
                   }});
  cases.push_back({Op::kAddLayerNorm,
                   "add_layer_norm",
                   {x, input({3, 4}, 4), weight, bias},
                   [](Context& context, Tape& tape, Inputs in) {
                     const SumAndNorm both =
                         add_layer_norm(context, tape, in[0], in[1], in[2], in[3], 1e-2f);
                     // The sum is used past the norm as well.
                     return mul(context, tape, both.norm, both.sum);
                   }});
  cases.push_back(
      {Op::kRmsNorm, "rms_norm", {x, weight}, [](Context& context, Tape& tape, Inputs in) {
         return rms_norm(context, tape, in[0], in[1], 1e-2f);
       }});
  cases.push_back(unary_case(Op::kSoftmax, "softmax", softmax, x));
  cases.push_back(unary_case(Op::kLogSoftmax, "log_softmax", log_softmax, x));
  const Tensor targets = index({3}, {3, -1, 1});
  cases.push_back(
      {Op::kCrossEntropy, "cross_entropy", {x}, [targets](Context& context, Tape& tape, Inputs in) {
         return cross_entropy(context, tape, in[0], targets, 0.7f);
       }});
  cases.push_back({Op::kLayerNorm,
                   "residual_mlp",
                   {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({3, 4}, 4),
                    input({4}, 5), input({4, 3}, 6), input({3}, 7)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return residual_mlp(context, tape, in[0], {in[1], in[2], 1e-2f},
                                         {in[3], in[4]}, {in[5], in[6]});
                   }});
  cases.push_back(
      {Op::kLayerNorm,
       "norm_linear beside a residual",
       {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({3, 3}, 4), input({3}, 5)},
       [](Context& context, Tape& tape, Inputs in) {
         const Variable y =
             norm_linear(context, tape, in[0], {in[1], in[2], 1e-2f}, {in[3], in[4]});
         return add(context, tape, in[0], y);
       }});
  cases.push_back({Op::kLayerNorm,
                   "norm_project",
                   {input({2, 3}, 1), positive({3}, 2), input({3}, 3), input({4, 3}, 4)},
                   [](Context& context, Tape& tape, Inputs in) {
                     return norm_project(context, tape, in[0], {in[1], in[2], 1e-2f}, in[3]);
                   }});
  return cases;
}

std::vector<Case> index_cases() {
  std::vector<Case> cases;
  const Tensor tokens = index({2, 3}, {1, 0, 1, 3, 1, 0});
  cases.push_back({Op::kEmbedding,
                   "embedding",
                   {input({4, 2}, 1), input({5, 2}, 2)},
                   [tokens](Context& context, Tape& tape, Inputs in) {
                     return embedding(context, tape, tokens, in[0], in[1]);
                   }});
  cases.push_back({Op::kEmbedding,
                   "embedding without positions",
                   {input({4, 2}, 1)},
                   [tokens](Context& context, Tape& tape, Inputs in) {
                     return embedding(context, tape, tokens, in[0]);
                   }});
  const Tensor picks = index({4}, {2, 0, 2, 1}, DType::kI64);
  cases.push_back({Op::kIndexSelect,
                   "index_select",
                   {input({2, 3, 2}, 1)},
                   [picks](Context& context, Tape& tape, Inputs in) {
                     return index_select(context, tape, in[0], 1, picks);
                   }});
  cases.push_back({Op::kIndexAdd,
                   "index_add",
                   {input({2, 4}, 1)},
                   [picks](Context& context, Tape& tape, Inputs in) {
                     return index_add(context, tape, picks, in[0], 1, 3);
                   }});
  const Tensor places = index({2, 2}, {1, 1, 2, 0});
  cases.push_back({Op::kGather,
                   "gather",
                   {input({2, 3}, 1)},
                   [places](Context& context, Tape& tape, Inputs in) {
                     return gather(context, tape, in[0], 1, places);
                   }});
  cases.push_back({Op::kScatterAdd,
                   "scatter_add",
                   {input({2, 2}, 1)},
                   [places](Context& context, Tape& tape, Inputs in) {
                     return scatter_add(context, tape, places, in[0], 1, 3);
                   }});
  cases.push_back(
      {Op::kTopK, "top_k", {input({3, 5}, 1)}, [](Context& context, Tape& tape, Inputs in) {
         return top_k(context, tape, in[0], 2).values;
       }});
  return cases;
}

std::vector<Case> pointwise_cases() {
  const Tensor x = input({2, 3}, 1);
  const Tensor above = positive({2, 3}, 2);
  std::vector<Case> cases = {
      unary_case(Op::kNeg, "neg", neg, x),
      unary_case(Op::kAbs, "abs", abs, x),
      unary_case(Op::kExp, "exp", exp, x),
      unary_case(Op::kLog, "log", log, above),
      unary_case(Op::kSqrt, "sqrt", sqrt, above),
      unary_case(Op::kRsqrt, "rsqrt", rsqrt, above),
      unary_case(Op::kTanh, "tanh", tanh, x),
      unary_case(Op::kSigmoid, "sigmoid", sigmoid, x),
      unary_case(Op::kErf, "erf", erf, x),
      unary_case(Op::kSin, "sin", sin, x),
      unary_case(Op::kCos, "cos", cos, x),
      unary_case(Op::kSquare, "square", square, x),
      unary_case(Op::kRelu, "relu", relu, x),
      unary_case(Op::kGelu, "gelu", gelu, x),
      unary_case(Op::kSilu, "silu", silu, x),
      binary_case(Op::kAdd, "add", add, x, above),
      binary_case(Op::kSub, "sub", sub, x, above),
      binary_case(Op::kMul, "mul", mul, x, above),
      binary_case(Op::kDiv, "div", div, x, above),
      binary_case(Op::kSwiGlu, "swiglu", swiglu, x, above),
      binary_case(Op::kMaximum, "maximum", maximum, x, input({2, 3}, 5)),
      binary_case(Op::kMinimum, "minimum", minimum, x, input({2, 3}, 5)),
  };
  // Each side repeated: a leading axis that is not there, and extents of 1.
  const Tensor row = positive({3}, 3);
  const Tensor column = positive({2, 1}, 4);
  for (const auto& [op, function] : {std::pair<Op, BinaryFunction>{Op::kAdd, add},
                                     {Op::kSub, sub},
                                     {Op::kMul, mul},
                                     {Op::kDiv, div},
                                     {Op::kMaximum, maximum}}) {
    const std::string name = std::string(name_of(op)) + ", broadcast";
    cases.push_back(binary_case(op, name, function, column, row));
    cases.push_back(binary_case(op, name + " right", function, above, row));
  }
  cases.push_back({Op::kAffine, "affine", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return affine(context, tape, in[0], -2.5, 3);
                   }});
  const Tensor condition = of(DType::kBool, {3}, {1, 0, 1});
  cases.push_back(
      {Op::kWhere, "where", {x, column}, [condition](Context& context, Tape& tape, Inputs in) {
         return where(context, tape, condition, in[0], in[1]);
       }});
  cases.push_back({Op::kDropout, "dropout", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return dropout(context, tape, in[0], kDraw);
                   }});
  return cases;
}

std::vector<Case> reduce_cases() {
  const Tensor x = input({2, 3, 2}, 1);
  std::vector<Case> cases;
  cases.push_back({Op::kSum, "sum", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return sum(context, tape, in[0], 0b101);
                   }});
  cases.push_back({Op::kSum, "sum_to", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return sum_to(context, tape, in[0], Shape{3, 1});
                   }});
  cases.push_back({Op::kMax, "max", {x}, [](Context& context, Tape& tape, Inputs in) {
                     return max(context, tape, in[0], 0b110);
                   }});
  for (const bool reverse : {false, true}) {
    cases.push_back({Op::kCumSum,
                     reverse ? "cum_sum from the end" : "cum_sum",
                     {x},
                     [reverse](Context& context, Tape& tape, Inputs in) {
                       return cum_sum(context, tape, in[0], 1, reverse);
                     }});
  }
  return cases;
}

std::vector<Case> move_cases() {
  const Tensor x = input({2, 3, 2}, 1);
  std::vector<Case> cases;
  const auto add_case = [&cases](Op op, const char* name, std::vector<Tensor> inputs,
                                 Function function) {
    cases.push_back({op, name, std::move(inputs), std::move(function)});
  };
  add_case(Op::kCopy, "reshape of a transposed view, narrowed", {x},
           [](Context& context, Tape& tape, Inputs in) {
             const Variable turned = transpose(context, tape, in[0], 0, 2);
             return narrow(context, tape, reshape(context, tape, turned, Shape{4, 3}), 0, 1, 2);
           });
  add_case(Op::kCopy, "contiguous permute", {x}, [](Context& context, Tape& tape, Inputs in) {
    constexpr std::size_t kOrder[] = {2, 0, 1};
    return contiguous(context, tape, permute(context, tape, in[0], kOrder));
  });
  add_case(Op::kCopy, "select and expand", {x}, [](Context& context, Tape& tape, Inputs in) {
    const Variable middle = select(context, tape, in[0], 1, 1);
    return expand(context, tape, middle, Shape{3, 2, 2});
  });
  add_case(Op::kConcat, "split and concat", {x, input({2, 3, 1}, 2)},
           [](Context& context, Tape& tape, Inputs in) {
             const std::vector<Variable> parts = split(context, tape, in[0], 2, 2);
             return concat(context, tape, std::vector{parts[1], in[1], parts[0]}, 2);
           });
  add_case(Op::kPad, "pad", {x}, [](Context& context, Tape& tape, Inputs in) {
    return pad(context, tape, in[0], 1, 1, 2, 5);
  });
  // Rounding makes steps, so differences must be taken far apart.
  cases.push_back({Op::kCast,
                   "cast to f32 and back",
                   {x},
                   [](Context& context, Tape& tape, Inputs in) {
                     const Variable narrow = cast(context, tape, in[0], DType::kF32);
                     return cast(context, tape, narrow, DType::kF64);
                   },
                   0.5,
                   1e-6});
  return cases;
}

std::vector<Case> vision_cases() {
  std::vector<Case> cases;
  const Window window{{2, 2}, {2, 1}, {1, 0}, {1, 2}, 2};
  cases.push_back({Op::kConv2d,
                   "conv2d",
                   {input({1, 2, 3, 4}, 1), input({2, 1, 2, 2}, 2), input({2}, 3)},
                   [window](Context& context, Tape& tape, Inputs in) {
                     return conv2d(context, tape, in[0], in[1], in[2], window);
                   }});
  const Shape x{1, 2, 3, 4};
  cases.push_back({Op::kConv2dInputGrad,
                   "conv2d_input_grad",
                   {input({2, 1, 2, 2}, 1), input({1, 2, 2, 2}, 2)},
                   [window, x](Context& context, Tape& tape, Inputs in) {
                     return conv2d_input_grad(context, tape, in[0], in[1], x, window);
                   }});
  const Shape weight{2, 1, 2, 2};
  cases.push_back({Op::kConv2dWeightGrad,
                   "conv2d_weight_grad",
                   {input(x, 1), input({1, 2, 2, 2}, 2)},
                   [window, weight](Context& context, Tape& tape, Inputs in) {
                     return conv2d_weight_grad(context, tape, in[0], in[1], weight, window);
                   }});
  const Window pool{{2, 2}, {2, 1}, {1, 0}, {1, 1}, 1};
  const Shape plane{1, 2, 3, 3};
  cases.push_back({Op::kMaxPool2d,
                   "max_pool2d",
                   {input(plane, 1)},
                   [pool](Context& context, Tape& tape, Inputs in) {
                     return max_pool2d(context, tape, in[0], pool);
                   }});
  cases.push_back({Op::kMaxPool2dGrad,
                   "max_pool2d_grad",
                   {input({1, 2, 2, 2}, 2)},
                   [pool, plane](Context& context, Tape& tape, Inputs in) {
                     const Tensor places = max_pool2d(context, input(plane, 1), pool).places;
                     return max_pool2d_grad(context, tape, places, in[0], plane, pool);
                   }});
  cases.push_back({Op::kAvgPool2d,
                   "avg_pool2d",
                   {input(plane, 1)},
                   [pool](Context& context, Tape& tape, Inputs in) {
                     return avg_pool2d(context, tape, in[0], pool);
                   }});
  cases.push_back({Op::kAvgPool2dGrad,
                   "avg_pool2d_grad",
                   {input({1, 2, 2, 2}, 2)},
                   [pool, plane](Context& context, Tape& tape, Inputs in) {
                     return avg_pool2d_grad(context, tape, in[0], plane, pool);
                   }});
  return cases;
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& family : {product_cases, attention_cases, row_cases, index_cases,
                             pointwise_cases, reduce_cases, move_cases, vision_cases}) {
    for (Case& one : family()) all.push_back(std::move(one));
  }
  return all;
}

Function scalar_of(const Case& one) {
  return [function = one.function](Context& context, Tape& tape, Inputs in) {
    const Variable y = function(context, tape, in);
    const Variable by = {input(y.value.shape(), 9)};
    return sum_to(context, tape, mul(context, tape, y, by), Shape{});
  };
}

}  // namespace reef::ops::testing
