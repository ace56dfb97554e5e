#pragma once
// The kernel catalog: which function computes an op on a device for a dtype and a layout, what
// shape comes out and what it costs. Callers ask it; the planner reads its costs; backends only
// give it a table of kernels.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ops/catalog/attributes.h"
#include "ops/catalog/op.h"
#include "ops/tensor/context.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/error.h"

namespace reef::ops {

/// One call of a kernel: outputs are allocated and of the inferred shapes.
struct Call {
  Context& context;
  std::span<const Tensor> in;
  std::span<const Tensor> out;
  const Attributes& attributes;
};
using Kernel = void (*)(const Call& call);

/// What a kernel is found by. `dtype` is that of the first input (kFill and random ops: of the
/// result; updates: of the gradients). `layout` kRowMajor: every input must lie so; kChannelsLast:
/// the first input and the outputs do; kStrided: any.
struct Key {
  Op op;
  Device device;
  DType dtype;
  Layout layout;
  bool operator==(const Key&) const = default;
  std::string text() const;  ///< "matmul on cpu for bf16, row-major"
};

/// The order in which a kernel adds. Two kernels of a key are of one class when they give the same
/// bits for the same inputs, whatever the shapes: the same elements added in the same order, fused
/// multiply-adds in the same places. Products that add K in different orders are of two classes,
/// however close their results. 0 is the only class of kernels that nobody chooses among.
using NumericClass = std::uint8_t;

/// What a kernel should take for a call, in any unit that the candidates of its key share: the cost
/// model by which most candidates are left out of measurements.
using Estimate = double (*)(const Call& call);

struct Entry {
  Key key;
  Kernel kernel;
  std::string_view name = "";  ///< tells candidates of one key apart: "tall", "square"
  NumericClass numeric = 0;
  Estimate estimate = nullptr;  ///< null: none, always worth a measurement
};

/// The rule for candidates of one key: names of their own, and one numeric class, for the machine
/// on which a job runs, and its load while it was tuned, must not decide about the bits of its
/// result. A kernel of another class is another op or another device, chosen by a person.
/// kTensor with the key and the names where the rule is broken.
Status check_candidates(std::span<const Entry* const> candidates);

/// Gives a backend's kernels to the process's catalog, which keeps the span. Candidates for one key
/// stand in the order of preference; check_candidates() must accept them. Called by whoever loads
/// the backend, before kernels run; the built-in backends are there from the start.
void add_kernels(std::span<const Entry> entries);
/// Every kernel there is, one span for each backend.
std::span<const std::span<const Entry>> kernel_tables();

/// How a call gets to a kernel.
struct Route {
  std::span<const Entry* const> candidates;  ///< all of one key; the first is preferred
  bool copy_inputs = false;                  ///< inputs must be made row major first
  bool cast = false;                         ///< tensors of the key's dtype go through f32
  bool via_host = false;                     ///< inputs are copied to the CPU and the outputs back
};
/// In this order: the exact key; any layout; row major after a copy; f32 after a cast (bf16 and
/// f16); the CPU, and there the reference; else kTensor naming the op, the key and the nearest
/// kernel. Constant time after the first question.
Result<Route> route(const Key& key);

/// Picks among the candidates of one key, which all give the same bits (one NumericClass), by
/// measuring; see ops/tune. Without one the first candidate runs.
class Chooser {
 public:
  virtual ~Chooser() = default;
  /// Runs one of `candidates` (two or more).
  virtual void run(std::span<const Entry* const> candidates, const Call& call) = 0;
};
/// Set before kernels run; null takes it away. Not owned.
void set_chooser(Chooser* chooser);

/// Is told of every kernel that runs, for costs and traces.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Before the kernel runs, on the thread that called the op.
  virtual void launched(Op op, const Call& call) = 0;
  /// After the kernel has returned; an asynchronous device may still be at it.
  virtual void returned(Op, const Call&) {}
};
/// Set while no op runs; null takes it away. Not owned.
void set_observer(Observer* observer);

/// Shapes and dtypes of an op's outputs.
struct Signature {
  std::array<TensorSpec, kMaxOutputs> outputs;
  std::size_t count = 0;
};
using Specs = std::span<const TensorSpec* const>;

/// Shape inference without computing: kTensor when the inputs do not fit the op.
Result<Signature> infer(Op op, Specs in, const Attributes& attributes);
Result<Signature> infer(Op op, std::span<const TensorSpec> in, const Attributes& attributes);

struct Cost {
  double flops = 0;
  double bytes = 0;  ///< read and written once each
};
/// Precondition: `infer` accepts the same arguments.
Cost cost_of(Op op, std::span<const TensorSpec> in, const Attributes& attributes);

/// Infers, allocates from the context's pool, finds the kernel and runs it. `out` receives the
/// outputs; a tensor that is already there must fit and is written instead. Inputs must be on the
/// context's device. A shape that does not fit, or a key that no kernel serves, is a bug of the
/// caller and ends the process: ask infer() and route() about what comes from outside.
void run(Context& context, Op op, std::span<const Tensor> in, std::span<Tensor> out,
         const Attributes& attributes);

/// Elements of one partial sum of kSquareSum.
inline constexpr std::int64_t kSquareSumBlock = 4096;
/// Blocks are added within pieces of so many elements, then pieces: a tensor that several owners
/// share out at these bounds has the same square sum.
inline constexpr std::int64_t kSquareSumPiece = 1 << 20;

}  // namespace reef::ops
