#pragma once
// Runs one call on the GPU and on the plain kernels, and holds one against the other.

#include <functional>
#include <string>
#include <vector>

#include "ops/catalog/catalog.h"
#include "ops/tensor/context.h"

namespace reef::ops::gpu {

/// What an input is made of. Floats are of the dtype that the case runs in, or of `fixed`.
enum class Fill {
  kNormal,
  kPositive,   ///< in [0.1, 3)
  kIndex,      ///< i32 in [0, bound)
  kLongIndex,  ///< i64 in [0, bound)
  kTarget,     ///< i32 in [-1, bound)
  kBool,
};

struct Input {
  Shape shape;
  Fill fill = Fill::kNormal;
  std::uint64_t bound = 0;
  bool is_f32 = false;  ///< whatever the case runs in (but f64 in f64): statistics
};

struct Case {
  std::string name;
  Op op;
  std::vector<Input> inputs;
  Attributes attributes = {};
  bool to_is_dtype = false;  ///< attributes.to is the dtype that the case runs in
};

inline constexpr DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64};

/// Normal numbers in `dtype` (integers: eight times them, truncated).
Tensor normal_of(DType dtype, const Shape& shape, std::string_view name);
std::vector<Tensor> inputs_of(const Case& test, DType dtype);
/// `axis` and the next swapped in memory: the same elements, strided. Or the last two axes.
Tensor strided(const Tensor& tensor, std::size_t axis);
Tensor strided(const Tensor& tensor);
/// A copy on the device, lying as `tensor` does.
Tensor to_gpu(Context& context, const Tensor& tensor);

/// The outputs of a call, on the host.
std::vector<Tensor> run_plain(Op op, const std::vector<Tensor>& in, const Attributes& attributes);
std::vector<Tensor> run_gpu(Op op, const std::vector<Tensor>& in, const Attributes& attributes);

/// The greatest difference, relative to the greatest finite value; infinite when a NaN or an
/// infinity is not where the other has it.
double difference_of(const Tensor& a, const Tensor& b);
/// What results of sums and elementary functions in `dtype` may differ by.
double precision_of(DType dtype);

/// Both runs agree within precision_of(dtype) times `slack`, and the GPU gives the same bits twice.
void expect_agreement(const std::string& what, Op op, const std::vector<Tensor>& in,
                      const Attributes& attributes, DType dtype, double slack = 1);

// Cases by family (cases*.cc).
std::vector<Case> dense_cases();
std::vector<Case> index_cases();
std::vector<Case> vision_cases();
std::vector<Case> row_cases();
std::vector<Case> pointwise_cases();
std::vector<Case> reduce_cases();
std::vector<Case> move_cases();

}  // namespace reef::ops::gpu
