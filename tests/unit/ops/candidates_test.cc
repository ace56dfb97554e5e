// The rule of numeric classes on the kernels themselves: candidates of one key give the same bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "ops/catalog/catalog.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::normal;
using testing::same_bits;

struct Product3 {
  std::int64_t rows, inner, columns;
};

/// One product by one candidate.
Tensor multiply(const Entry& entry, Context& context, const Product3& size, Product product) {
  const bool nt = product == Product::kNT;
  const bool tn = product == Product::kTN;
  const std::array in{
      normal(tn ? Shape{size.inner, size.rows} : Shape{size.rows, size.inner}, "a"),
      normal(nt ? Shape{size.columns, size.inner} : Shape{size.inner, size.columns}, "b"),
      normal({size.columns}, "bias"), normal({size.rows, size.columns}, "residual")};
  const std::array out{Tensor::empty(context.pool(), DType::kF32, {size.rows, size.columns})};
  Attributes attributes;
  attributes.product = product;
  attributes.activation = Activation::kGelu;
  entry.kernel({context, in, out, attributes});
  return out[0];
}

TEST(Candidates, OfTheMatrixProductGiveTheSameBits) {
  const Route found = route({Op::kMatmul, Device::kCpu, DType::kF32, Layout::kRowMajor}).value();
  ASSERT_GE(found.candidates.size(), 2u);
  ThreadPool one(1);
  ThreadPool three(3);
  for (const Product3& size :
       {Product3{1, 7, 1}, {5, 384, 17}, {97, 385, 200}, {130, 1000, 33}, {300, 64, 700}}) {
    for (const Product product : {Product::kNN, Product::kNT, Product::kTN}) {
      const Tensor first = multiply(*found.candidates[0], one, size, product);
      for (const Entry* entry : found.candidates) {
        SCOPED_TRACE(std::string(entry->name) + ", " + std::to_string(size.rows) + " rows");
        EXPECT_TRUE(same_bits(multiply(*entry, one, size, product), first));
        EXPECT_TRUE(same_bits(multiply(*entry, three, size, product), first));
      }
    }
  }
}

TEST(Candidates, OfTheMatrixProductAreEstimatedByTheirBalance) {
  const Route found = route({Op::kMatmul, Device::kCpu, DType::kF32, Layout::kRowMajor}).value();
  ThreadPool three(3);
  const std::array in{normal({500, 16}, "a"), normal({16, 500}, "b")};
  const std::array out{normal({500, 500}, "c")};
  const double preferred = found.candidates[0]->estimate({three, in, out, {}});
  double least = preferred;
  for (const Entry* entry : found.candidates) {
    const double estimate = entry->estimate({three, in, out, {}});
    EXPECT_GE(3 * estimate, 500 * 500) << entry->name;
    least = std::min(least, estimate);
  }
  EXPECT_LT(least, preferred);  // 500 rows and columns leave large tiles half empty
}

}  // namespace
}  // namespace reef::ops
