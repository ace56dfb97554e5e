// The matrix products of one training step of a GPT (384 wide, 6 heads, 8 samples of 256 tokens):
// our ops with the tiling that the tuner chose, oneDNN's sgemm, oneDNN's matmul primitive with its
// right operand packed beforehand, and the peak of the processor's multiply-adds in the same run.
//
//   gemm_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only

#include <benchmark/benchmark.h>
#include <dnnl.h>
#include <immintrin.h>
#include <omp.h>

#include <dnnl.hpp>
#include <string>
#include <thread>

#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "ops/tune/tuner.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {
namespace {

struct Case {
  const char* name;
  Product product;
  std::int64_t rows, columns, inner;
  std::int64_t batch = 1;  ///< such products side by side: the heads of all samples

  bool transpose_a() const { return product == Product::kTN; }
  bool transpose_b() const { return product == Product::kNT; }
  double flops() const { return 2.0 * static_cast<double>(batch * rows * columns * inner); }
  std::int64_t lda() const { return transpose_a() ? rows : inner; }
  std::int64_t ldb() const { return transpose_b() ? inner : columns; }
};

constexpr std::int64_t kHeads = 48;
constexpr Case kCases[] = {
    {"qkv", Product::kNN, 2048, 1152, 384},
    {"projection", Product::kNN, 2048, 384, 384},
    {"up", Product::kNN, 2048, 1536, 384},
    {"down", Product::kNN, 2048, 384, 1536},
    {"head", Product::kNT, 2048, 256, 384},
    {"qkv_dx", Product::kNT, 2048, 384, 1152},
    {"projection_dx", Product::kNT, 2048, 384, 384},
    {"up_dx", Product::kNT, 2048, 384, 1536},
    {"down_dx", Product::kNT, 2048, 1536, 384},
    {"qkv_dw", Product::kTN, 384, 1152, 2048},
    {"projection_dw", Product::kTN, 384, 384, 2048},
    {"up_dw", Product::kTN, 384, 1536, 2048},
    {"down_dw", Product::kTN, 1536, 384, 2048},
    {"scores", Product::kNT, 256, 256, 64, kHeads},
    {"context", Product::kNN, 256, 64, 256, kHeads},
    {"values_dx", Product::kTN, 256, 64, 256, kHeads},
};

/// As a context's pool gives them: aligned to a cache line.
struct Matrices {
  Tensor a, b, c;
  explicit Matrices(const Case& shape)
      : a(of(shape, shape.transpose_a(), shape.rows, shape.inner)),
        b(of(shape, shape.transpose_b(), shape.inner, shape.columns)),
        c(of(shape, false, shape.rows, shape.columns)) {
    int i = 0;
    for (float& value : a.values<float>()) value = static_cast<float>(i++ % 7) - 3;
    for (float& value : b.values<float>()) value = static_cast<float>(i++ % 5) - 2;
  }
  static Tensor of(const Case& shape, bool transposed, std::int64_t rows, std::int64_t columns) {
    if (transposed) std::swap(rows, columns);
    const Shape one{rows, columns};
    return Tensor::empty(Pool::host(), DType::kF32,
                         shape.batch > 1 ? one.inserted(0, shape.batch) : one);
  }
};

void report(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

/// Calls after which the tuner has chosen among the candidates of a product.
constexpr int kTuningCalls = 40;

void ours(benchmark::State& state, const Case& shape, int threads) {
  const Matrices m(shape);
  ThreadPool context(static_cast<std::size_t>(threads));
  const auto multiply = [&] {
    return shape.batch > 1 ? batch_matmul(context, m.a, m.b, shape.product)
                           : matmul(context, m.a, m.b, shape.product);
  };
  for (int i = 0; i < kTuningCalls; ++i) multiply();
  for (auto _ : state) benchmark::DoNotOptimize(multiply());
  report(state, shape.flops());
}

void onednn_sgemm(benchmark::State& state, const Case& shape, int threads) {
  Matrices m(shape);
  omp_set_num_threads(threads);
  const auto multiply = [&](std::int64_t i) {
    const dnnl_status_t status =
        dnnl_sgemm(shape.transpose_a() ? 'T' : 'N', shape.transpose_b() ? 'T' : 'N', shape.rows,
                   shape.columns, shape.inner, 1, m.a.data<float>() + i * shape.rows * shape.inner,
                   shape.lda(), m.b.data<float>() + i * shape.inner * shape.columns, shape.ldb(), 0,
                   m.c.data<float>() + i * shape.rows * shape.columns, shape.columns);
    CHECK(status == dnnl_success) << status;
  };
  for (auto _ : state) {
    for (std::int64_t i = 0; i < shape.batch; ++i) multiply(i);
  }
  report(state, shape.flops());
}

void onednn_primitive(benchmark::State& state, const Case& shape, int threads) {
  using dnnl::memory;
  Matrices m(shape);
  omp_set_num_threads(threads);
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto f32 = memory::data_type::f32;
  const auto tag = [&shape](bool transposed) {
    if (shape.batch > 1) return transposed ? memory::format_tag::acb : memory::format_tag::abc;
    return transposed ? memory::format_tag::ba : memory::format_tag::ab;
  };
  const auto dims = [&shape](std::int64_t rows, std::int64_t columns) {
    return shape.batch > 1 ? memory::dims{shape.batch, rows, columns} : memory::dims{rows, columns};
  };
  const memory::desc a(dims(shape.rows, shape.inner), f32, tag(shape.transpose_a()));
  const memory::desc b(dims(shape.inner, shape.columns), f32, tag(shape.transpose_b()));
  const memory::desc any(dims(shape.inner, shape.columns), f32, memory::format_tag::any);
  const memory::desc c(dims(shape.rows, shape.columns), f32, tag(false));
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, any, c), engine);
  const dnnl::matmul matmul(description);
  memory given(b, engine, m.b.data<float>());
  memory packed(description.weights_desc(), engine);
  dnnl::reorder(given, packed).execute(stream, given, packed);
  const std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, {a, engine, m.a.data<float>()}},
      {DNNL_ARG_WEIGHTS, packed},
      {DNNL_ARG_DST, {c, engine, m.c.data<float>()}}};
  for (auto _ : state) {
    matmul.execute(stream, arguments);
    stream.wait();
  }
  report(state, shape.flops());
}

