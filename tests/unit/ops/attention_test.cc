#include "ops/cpu/attention/attention.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "ops/cpu/isa/attention.h"
#include "ops/cpu/isa/dispatch.h"
#include "tests/unit/ops/support.h"

namespace reef::ops::cpu {
namespace {

using testing::Contexts;
using Values = std::vector<float>;

float rounded(float value, DType dtype) {
  if (dtype == DType::kF32) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u);
}

/// An operand (sample, time, head, channel) inside wider rows, as in packed qkv; what lies between
/// is NaN and has to stay out of everything.
struct Operand {
  DType dtype;
  std::int64_t times, heads, width, row;
  std::vector<std::byte> bytes;

  Operand(DType d, std::int64_t samples, std::int64_t t, std::int64_t h, std::int64_t w)
      : dtype(d), times(t), heads(h), width(w), row(h * w + 5) {
    const auto count = static_cast<std::size_t>(samples * times * row);
    bytes.resize(count * size_of(dtype));
    for (std::size_t i = 0; i < count; ++i) put(static_cast<std::int64_t>(i), NAN);
  }
  std::int64_t at(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) const {
    return (b * times + t) * row + h * width + c;
  }
  float get(std::int64_t i) const {
    if (dtype == DType::kF32) return reinterpret_cast<const float*>(bytes.data())[i];
    const std::uint32_t half = reinterpret_cast<const std::uint16_t*>(bytes.data())[i];
    return std::bit_cast<float>(half << 16);
  }
  void put(std::int64_t i, float value) {
    if (dtype == DType::kF32) {
      reinterpret_cast<float*>(bytes.data())[i] = value;
    } else {
      const auto bits = std::bit_cast<std::uint32_t>(rounded(value, dtype));
      reinterpret_cast<std::uint16_t*>(bytes.data())[i] =
          std::isnan(value) ? 0x7FC0 : static_cast<std::uint16_t>(bits >> 16);
    }
  }
  template <typename T>
  Strided<T> view() {
    return {bytes.data(), times * row, row, width};
  }
};

struct Case {
  AttentionShape shape;
  std::vector<std::int32_t> key_lengths;
  std::vector<std::uint8_t> key_mask;  ///< 0 or 1; a vector of bools has no addresses
};

Case make_case(std::int64_t queries, std::int64_t keys, bool causal) {
  Case c;
  c.shape.samples = 2;
  c.shape.queries = queries;
  c.shape.keys = keys;
  c.shape.heads = c.shape.groups = 2;
  c.shape.width = 20;
  c.shape.causal = causal;
  return c;
}

/// Operands of one case, results and gradients included.
struct Data {
  Operand q, k, v, out, grad, dq, dk, dv;
  Values log_sum_exp;

