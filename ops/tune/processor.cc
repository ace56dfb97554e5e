#include "ops/tune/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <array>
#include <cstring>

namespace reef::ops::tune {

namespace {

#if defined(__x86_64__)

/// The brand string of leaves 0x80000002 to 0x80000004, padded with spaces by some.
std::string name() {
  std::array<unsigned, 12> words{};
  for (unsigned leaf = 0; leaf < 3; ++leaf) {
    unsigned* const at = words.data() + 4 * leaf;
    if (!__get_cpuid(0x80000002u + leaf, at, at + 1, at + 2, at + 3)) return "unknown";
  }
  char text[sizeof words + 1] = {};
  std::memcpy(text, words.data(), sizeof words);
  std::string name(text);
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
}

std::string flags() {
  std::string flags;
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) flags += " avx2";
  if (__builtin_cpu_supports("fma")) flags += " fma";
  if (__builtin_cpu_supports("avx512f")) flags += " avx512f";
  if (__builtin_cpu_supports("avx512bf16")) flags += " avx512bf16";
  return flags.empty() ? " x86-64" : flags;
}

#else

std::string name() { return "unknown"; }
std::string flags() { return " generic"; }

#endif

}  // namespace

std::string processor_text() {
  static const std::string text = name() + ";" + flags() + "; atoll " ATOLL_VERSION;
  return text;
}

}  // namespace reef::ops::tune