// Twelve independent chains hide the latency of a multiply-add on every processor so far; more
// vectors than registers would not be a peak.
constexpr int kChains = 12;
constexpr int kSteps = 1 << 16;

[[gnu::target("avx512f")]] void chains_512() {
  __m512 chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.999f);
  for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = _mm512_fmadd_ps(chain[i], factor, factor);
  }
  for (int i = 0; i < kChains; ++i) benchmark::DoNotOptimize(_mm512_cvtss_f32(chain[i]));
}

[[gnu::target("avx2,fma")]] void chains_256() {
  __m256 chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.999f);
  for (int step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = _mm256_fmadd_ps(chain[i], factor, factor);
  }
  for (int i = 0; i < kChains; ++i) benchmark::DoNotOptimize(_mm256_cvtss_f32(chain[i]));
}

void peak(benchmark::State& state, int threads) {
  const bool wide = __builtin_cpu_supports("avx512f") != 0;
  ThreadPool workers(static_cast<std::size_t>(threads));
  for (auto _ : state) {
    workers.parallel_for(static_cast<std::size_t>(8 * threads),
                         [wide](std::size_t) { wide ? chains_512() : chains_256(); });
  }
  report(state, 2.0 * (wide ? 16 : 8) * kChains * kSteps * 8 * threads);
}

using Run = void (*)(benchmark::State&, const Case&, int);

void add(const char* who, Run run, const Case& shape, int threads) {
  const std::string name =
      std::string(shape.name) + "/" + who + "/threads:" + std::to_string(threads);
  benchmark::RegisterBenchmark(name.c_str(), [run, &shape, threads](benchmark::State& state) {
    run(state, shape, threads);
  })->UseRealTime();
}

void register_all() {
  for (const int threads : {1, 2}) {
    const std::string name = "peak/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(name.c_str(), [threads](benchmark::State& state) {
      peak(state, threads);
    })->UseRealTime();
    for (const Case& shape : kCases) {
      add("ours", ours, shape, threads);
      add("onednn_sgemm", onednn_sgemm, shape, threads);
      add("onednn_primitive", onednn_primitive, shape, threads);
    }
  }
}

}  // namespace
}  // namespace reef::ops::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  reef::ops::tune::Tuner tuner({});
  const reef::ops::tune::Tuning tuning(tuner);
  reef::ops::cpu::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