  explicit Data(const AttentionShape& s)
      : q(queries(s)),
        k(keys(s)),
        v(keys(s)),
        out(queries(s)),
        grad(queries(s)),
        dq(queries(s)),
        dk(keys(s)),
        dv(keys(s)),
        log_sum_exp(static_cast<std::size_t>(s.samples * s.heads * s.queries), NAN) {
    fill(q, s.samples, "q");
    fill(k, s.samples, "k");
    fill(v, s.samples, "v");
    fill(grad, s.samples, "grad");
  }
  static Operand queries(const AttentionShape& s) {
    return {s.dtype, s.samples, s.queries, s.heads, s.width};
  }
  static Operand keys(const AttentionShape& s) {
    return {s.dtype, s.samples, s.keys, s.groups, s.width};
  }
  static void fill(Operand& operand, std::int64_t samples, const char* name) {
    const Random random(11, name);
    for (std::int64_t b = 0; b < samples; ++b) {
      for (std::int64_t t = 0; t < operand.times; ++t) {
        for (std::int64_t c = 0; c < operand.heads * operand.width; ++c) {
          const std::int64_t i = operand.at(b, t, 0, c);
          operand.put(i, random.normal(0, static_cast<std::uint64_t>(i)));
        }
      }
    }
  }
};

AttentionShape pointed(const Case& c) {
  AttentionShape shape = c.shape;
  if (!c.key_lengths.empty()) shape.key_lengths = c.key_lengths.data();
  if (!c.key_mask.empty()) shape.key_mask = reinterpret_cast<const bool*>(c.key_mask.data());
  return shape;
}

Data compute(Context& context, const Case& c) {
  const AttentionShape shape = pointed(c);
  Data d(shape);
  attention_forward(context, shape, d.q.view<const void>(), d.k.view<const void>(),
                    d.v.view<const void>(), d.out.view<void>(), d.log_sum_exp.data());
  const AttentionSaved saved{d.q.view<const void>(), d.k.view<const void>(), d.v.view<const void>(),
                             d.out.view<const void>(), d.log_sum_exp.data()};
  attention_backward(context, shape, saved, d.grad.view<const void>(), d.dq.view<void>(),
                     d.dk.view<void>(), d.dv.view<void>());
  return d;
}

// ---- the plain thing, in double ----

using Wide = std::vector<double>;

struct Expected {
  Wide out, dq, dk, dv, log_sum_exp;  ///< laid out as the operands, zeros between
};

bool sees(const AttentionShape& s, std::int64_t sample, std::int64_t query, std::int64_t key) {
  if (s.causal && key > query + s.keys - s.queries) return false;
  if (s.key_lengths != nullptr && key >= s.key_lengths[sample]) return false;
  return s.key_mask == nullptr || s.key_mask[sample * s.keys + key];
}

double dot(const Operand& a, std::int64_t i, const Operand& b, std::int64_t j) {
  double sum = 0;
  for (std::int64_t c = 0; c < a.width; ++c)
    sum += static_cast<double>(a.get(i + c)) * b.get(j + c);
  return sum;
}

void add_row(Wide& to, std::int64_t at, double factor, const Operand& from, std::int64_t i) {
  for (std::int64_t c = 0; c < from.width; ++c) {
    to[static_cast<std::size_t>(at + c)] += factor * from.get(i + c);
  }
}

/// One query row: its weights, its output, and its share of every gradient.
void expect_row(const AttentionShape& s, const Data& d, std::int64_t b, std::int64_t h,
                std::int64_t i, Expected& e) {
  const double scale = s.scale.value_or(1 / std::sqrt(static_cast<float>(s.width)));
  const std::int64_t group = h / (s.heads / s.groups);
  const std::int64_t q = d.q.at(b, i, h, 0);
  Wide p(static_cast<std::size_t>(s.keys));
  Wide factors(p.size(), 1);
  double sum = 0;
  for (std::int64_t j = 0; j < s.keys; ++j) {
    if (!sees(s, b, i, j)) continue;
    const auto at = static_cast<std::size_t>(j);
    p[at] = std::exp(scale * dot(d.q, q, d.k, d.k.at(b, j, group, 0)));
    sum += p[at];
    if (s.draw.probability > 0) {
      factors[at] = dropout_factor(dropout_stream(s.draw), s.draw,
                                   s.draw.first_sample + static_cast<std::uint64_t>(b),
                                   static_cast<std::uint64_t>((h * s.queries + i) * s.keys + j));
    }
  }
  e.log_sum_exp[static_cast<std::size_t>((b * s.heads + h) * s.queries + i)] = std::log(sum);
  if (sum == 0) return;
  double mean = 0;
  Wide dp(p.size());
  for (std::int64_t j = 0; j < s.keys; ++j) {
    const auto at = static_cast<std::size_t>(j);
    const std::int64_t v = d.v.at(b, j, group, 0);
    p[at] /= sum;
    if (p[at] == 0) continue;
    add_row(e.out, q, p[at] * factors[at], d.v, v);
    add_row(e.dv, v, p[at] * factors[at], d.grad, q);
    dp[at] = factors[at] * dot(d.grad, q, d.v, v);
    mean += p[at] * dp[at];
  }
  for (std::int64_t j = 0; j < s.keys; ++j) {
    const auto at = static_cast<std::size_t>(j);
    if (p[at] == 0) continue;
    const double ds = p[at] * (dp[at] - mean) * scale;
    add_row(e.dq, q, ds, d.k, d.k.at(b, j, group, 0));
    add_row(e.dk, d.k.at(b, j, group, 0), ds, d.q, q);
  }
}

Expected expect(const Case& c, const Data& d) {
  const AttentionShape s = pointed(c);
  const auto queries = static_cast<std::size_t>(s.samples * s.queries * d.q.row);
  const auto keys = static_cast<std::size_t>(s.samples * s.keys * d.k.row);
  Expected e{Wide(queries), Wide(queries), Wide(keys), Wide(keys), Wide(d.log_sum_exp.size())};
  for (std::int64_t b = 0; b < s.samples; ++b) {
    for (std::int64_t h = 0; h < s.heads; ++h) {
      for (std::int64_t i = 0; i < s.queries; ++i) expect_row(s, d, b, h, i, e);
    }
  }
  return e;
}

/// Every element within `tolerance` of the largest (of 1 where gradients cancel), and what lies
/// between rows untouched.
void expect_near(const Operand& got, const Wide& wanted, double tolerance, const char* name) {
  double largest = 1;
  for (const double value : wanted) largest = std::max(largest, std::abs(value));
  double worst = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const double value = got.get(at);
    if (at % got.row >= got.heads * got.width) {
      ASSERT_TRUE(std::isnan(value)) << name << " writes between its rows, at " << i;
    } else {
      ASSERT_FALSE(std::isnan(value)) << name << " at " << i;
      worst = std::max(worst, std::abs(value - wanted[i]));
    }
  }
  EXPECT_LE(worst / largest, tolerance) << name;
}

