#include "ops/cpu/gemm/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "ops/cpu/gemm/engine.h"
#include "ops/cpu/gemm/onednn.h"
#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/base/random.h"

namespace reef::ops::cpu {
namespace {

/// A matrix with room around it, f32 or bf16, filled with fixed normal numbers.
class Matrix {
 public:
  Matrix(std::int64_t rows, std::int64_t columns, bool transposed, DType dtype, std::int64_t gap,
         std::string_view name)
      : rows_(rows),
        columns_(columns),
        row_stride_(transposed ? 1 : columns + gap),
        column_stride_(transposed ? rows + gap : 1),
        dtype_(dtype),
        f32_(static_cast<std::size_t>((transposed ? columns : rows) *
                                      ((transposed ? rows : columns) + gap))),
        bf16_(f32_.size()) {
    const Random random(11, name);
    for (std::size_t i = 0; i < f32_.size(); ++i) f32_[i] = random.normal(0, i);
    for (std::size_t i = 0; i < f32_.size(); ++i) bf16_[i] = BF16::from(f32_[i]).bits;
    refresh();
  }

  double at(std::int64_t row, std::int64_t column) const {
    return f32_[static_cast<std::size_t>(row * row_stride_ + column * column_stride_)];
  }
  const void* data() const {
    return dtype_ == DType::kBF16 ? static_cast<const void*>(bf16_.data()) : f32_.data();
  }
  void* data() { return const_cast<void*>(std::as_const(*this).data()); }
  Operand operand() const { return {data(), dtype_, row_stride_, column_stride_}; }
  Output output() { return {data(), dtype_, row_stride_}; }
  Input input() const { return {data(), dtype_, row_stride_}; }
  /// After a product has written to data().
  void refresh() {
    if (dtype_ != DType::kBF16) return;
    for (std::size_t i = 0; i < f32_.size(); ++i) f32_[i] = BF16{bf16_[i]}.value();
  }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  bool same_bits(const Matrix& other) const {
    return std::memcmp(f32_.data(), other.f32_.data(), f32_.size() * sizeof(float)) == 0 &&
           bf16_ == other.bf16_;
  }

 private:
  std::int64_t rows_, columns_, row_stride_, column_stride_;
  DType dtype_;
  std::vector<float> f32_;
  std::vector<std::uint16_t> bf16_;
};

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kRelu:
      return std::max(x, 0.0);
  }
  return NAN;
}

struct Options {
  std::int64_t rows, columns, inner;
  bool transpose_a = false, transpose_b = false;
  DType a = DType::kF32, b = DType::kF32, c = DType::kF32;
  bool accumulate = false, bias = false, pre_activation = false, residual = false;
  Activation activation = Activation::kNone;

  std::string text() const {
    std::string text = std::to_string(rows) + "x" + std::to_string(columns) + "x" +
                       std::to_string(inner) + (transpose_a ? " T" : " N") +
                       (transpose_b ? "T" : "N");
    for (const DType dtype : {a, b, c}) text += dtype == DType::kBF16 ? " bf16" : " f32";
    return text + " activation " + std::to_string(static_cast<int>(activation));
  }
};

/// One product with everything it touches, and the same in double.
struct Trial {
  Options o;
  Matrix a, b, c, before, bias, pre_activation, residual;

  explicit Trial(const Options& options)
      : o(options),
        a(o.rows, o.inner, o.transpose_a, o.a, 3, "a"),
        b(o.inner, o.columns, o.transpose_b, o.b, 1, "b"),
        c(o.rows, o.columns, false, o.c, 2, "c"),
        before(c),
        bias(1, o.columns, false, o.b, 0, "bias"),
        pre_activation(o.rows, o.columns, false, o.c, 5, "pre"),
        residual(o.rows, o.columns, false, o.c, 4, "residual") {}

  MatrixProduct product() {
    MatrixProduct product{.rows = o.rows,
                          .columns = o.columns,
                          .inner = o.inner,
                          .a = a.operand(),
                          .b = b.operand(),
                          .c = c.output(),
                          .accumulate = o.accumulate,
                          .activation = o.activation};
    if (o.bias) product.bias = bias.input();
    if (o.pre_activation) product.pre_activation = pre_activation.output();
    if (o.residual) product.residual = residual.input();
    return product;
  }

