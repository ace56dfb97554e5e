// Fused attention against its unfused composition: batched product, mask and softmax, batched
// product, with the weights materialised and every product a dnnl_sgemm.
//
// Rates count the useful work of causal attention, 2 (forward) or 5 (backward) products of
// T (T + 1) / 2 weights, for both, so that they compare as times do. `peak` is the fraction of the
// multiply-adds that the threads' cores could do.

#include <benchmark/benchmark.h>
#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cpu/attention/attention.h"
#include "ops/cpu/isa/softmax.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"
#include "tests/bench/fma_peak.h"

namespace reef::ops::cpu {
namespace {

struct Problem {
  std::int64_t samples, length, heads, width;
  std::int64_t channels() const { return heads * width; }
  std::size_t floats() const { return static_cast<std::size_t>(samples * length * channels()); }
};

std::vector<float> normal(std::size_t count, const char* name) {
  const Random random(7, name);
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = random.normal(0, i);
  return values;
}

/// Everything that both variants read and write; qkv and its gradient are packed (B, T, 3 C).
struct Operands {
  Problem problem;
  AttentionShape shape;
  std::vector<float> qkv, out, log_sum_exp, grad, grad_qkv;

  explicit Operands(const Problem& p)
      : problem(p),
        qkv(normal(3 * p.floats(), "qkv")),
        out(p.floats()),
        log_sum_exp(static_cast<std::size_t>(p.samples * p.heads * p.length)),
        grad(normal(p.floats(), "grad")),
        grad_qkv(3 * p.floats()) {
    shape.samples = p.samples;
    shape.queries = shape.keys = p.length;
    shape.heads = shape.groups = p.heads;
    shape.width = p.width;
    shape.causal = true;
  }
  template <typename T>
  Strided<T> part(std::vector<float>& packed, std::int64_t part) {
    const std::int64_t row = 3 * problem.channels();
    return {packed.data() + part * problem.channels(), problem.length * row, row, problem.width};
  }
  template <typename T>
  Strided<T> whole(std::vector<float>& values) {
    const std::int64_t row = problem.channels();
    return {values.data(), problem.length * row, row, problem.width};
  }
};

void fused_forward(Context& context, Operands& o) {
  attention_forward(context, o.shape, o.part<const void>(o.qkv, 0), o.part<const void>(o.qkv, 1),
                    o.part<const void>(o.qkv, 2), o.whole<void>(o.out), o.log_sum_exp.data());
}

void fused_backward(Context& context, Operands& o) {
  const AttentionSaved saved{o.part<const void>(o.qkv, 0), o.part<const void>(o.qkv, 1),
                             o.part<const void>(o.qkv, 2), o.whole<const void>(o.out),
                             o.log_sum_exp.data()};
  attention_backward(context, o.shape, saved, o.whole<const void>(o.grad),
                     o.part<void>(o.grad_qkv, 0), o.part<void>(o.grad_qkv, 1),
                     o.part<void>(o.grad_qkv, 2));
}

/// Row-major c = factor op(a) op(b) on the calling thread alone.
void product(float factor, bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
             std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
             float* c, std::int64_t ldc) {
  // OpenMP's setting is one for each thread; oneDNN would start a team beside our workers.
  [[maybe_unused]] static thread_local const bool alone = (omp_set_num_threads(1), true);
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k,
                                          factor, a, lda, b, ldb, 0, c, ldc);
  CHECK(status == dnnl_success) << "dnnl_sgemm: " << status;
}

/// The unfused variant: each step is a pass over all heads, as separate ops would make it.
class Unfused {
 public:
  explicit Unfused(Operands& operands)
      : o_(operands),
        p_(operands.problem),
        weights_(static_cast<std::size_t>(p_.samples * p_.heads * p_.length * p_.length)),
        grads_(weights_.size()) {}

  void forward(Context& context) {
    each(context, [this](const Head& h) { square(scale(), h.q, row(), h.k, row(), h.p); });
    each(context, [this](const Head& h) {
      for (std::int64_t i = 0; i < p_.length; ++i) {
        float* p = h.p + i * p_.length;
        softmax_kernels().softmax({.columns = i + 1, .x = p, .out = p}, 0, 1);
        std::fill(p + i + 1, p + p_.length, 0.0f);
      }
    });
    each(context,
         [this](const Head& h) { narrow(1, false, h.p, h.v, row(), h.out, p_.channels()); });
  }

