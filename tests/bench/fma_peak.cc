#include "tests/bench/fma_peak.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>

namespace reef::bench {

namespace {

constexpr int kChains = 12;  // hides a latency of four to six cycles on two units
constexpr long kSteps = 400'000;

#define ATOLL_FMA_LOOP(vector, set, multiply_add)                            \
  vector sums[kChains];                                                      \
  for (vector & sum : sums) sum = set(seed);                                 \
  const vector factor = set(0.999f);                                         \
  for (long step = 0; step < kSteps; ++step) {                               \
    _Pragma("GCC unroll 12") for (int chain = 0; chain < kChains; ++chain) { \
      sums[chain] = multiply_add(sums[chain], factor, factor);               \
    }                                                                        \
  }                                                                          \
  float total = 0;                                                           \
  for (const vector& sum : sums) total += sum[0];                            \
  return total

__attribute__((target("avx2,fma"))) float run_256(float seed) {
  ATOLL_FMA_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps);
}
__attribute__((target("avx512f"))) float run_512(float seed) {
  ATOLL_FMA_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps);
}

double measure(float (*run)(float), int lanes) {
  double best = 0;
  volatile float sink = 1;
  for (int repetition = 0; repetition < 7; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    sink = run(sink);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * lanes * kChains * kSteps / taken.count());
  }
  return best;
}

}  // namespace

double fma_peak() {
  if (__builtin_cpu_supports("avx512f")) return measure(run_512, 16);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return measure(run_256, 8);
  return 0;
}

}  // namespace reef::bench