void expect_agreement(const Case& c) {
  Contexts contexts;
  const Data one = compute(contexts.one, c);
  const Data three = compute(contexts.three, c);
  EXPECT_EQ(one.out.bytes, three.out.bytes);
  EXPECT_EQ(one.dq.bytes, three.dq.bytes);
  EXPECT_EQ(one.dk.bytes, three.dk.bytes);
  EXPECT_EQ(one.dv.bytes, three.dv.bytes);
  EXPECT_EQ(std::memcmp(one.log_sum_exp.data(), three.log_sum_exp.data(),
                        one.log_sum_exp.size() * sizeof(float)),
            0);

  const Expected wanted = expect(c, one);
  // bf16: the rounding of the result, and of `out` where the gradient reads it.
  const bool half = c.shape.dtype == DType::kBF16;
  expect_near(one.out, wanted.out, half ? 4e-3 : 2e-6, "out");
  expect_near(one.dq, wanted.dq, half ? 2e-2 : 5e-6, "dq");
  expect_near(one.dk, wanted.dk, half ? 2e-2 : 5e-6, "dk");
  expect_near(one.dv, wanted.dv, half ? 4e-3 : 5e-6, "dv");
  for (std::size_t i = 0; i < wanted.log_sum_exp.size(); ++i) {
    if (std::isinf(wanted.log_sum_exp[i])) {
      EXPECT_EQ(one.log_sum_exp[i], -INFINITY);
    } else {
      EXPECT_NEAR(one.log_sum_exp[i], wanted.log_sum_exp[i], 4e-6);
    }
  }
}

constexpr std::int64_t kLengths[] = {1, 5, 63, 64, 65, 130};

TEST(Attention, AgreesWhenCausal) {
  for (const std::int64_t length : kLengths) expect_agreement(make_case(length, length, true));
}

TEST(Attention, AgreesInBothDirections) {
  for (const std::int64_t length : kLengths) expect_agreement(make_case(length, length, false));
}

TEST(Attention, CrossesToAnotherLength) {
  for (const std::int64_t queries : kLengths) {
    for (const std::int64_t keys : kLengths) expect_agreement(make_case(queries, keys, false));
  }
}

// More keys than queries: what is cached is seen. Fewer: the first queries see nothing at all.
TEST(Attention, AlignsTheDiagonalWithTheLastKey) {
  for (const std::int64_t queries : kLengths) {
    for (const std::int64_t keys : kLengths) expect_agreement(make_case(queries, keys, true));
  }
}

TEST(Attention, AgreesOverManyTiles) {
  Case c = make_case(700, 700, true);
  c.shape.samples = 1;
  expect_agreement(c);
  c.shape.causal = false;
  c.shape.samples = 17;  // enough heads for the longest blocks and a single share of keys
  c.shape.queries = c.shape.keys = 300;
  expect_agreement(c);
}

TEST(Attention, AgreesAtAnyWidth) {
  for (const std::int64_t width : {1, 3, 8, 16, 33, 64, 80, 128}) {
    Case c = make_case(70, 70, true);
    c.shape.width = width;
    expect_agreement(c);
  }
}

TEST(Attention, SharesKeysAmongGroupedQueries) {
  for (const std::int64_t groups : {1, 2, 3, 6}) {
    Case c = make_case(130, 130, true);
    c.shape.heads = 6;
    c.shape.groups = groups;
    expect_agreement(c);
  }
}

TEST(Attention, TakesAScale) {
  Case c = make_case(65, 65, true);
  c.shape.scale = 0.5f;
  expect_agreement(c);
}

TEST(Attention, HidesKeysPastTheLength) {
  for (const bool causal : {false, true}) {
    Case c = make_case(130, 130, causal);
    c.key_lengths = {97, 3};
    expect_agreement(c);
  }
}