  void backward(Context& context) {
    each(context,
         [this](const Head& h) { narrow(1, true, h.p, h.grad, p_.channels(), h.dv, row()); });
    each(context, [this](const Head& h) { square(1, h.grad, p_.channels(), h.v, row(), h.dp); });
    each(context, [this](const Head& h) {
      for (std::int64_t i = 0; i < p_.length; ++i) {
        float* dp = h.dp + i * p_.length;
        const float* p = h.p + i * p_.length;
        softmax_kernels().softmax_grad({.columns = i + 1, .x = p, .grad = dp, .out = dp}, 0, 1);
        std::fill(dp + i + 1, dp + p_.length, 0.0f);
      }
    });
    each(context, [this](const Head& h) { narrow(scale(), false, h.dp, h.k, row(), h.dq, row()); });
    each(context, [this](const Head& h) { narrow(scale(), true, h.dp, h.q, row(), h.dk, row()); });
  }

 private:
  struct Head {
    const float *q, *k, *v, *grad;
    float *p, *dp, *out, *dq, *dk, *dv;
  };

  std::int64_t row() const { return 3 * p_.channels(); }
  float scale() const { return 1 / std::sqrt(static_cast<float>(p_.width)); }

  /// (T, T) from two (T, width).
  void square(float factor, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
              float* to) const {
    product(factor, false, true, p_.length, p_.length, p_.width, a, lda, b, ldb, to, p_.length);
  }
  /// (T, width) from (T, T) and (T, width).
  void narrow(float factor, bool transpose, const float* a, const float* b, std::int64_t ldb,
              float* to, std::int64_t ldto) const {
    product(factor, transpose, false, p_.length, p_.width, p_.length, a, p_.length, b, ldb, to,
            ldto);
  }
  template <typename Body>
  void each(Context& context, const Body& body) {
    context.parallel_for(
        static_cast<std::size_t>(p_.samples * p_.heads),
        [this, &body](std::size_t task) { body(head(static_cast<std::int64_t>(task))); });
  }
  Head head(std::int64_t index) {
    const std::int64_t sample = index / p_.heads;
    const std::int64_t column = index % p_.heads * p_.width;
    const std::int64_t channels = p_.channels();
    const std::int64_t packed = sample * p_.length * row() + column;
    const std::int64_t plain = sample * p_.length * channels + column;
    const std::int64_t square = index * p_.length * p_.length;
    const float* q = o_.qkv.data() + packed;
    float* dq = o_.grad_qkv.data() + packed;
    return {q,
            q + channels,
            q + 2 * channels,
            o_.grad.data() + plain,
            weights_.data() + square,
            grads_.data() + square,
            o_.out.data() + plain,
            dq,
            dq + channels,
            dq + 2 * channels};
  }

  Operands& o_;
  Problem p_;
  std::vector<float> weights_, grads_;
};

void report(benchmark::State& state, const Problem& p, double products) {
  static const double peak = reef::bench::fma_peak();
  const double threads = static_cast<double>(state.range(0));
  const double weights = static_cast<double>(p.length) * static_cast<double>(p.length + 1) / 2;
  const double flops = products * 2 * weights * static_cast<double>(p.samples * p.channels());
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["peak"] = Counter(flops / (peak * threads), Counter::kIsIterationInvariantRate);
}

template <bool kFused>
void measure_forward(benchmark::State& state, const Problem& problem) {
  ThreadPool context(static_cast<std::size_t>(state.range(0)));
  Operands operands(problem);
  if constexpr (kFused) {
    for (auto _ : state) fused_forward(context, operands);
  } else {
    Unfused unfused(operands);
    for (auto _ : state) unfused.forward(context);
  }
  report(state, problem, 2);
}

template <bool kFused>
void measure_backward(benchmark::State& state, const Problem& problem) {
  ThreadPool context(static_cast<std::size_t>(state.range(0)));
  Operands operands(problem);
  fused_forward(context, operands);
  if constexpr (kFused) {
    for (auto _ : state) fused_backward(context, operands);
  } else {
    Unfused unfused(operands);
    unfused.forward(context);
    for (auto _ : state) unfused.backward(context);
  }
  report(state, problem, 5);
}

using Measure = void (*)(benchmark::State&, const Problem&);

void add(const char* name, Measure measure, const Problem& problem) {
  benchmark::RegisterBenchmark(name, measure, problem)
      ->ArgName("threads")
      ->Arg(1)
      ->Arg(2)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace reef::ops::cpu

int main(int argc, char** argv) {
  using namespace reef::ops::cpu;
  constexpr Problem kLong{1, 2048, 6, 64};
  constexpr Problem kGpt{8, 256, 6, 64};
  add("long/forward/fused", measure_forward<true>, kLong);
  add("long/forward/unfused", measure_forward<false>, kLong);
  add("long/backward/fused", measure_backward<true>, kLong);
  add("long/backward/unfused", measure_backward<false>, kLong);
  add("gpt/forward/fused", measure_forward<true>, kGpt);
  add("gpt/forward/unfused", measure_forward<false>, kGpt);
  add("gpt/backward/fused", measure_backward<true>, kGpt);
  add("gpt/backward/unfused", measure_backward<false>, kGpt);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