  void expect_right() {
    c.refresh();
    pre_activation.refresh();
    const double rounding = o.c == DType::kBF16 ? 1.0 / 256 : 2e-6;
    // Of a large product every so many rows, the last among them.
    const std::int64_t step = 1 + o.rows * o.columns * o.inner / 20'000'000;
    for (std::int64_t row = (o.rows - 1) % step; row < o.rows; row += step) {
      for (std::int64_t column = 0; column < o.columns; ++column) {
        double sum = o.accumulate ? before.at(row, column) : 0;
        double size = 1;
        for (std::int64_t k = 0; k < o.inner; ++k) {
          sum += a.at(row, k) * b.at(k, column);
          size += std::abs(a.at(row, k) * b.at(k, column));
        }
        if (o.bias) sum += bias.at(0, column);
        // A sum's own rounding grows with what was added up, a result's with the result.
        const double tolerance = 1e-6 * size;
        if (o.pre_activation) {
          ASSERT_NEAR(pre_activation.at(row, column), sum, tolerance + rounding * std::abs(sum))
              << o.text() << " at " << row << ", " << column;
        }
        double value = activated(o.activation, sum);
        if (o.residual) value += residual.at(row, column);
        ASSERT_NEAR(c.at(row, column), value, 2 * tolerance + rounding * std::abs(value))
            << o.text() << " at " << row << ", " << column;
      }
    }
  }

  /// Columns beyond the result belong to somebody else.
  void expect_rest_untouched() const {
    const std::int64_t stride = o.columns + 2;
    for (std::int64_t row = 0; row < o.rows; ++row) {
      for (std::int64_t column = o.columns; column < stride; ++column) {
        ASSERT_EQ(c.at(row, column), before.at(row, column)) << o.text();
      }
    }
  }
};

void run_and_check(const MicroKernels& kernels, Context& context, const Options& options) {
  Trial trial(options);
  multiply(kernels, {context.pool(), &context}, trial.product());
  trial.expect_right();
  trial.expect_rest_untouched();
}

/// Every instruction set that this processor can run.
class Gemm : public ::testing::TestWithParam<int> {
 protected:
  const MicroKernels& kernels() const { return *runnable_micro_kernels().tables[GetParam()]; }
  ThreadPool context_{3};
};

constexpr std::array<std::array<bool, 2>, 4> kLayouts = {
    {{false, false}, {false, true}, {true, false}, {true, true}}};

// Rows, columns and inner on both sides of the edges of micro-kernels (6, 12, 16, 32), of tiles
// (48 to 192 rows and columns) and of blocks of k (384).
TEST_P(Gemm, IsRightAroundEveryEdge) {
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    for (const std::int64_t rows : {1, 5, 6, 13, 49, 101}) {
      for (const std::int64_t columns : {1, 15, 16, 17, 33, 97}) {
        for (const std::int64_t inner : {1, 3, 64, 130}) {
          run_and_check(kernels(), context_, {rows, columns, inner, transpose_a, transpose_b});
        }
      }
    }
    for (const std::int64_t inner : {384, 385, 1100}) {
      run_and_check(kernels(), context_, {50, 200, inner, transpose_a, transpose_b});
      run_and_check(kernels(), context_, {200, 50, inner, transpose_a, transpose_b});
    }
  }
}

TEST_P(Gemm, AccumulatesIntoWhatIsThere) {
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    Options options{37, 75, 400, transpose_a, transpose_b};
    options.accumulate = true;
    run_and_check(kernels(), context_, options);
    options.bias = true;
    run_and_check(kernels(), context_, options);
  }
}

TEST_P(Gemm, FinishesItsResult) {
  for (const Activation activation :
       {Activation::kNone, Activation::kGelu, Activation::kSilu, Activation::kRelu}) {
    for (int parts = 0; parts < 8; ++parts) {
      for (const DType c : {DType::kF32, DType::kBF16}) {
        Options options{61, 83, 390};
        options.activation = activation;
        options.bias = (parts & 1) != 0;
        options.pre_activation = (parts & 2) != 0;
        options.residual = (parts & 4) != 0;
        options.c = c;
        run_and_check(kernels(), context_, options);
        options.transpose_a = true;
        run_and_check(kernels(), context_, options);
      }
    }
  }
}

TEST_P(Gemm, WidensBf16Operands) {
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    for (const DType a : {DType::kF32, DType::kBF16}) {
      for (const DType b : {DType::kF32, DType::kBF16}) {
        Options options{70, 53, 402, transpose_a, transpose_b, a, b};
        run_and_check(kernels(), context_, options);
        options.c = DType::kBF16;
        run_and_check(kernels(), context_, options);
        std::swap(options.rows, options.columns);
        run_and_check(kernels(), context_, options);
      }
    }
  }
}

TEST_P(Gemm, OfNoTermsIsZeroAndItsEpilogue) {
  Options options{7, 18, 0};
  run_and_check(kernels(), context_, options);
  options.bias = options.residual = true;
  run_and_check(kernels(), context_, options);
  options.accumulate = true;
  options.residual = false;
  run_and_check(kernels(), context_, options);
}

// The shared operand is packed in slices when it is larger than the scratch it may take.
TEST_P(Gemm, OfLongSumsTakesTheSharedOperandInSlices) {
  run_and_check(kernels(), context_, {3, 390, 22000, false, true});
  run_and_check(kernels(), context_, {386, 390, 22000, true, false});
}