TEST(Attention, HidesMaskedKeys) {
  for (const bool causal : {false, true}) {
    Case c = make_case(130, 130, causal);
    for (std::uint64_t i = 0; i < 260; ++i) {
      c.key_mask.push_back(static_cast<std::uint8_t>(Random(1, "mask").below(3, 0, i) != 0));
    }
    c.key_mask[0] = 0;  // a causal first query that sees nothing
    expect_agreement(c);
  }
}

TEST(Attention, GivesZerosToQueriesThatSeeNothing) {
  Case c = make_case(65, 130, false);
  c.key_lengths = {0, 130};
  expect_agreement(c);
  ThreadPool context(1);
  const Data d = compute(context, c);
  EXPECT_EQ(d.log_sum_exp[0], -INFINITY);
  EXPECT_EQ(d.out.get(0), 0);
  EXPECT_EQ(d.dq.get(0), 0);
  EXPECT_EQ(d.dk.get(0), 0);
  EXPECT_EQ(d.dv.get(0), 0);
}

TEST(Attention, DropsWeightsByTheDraw) {
  for (const std::int64_t keys : {64, 65, 130, 203}) {
    Case c = make_case(65, keys, true);
    c.shape.heads = 4;
    c.shape.draw = {0.3f, 5, 6, 7, 8};
    expect_agreement(c);
  }
}

TEST(Attention, ReadsAndWritesBf16) {
  for (const std::int64_t length : kLengths) {
    for (const float probability : {0.0f, 0.2f}) {
      Case c = make_case(length, length, true);
      c.shape.dtype = DType::kBF16;
      c.shape.draw = {probability, 5, 6, 7, 8};
      expect_agreement(c);
    }
  }
}

TEST(Attention, StandsLargeScores) {
  Case c = make_case(65, 65, true);
  c.shape.scale = 100.0f;
  ThreadPool context(1);
  const Data d = compute(context, c);
  for (std::int64_t i = 0; i < 65; ++i) {
    EXPECT_TRUE(std::isfinite(d.out.get(d.out.at(0, i, 0, 0))));
    EXPECT_TRUE(std::isfinite(d.dq.get(d.dq.at(0, i, 0, 0))));
  }
}

// ---- through the catalog ----

/// Forward and backward by the fast kernels and by the plain ones.
void expect_catalog_agreement(const std::function<std::vector<Tensor>(Context&)>& compute,
                              double tolerance) {
  Contexts contexts;
  const std::vector<Tensor> fast = compute(contexts.one);
  const std::vector<Tensor> plain = compute(contexts.reference);
  for (std::size_t i = 0; i < fast.size(); ++i) {
    EXPECT_LE(testing::difference(fast[i], plain[i]), tolerance) << "output " << i;
  }
}

TEST(Attention, ServesTheCatalog) {
  const Tensor lengths = testing::integers({2}, "lengths", 70);
  Tensor visible = Tensor::empty(Pool::host(), DType::kBool, {2, 70});
  for (std::int64_t i = 0; i < 140; ++i) visible.data<bool>()[i] = i % 3 != 0;
  for (const Tensor& mask : {Tensor(), lengths, visible}) {
    expect_catalog_agreement(
        [&mask](Context& context) -> std::vector<Tensor> {
          const Tensor q = testing::normal({2, 33, 6, 20}, "q");
          const Tensor k = testing::normal({2, 3, 70, 20}, "k").transpose(1, 2);
          const Tensor v = testing::normal({2, 70, 3, 20}, "v");
          AttentionOptions options;
          options.mask = mask;
          options.scale = 0.3f;
          options.draw = {0.2f, 3, 1, 2, 10};
          const Attention y = attention(context, q, k, v, options);
          const AttentionGrad grad =
              attention_grad(context, q, k, v, y, testing::normal({2, 33, 6, 20}, "grad"), options);
          return {y.out, grad.q, grad.k, grad.v};
        },
        5e-6);
  }
}

TEST(Attention, TakesChannelsThatLieApart) {
  ThreadPool context(1);
  const Tensor q = testing::normal({2, 33, 20, 3}, "q").transpose(2, 3);
  const Attention apart = attention(context, q, q, q, {});
  const Tensor dense = contiguous(context, q);
  const Attention together = attention(context, dense, dense, dense, {});
  EXPECT_TRUE(testing::same_bits(apart.out, together.out));
}

std::uint64_t peak_of(std::int64_t length) {
  Case c = make_case(length, length, true);
  c.shape.samples = 1;
  c.shape.heads = c.shape.groups = 8;
  ThreadPool context(2);
  compute(context, c);
  return context.pool().statistics().peak_bytes;
}

