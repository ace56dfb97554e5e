#include "runtime/machine/gpu.h"

#include <gtest/gtest.h>

namespace reef::machine {
namespace {

TEST(Gpus, AreNamedWithTheirMemory) {
  const Gpus gpus = discover_gpus(FAKE_NVML_TWO);
  ASSERT_EQ(gpus.found.size(), 2u) << gpus.none_because;
  EXPECT_EQ(gpus.found[0].memory, std::uint64_t{80} << 30);
  EXPECT_EQ(gpus.found[1].name.find('\x1b'), std::string::npos);  // nothing a terminal obeys
  EXPECT_EQ(gpus.found[1].name.back(), '2');
}

TEST(Gpus, SayInOneLineWhyThereAreNone) {
  const std::pair<const char*, const char*> rows[] = {
      {"libatoll-no-such-library.so", "libatoll-no-such-library.so is not here"},
      {"libc.so.6", "libc.so.6 is not NVML, or too old"},
      {FAKE_NVML_NONE, "the driver has none"},
      {FAKE_NVML_MANY, "the driver does not answer"},
  };
  for (const auto& [library, said] : rows) {
    const Gpus gpus = discover_gpus(library);
    EXPECT_TRUE(gpus.found.empty()) << library;
    EXPECT_EQ(gpus.none_because, said);
  }
  EXPECT_NE(discover_gpus(FAKE_NVML_ASLEEP).none_because.find("its driver is not"),
            std::string::npos);
}

}  // namespace
}  // namespace reef::machine
