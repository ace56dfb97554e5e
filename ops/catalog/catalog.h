#pragma once
// The kernel catalog: which function computes an op on a device for a dtype, what shape comes out
// and what it costs. Ops ask it; the planner reads its costs; backends only fill its table.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/error.h"

namespace reef::ops {

enum class Op : std::uint8_t {
  kMatmul,            ///< (a, b[, bias]) -> c
  kColumnSum,         ///< (x) -> sum over rows
  kEmbedding,         ///< (tokens, wte, wpe) -> rows
  kEmbeddingGrad,     ///< (tokens, grad) -> (wte grad, wpe grad)
  kLayerNorm,         ///< (x, weight, bias) -> (y, statistics)
  kLayerNormGrad,     ///< (x, weight, statistics, grad) -> (x, weight, bias grads)
  kGelu,              ///< (x) -> y, the tanh form of GPT-2
  kGeluGrad,          ///< (x, grad) -> x grad
  kAttention,         ///< (qkv) -> (out, log-sum-exp), causal
  kAttentionGrad,     ///< (qkv, out, log-sum-exp, grad) -> qkv grad
  kAdd,               ///< (a, b) -> a + b
  kCrossEntropy,      ///< (logits, targets) -> loss of each row, f64 bits as u8
  kCrossEntropyGrad,  ///< (logits, targets) -> loss of each row, logits grad
  kDropout,           ///< (x) -> x with elements dropped; its own gradient, too
  kCast,              ///< f32 <-> bf16
  kSquareSum,         ///< (x) -> sum of squares of each block, f64 bits as u8
  kAdamW,             ///< (grad; master, m, v in place)
};
inline constexpr std::size_t kOpCount = static_cast<std::size_t>(Op::kAdamW) + 1;

std::string_view name_of(Op op);
Result<Op> op_named(std::string_view name);

/// How the operands of a matmul lie: NN is a b, NT is a b^T, TN is a^T b.
enum class Layout : std::uint8_t { kNN, kNT, kTN };

/// Draws of one dropout: a pure function of these and of the element, not of who computes it.
struct Draw {
  float probability = 0;  ///< of dropping; 0: nothing happens
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint64_t op = 0;            ///< which dropout of the model
  std::uint64_t first_sample = 0;  ///< global index of the tensor's first row of samples
};

/// The factors of torch.optim.AdamW. `step` counts from 1.
struct AdamW {
  float lr = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 1e-2f;
  std::int64_t step = 1;
  float grad_scale = 1;  ///< multiplies the gradient first: 1 / tokens, clipping
};

/// What an op needs beside tensors; each op reads its own fields.
struct Attributes {
  Layout layout = Layout::kNN;
  std::int64_t heads = 1;
  std::int64_t rows = 0;     ///< embedding gradient: vocabulary
  std::int64_t columns = 0;  ///< embedding gradient: positions
  float epsilon = 1e-5f;
  float scale = 1;
  DType to = DType::kF32;
  Draw draw;
  AdamW adamw;
};

/// One call of a kernel: outputs are allocated and of the inferred shapes.
struct Call {
  Context& context;
  std::span<const Tensor> in;
  std::span<const Tensor> out;
  const Attributes& attributes;
};
using Kernel = void (*)(const Call& call);

struct Entry {
  Op op;
  Device device;
  DType dtype;  ///< of the first input
  Kernel kernel;
};

/// Every kernel there is, in one place (catalog/table.cc).
std::span<const Entry> kernel_table();
/// The device's own kernel; else, for a device that reads host memory, the reference one; else
/// null.
Kernel find_kernel(Op op, Device device, DType dtype);

/// Shapes and dtypes of an op's outputs.
struct Signature {
  static constexpr std::size_t kMaxOutputs = 3;
  struct Output {
    Shape shape;
    DType dtype = DType::kF32;
  };
  std::array<Output, kMaxOutputs> outputs;
  std::size_t count = 0;
};

/// Shape inference without computing: kTensor when the inputs do not fit the op.
Result<Signature> infer(Op op, std::span<const Signature::Output> in, const Attributes& attributes);

struct Cost {
  double flops = 0;
  double bytes = 0;  ///< read and written once each
};
/// Precondition: `infer` accepts the same arguments.
Cost cost_of(Op op, std::span<const Signature::Output> in, const Attributes& attributes);

/// Infers, allocates from the context's pool, looks up and runs; `out` receives the outputs.
void run(Context& context, Op op, std::span<const Tensor> in, std::span<Tensor> out,
         const Attributes& attributes);

/// Elements of one partial sum of kSquareSum.
inline constexpr std::int64_t kSquareSumBlock = 4096;

}  // namespace reef::ops