TEST(Attention, MemoryIsLinearInTheContext) {
  const std::uint64_t once = peak_of(512);
  const std::uint64_t fourfold = peak_of(2048);
  EXPECT_LT(fourfold, 4 * once + once / 4);
  // Less than the weights of one of the eight heads would take.
  EXPECT_LT(fourfold, std::uint64_t{2048} * 2048 * sizeof(float));
}

/// Ragged tiles through every function of a table: what comes out of it for `element`.
Values run_table(const AttentionKernels& kernels, Element element) {
  constexpr Index kQueries = 31, kKeys = 45, kWidth = 21, kStride = 64 + kTileSlack;
  const bool half = element == Element::kBF16;
  Operand rows(half ? DType::kBF16 : DType::kF32, 1, kKeys, 1, kWidth);
  Data::fill(rows, 1, "rows");
  const void* data = rows.bytes.data();
  const Values bias = {0, -INFINITY, 0, 0, -INFINITY};
  Values keys_bias(kKeys);
  for (std::size_t j = 0; j < keys_bias.size(); ++j) keys_bias[j] = bias[j % bias.size()];
  const WeightDropout dropout{{1, 2}, 0.25f, 3, 4, 45};
  const ScoreTile tile{kQueries, kKeys, 10};

  const auto tile_of = [] { return Values(64 * kStride); };
  Values a = tile_of(), b = tile_of(), k = tile_of(), s = tile_of(), ds = tile_of(), o = tile_of(),
         dk = tile_of();
  Values maximum(64, -3), sum(64, 0.5f), keep(64), delta(64), factor(64, 2);
  kernels.pack(element, kQueries, kWidth, data, rows.row, 0.3f, a.data(), kStride);
  kernels.pack(element, kKeys, kWidth, data, rows.row, 1, b.data(), kStride);
  kernels.pack_transposed(element, kKeys, kWidth, data, rows.row, k.data(), kStride);
  kernels.row_dot(element, kQueries, kWidth, data, rows.row, data, rows.row, delta.data());
  kernels.scores(tile, kWidth, a.data(), kStride, k.data(), kStride, s.data(), kStride);
  kernels.scores(tile, kWidth, b.data(), kStride, k.data(), kStride, ds.data(), kStride);
  Values p = s;
  kernels.softmax(tile, keys_bias.data(), &dropout, p.data(), kStride, maximum.data(), sum.data(),
                  keep.data());
  kernels.add_to_queries(tile, kWidth, p.data(), kStride, b.data(), kStride, keep.data(), o.data(),
                         kStride);
  kernels.softmax_grad(tile, keys_bias.data(), &dropout, maximum.data(), delta.data(), s.data(),
                       ds.data(), kStride);
  kernels.add_to_queries(tile, kWidth, ds.data(), kStride, b.data(), kStride, nullptr, o.data(),
                         kStride);
  kernels.add_to_keys(tile, kWidth, s.data(), kStride, a.data(), kStride, dk.data(), kStride);

  Values result;
  Values unpacked(kKeys * kWidth);
  kernels.unpack(Element::kF32, kQueries, kWidth, o.data(), kStride, factor.data(), unpacked.data(),
                 kWidth);
  result.insert(result.end(), unpacked.begin(), unpacked.begin() + kQueries * kWidth);
  kernels.unpack(Element::kF32, kKeys, kWidth, dk.data(), kStride, factor.data(), unpacked.data(),
                 kWidth);
  result.insert(result.end(), unpacked.begin(), unpacked.end());
  result.insert(result.end(), maximum.begin(), maximum.begin() + kQueries);
  result.insert(result.end(), sum.begin(), sum.begin() + kQueries);
  return result;
}

// The engine's tests see the table of this processor; this one sees those of lesser ones.
TEST(Attention, TablesOfAllInstructionSetsAgree) {
  std::vector<const AttentionKernels*> tables = {&v2::kAttentionKernels};
  if (has_instruction_set_v3()) tables.push_back(&v3::kAttentionKernels);
  if (has_instruction_set_v4()) tables.push_back(&v4::kAttentionKernels);
  EXPECT_EQ(tables.back(), &attention_kernels());
  for (const Element element : {Element::kF32, Element::kBF16}) {
    const Values wanted = run_table(attention_kernels(), element);
    for (const AttentionKernels* table : tables) {
      const Values got = run_table(*table, element);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        ASSERT_NEAR(got[i], wanted[i], 1e-5 * (1 + std::abs(wanted[i])))
            << table->name << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace reef::ops::cpu