TEST_P(Gemm, GivesTheSameBitsOnAnyNumberOfThreads) {
  ThreadPool one(1);
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    for (const auto& [rows, columns] : {std::pair{211, 390}, std::pair{390, 211}}) {
      Options options{rows, columns, 777, transpose_a, transpose_b};
      options.activation = Activation::kGelu;
      options.bias = true;
      Trial alone(options);
      Trial together(options);
      multiply(kernels(), {one.pool(), &one}, alone.product());
      multiply(kernels(), {context_.pool(), &context_}, together.product());
      EXPECT_TRUE(alone.c.same_bits(together.c)) << options.text();
    }
  }
}

TEST_P(Gemm, GivesAnElementTheSameBitsInAnyLayoutAndShape) {
  Trial large({100, 120, 800});
  Trial small({5, 7, 800});
  multiply(kernels(), {context_.pool(), &context_}, large.product());
  MatrixProduct part = small.product();
  part.a = large.a.operand();
  part.b = large.b.operand();
  multiply(kernels(), {context_.pool(), &context_}, part);
  // Through a transposed copy of the left operand.
  std::vector<float> turned(static_cast<std::size_t>(100 * 800));
  for (std::int64_t row = 0; row < 100; ++row) {
    for (std::int64_t k = 0; k < 800; ++k) {
      turned[static_cast<std::size_t>(k * 100 + row)] = static_cast<float>(large.a.at(row, k));
    }
  }
  Trial again({100, 120, 800});
  MatrixProduct transposed = again.product();
  transposed.a = {turned.data(), DType::kF32, 1, 100};
  multiply(kernels(), {context_.pool(), &context_}, transposed);
  EXPECT_TRUE(again.c.same_bits(large.c));
  for (std::int64_t row = 0; row < 5; ++row) {
    for (std::int64_t column = 0; column < 7; ++column) {
      ASSERT_EQ(small.c.at(row, column), large.c.at(row, column));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Gemm, ::testing::Range(0, runnable_micro_kernels().count),
                         [](const auto& info) {
                           std::string name = runnable_micro_kernels().tables[info.param]->name;
                           return name.substr(name.rfind('-') + 1);
                         });

TEST(GemmDoor, WithAvx512AndWithAvx2GivesTheSameBits) {
  const MicroKernelList& list = runnable_micro_kernels();
  if (list.count < 3) GTEST_SKIP() << "SKIPPED: this processor has no AVX-512";
  Trial wide({77, 200, 900});
  Trial narrow({77, 200, 900});
  ThreadPool one(1);
  multiply(*list.tables[0], {one.pool(), &one}, wide.product());
  multiply(*list.tables[1], {one.pool(), &one}, narrow.product());
  EXPECT_TRUE(wide.c.same_bits(narrow.c));
}

TEST(GemmDoor, InlineIsTheSameProduct) {
  ThreadPool three(3);
  Trial inline_trial({70, 90, 500, false, true});
  Trial trial({70, 90, 500, false, true});
  gemm_inline(Pool::host(), inline_trial.product());
  gemm(three, trial.product());
  inline_trial.expect_right();
  EXPECT_TRUE(inline_trial.c.same_bits(trial.c));
}

TEST(GemmDoor, TakesItsScratchFromThePoolAndGivesItBack) {
  ThreadPool two(2);
  Trial trial({300, 200, 500, true, false});
  gemm(two, trial.product());
  const Pool::Statistics first = two.pool().statistics();
  EXPECT_EQ(first.bytes_in_use, 0U);
  // How many tiles are packed at once is up to the workers, at most one a worker.
  for (int i = 0; i < 20; ++i) gemm(two, trial.product());
  EXPECT_LE(two.pool().statistics().misses, first.misses + 1);
  EXPECT_EQ(two.pool().statistics().bytes_in_use, 0U);
}

/// Edge tiles of every kind, all epilogues, accumulation.
void check_onednn(DType dtype) {
  ThreadPool one(1);
  ThreadPool three(3);
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    for (const auto& [rows, columns] :
         {std::pair{300, 330}, std::pair{17, 5}, std::pair{64, 600}}) {
      Options plain{rows, columns, 70, transpose_a, transpose_b, dtype, dtype};
      Options added = plain;
      added.accumulate = added.bias = true;
      Options finished = plain;
      finished.bias = finished.pre_activation = finished.residual = true;
      finished.activation = Activation::kGelu;
      finished.c = DType::kBF16;
      for (const Options& options : {plain, added, finished}) {
        Trial trial(options);
        Trial alone(options);
        ASSERT_TRUE(multiply_by_onednn(micro_kernels(), {three.pool(), &three}, trial.product()))
            << options.text();
        trial.expect_right();
        trial.expect_rest_untouched();
        ASSERT_TRUE(multiply_by_onednn(micro_kernels(), {one.pool(), &one}, alone.product()));
        alone.c.refresh();
        EXPECT_TRUE(alone.c.same_bits(trial.c)) << options.text();
      }
    }
  }
}

TEST(Onednn, MultipliesUnderOurTiles) { check_onednn(DType::kF32); }

TEST(Onednn, MultipliesBf16WhereTheProcessorDoes) {
  if (!has_bf16_products()) {
    GTEST_SKIP() << "SKIPPED: this processor has neither AMX nor AVX512_BF16, so oneDNN's bf16 "
                    "products were not tested";
  }
  check_onednn(DType::kBF16);
}

TEST(Onednn, RefusesWithoutWritingWhatItCannotDoFast) {
  ThreadPool one(1);
  Trial trial({20, 30, 40});
  MatrixProduct product = trial.product();
  product.a.column_stride = 2;
  product.a.row_stride = 3;
  EXPECT_FALSE(multiply_by_onednn(micro_kernels(), {one.pool(), &one}, product));
  EXPECT_TRUE(trial.c.same_bits(trial.before));
  if (has_bf16_products()) return;
  Trial bf16({20, 30, 40, false, false, DType::kBF16, DType::kBF16});
  EXPECT_FALSE(multiply_by_onednn(micro_kernels(), {one.pool(), &one}, bf16.product()));
  EXPECT_TRUE(bf16.c.same_bits(bf16.before));
}

// The door that callers use: oneDNN where it is fast, our engine elsewhere.
TEST(GemmDoor, MultipliesBf16OnAnyProcessor) {
  ThreadPool two(2);
  for (const auto& [transpose_a, transpose_b] : kLayouts) {
    Trial trial({100, 90, 200, transpose_a, transpose_b, DType::kBF16, DType::kBF16, DType::kBF16});
    gemm(two, trial.product());
    trial.expect_right();
  }
}

// Heads of attention: (sample, head) are two axes whose strides no single number gives.
TEST(GemmBatch, ShiftsItsOperandsAlongEachAxis) {
  constexpr std::int64_t kSamples = 2, kHeads = 3, kLength = 20, kWidth = 8;
  constexpr std::int64_t kChannels = kHeads * kWidth;
  ThreadPool three(3);
  const Matrix q(kSamples * kLength, kChannels, false, DType::kF32, 0, "q");
  const Matrix k(kSamples * kLength, kChannels, false, DType::kF32, 0, "k");
  std::vector<float> scores(kSamples * kHeads * kLength * kLength);
  const MatrixProduct product{.rows = kLength,
                              .columns = kLength,
                              .inner = kWidth,
                              .a = {q.data(), DType::kF32, kChannels, 1},
                              .b = {k.data(), DType::kF32, 1, kChannels},
                              .c = {scores.data(), DType::kF32, kLength}};
  const std::array axes = {
      BatchAxis{kSamples, kLength * kChannels, kLength * kChannels, kHeads * kLength * kLength},
      BatchAxis{kHeads, kWidth, kWidth, kLength * kLength}};
  gemm_batch(three, product, axes);
  std::size_t at = 0;
  for (std::int64_t sample = 0; sample < kSamples; ++sample) {
    for (std::int64_t head = 0; head < kHeads; ++head) {
      for (std::int64_t row = 0; row < kLength; ++row) {
        for (std::int64_t column = 0; column < kLength; ++column, ++at) {
          double sum = 0;
          for (std::int64_t w = 0; w < kWidth; ++w) {
            sum += q.at(sample * kLength + row, head * kWidth + w) *
                   k.at(sample * kLength + column, head * kWidth + w);
          }
          ASSERT_NEAR(scores[at], sum, 1e-5);
        }
      }
    }
  }
}

TEST(GemmBatch, OfLargeProductsIsEachProduct) {
  ThreadPool three(3);
  constexpr std::int64_t kSize = 410;  // above what one worker is given whole
  const Matrix a(2 * kSize, kSize, false, DType::kBF16, 0, "a");
  const Matrix b(kSize, kSize, false, DType::kF32, 0, "b");
  std::vector<float> batch(2 * kSize * kSize);
  std::vector<float> single(batch.size());
  MatrixProduct product{.rows = kSize,
                        .columns = kSize,
                        .inner = kSize,
                        .a = a.operand(),
                        .b = b.operand(),
                        .c = {batch.data(), DType::kF32, kSize}};
  gemm_batch(three, product, std::array{BatchAxis{2, kSize * kSize, 0, kSize * kSize}});
  product.rows *= 2;
  product.c.data = single.data();
  gemm(three, product);
  EXPECT_EQ(batch, single);
}

}  // namespace
}  // namespace reef::ops::cpu
