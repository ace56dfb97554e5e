// The matrix products of one training step of a GPT (384 wide, 8 samples of 256 tokens): ours,
// oneDNN's sgemm, oneDNN's matmul primitive with its weights packed beforehand, and the peak of the
// processor's multiply-adds in the same run.
//
//   gemm_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only

#include <benchmark/benchmark.h>
#include <dnnl.h>
#include <immintrin.h>
#include <omp.h>

#include <dnnl.hpp>
#include <string>
#include <thread>

#include "ops/cpu/gemm/gemm.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {
namespace {

struct Case {
  const char* name;
  bool transpose_a, transpose_b;
  std::int64_t rows, columns, inner;

  double flops() const { return 2.0 * static_cast<double>(rows * columns * inner); }
  std::int64_t lda() const { return transpose_a ? rows : inner; }
  std::int64_t ldb() const { return transpose_b ? inner : columns; }
};

constexpr Case kCases[] = {
    {"qkv", false, false, 2048, 1152, 384},         {"projection", false, false, 2048, 384, 384},
    {"up", false, false, 2048, 1536, 384},          {"down", false, false, 2048, 384, 1536},
    {"head", false, true, 2048, 256, 384},          {"qkv_dx", false, true, 2048, 384, 1152},
    {"projection_dx", false, true, 2048, 384, 384}, {"up_dx", false, true, 2048, 384, 1536},
    {"down_dx", false, true, 2048, 1536, 384},      {"qkv_dw", true, false, 384, 1152, 2048},
    {"projection_dw", true, false, 384, 384, 2048}, {"up_dw", true, false, 384, 1536, 2048},
    {"down_dw", true, false, 1536, 384, 2048},      {"scores", false, true, 64, 256, 64},
    {"context", false, false, 64, 64, 256},         {"values_dx", true, false, 256, 64, 64},
};

/// As a context's pool gives them: aligned to a cache line.
struct Matrices {
  Tensor a, b, c;
  explicit Matrices(const Case& shape)
      : a(Tensor::empty(Pool::host(), DType::kF32, {shape.rows, shape.inner})),
        b(Tensor::empty(Pool::host(), DType::kF32, {shape.inner, shape.columns})),
        c(Tensor::empty(Pool::host(), DType::kF32, {shape.rows, shape.columns})) {
    int i = 0;
    for (float& value : a.values<float>()) value = static_cast<float>(i++ % 7) - 3;
    for (float& value : b.values<float>()) value = static_cast<float>(i++ % 5) - 2;
  }
};

void report(benchmark::State& state, double flops) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

MatrixProduct product_of(const Case& shape, Matrices& m) {
  const auto operand = [](const float* data, bool transposed, std::int64_t stride) {
    return Operand{data, DType::kF32, transposed ? 1 : stride, transposed ? stride : 1};
  };
  return {.rows = shape.rows,
          .columns = shape.columns,
          .inner = shape.inner,
          .a = operand(m.a.data<float>(), shape.transpose_a, shape.lda()),
          .b = operand(m.b.data<float>(), shape.transpose_b, shape.ldb()),
          .c = {m.c.data<float>(), DType::kF32, shape.columns}};
}

void ours(benchmark::State& state, const Case& shape, int threads) {
  Matrices m(shape);
  ThreadPool workers(static_cast<std::size_t>(threads));
  const MatrixProduct product = product_of(shape, m);
  for (auto _ : state) gemm(workers, product);
  report(state, shape.flops());
}

void onednn_sgemm(benchmark::State& state, const Case& shape, int threads) {
  Matrices m(shape);
  omp_set_num_threads(threads);
  for (auto _ : state) {
    const dnnl_status_t status =
        dnnl_sgemm(shape.transpose_a ? 'T' : 'N', shape.transpose_b ? 'T' : 'N', shape.rows,
                   shape.columns, shape.inner, 1, m.a.data<float>(), shape.lda(), m.b.data<float>(),
                   shape.ldb(), 0, m.c.data<float>(), shape.columns);
    CHECK(status == dnnl_success) << status;
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
  const auto tag = [](bool transposed) {
    return transposed ? memory::format_tag::ba : memory::format_tag::ab;
  };
  const memory::desc a({shape.rows, shape.inner}, f32, tag(shape.transpose_a));
  const memory::desc b({shape.inner, shape.columns}, f32, tag(shape.transpose_b));
  const memory::desc any({shape.inner, shape.columns}, f32, memory::format_tag::any);
  const memory::desc c({shape.rows, shape.columns}, f32, memory::format_tag::ab);
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
  reef::ops::cpu::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
