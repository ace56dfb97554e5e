// Runs on every machine: the plug-in must load whether or not there is a driver.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "ops/plugin/plugin.h"

namespace reef::ops {
namespace {

TEST(CudaPlugin, LoadsAndSaysWhatThisMachineHas) {
  const Result<Backend> loaded = load_plugin(ATOLL_GPU_PLUGIN);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  const Backend& backend = loaded.value();
  EXPECT_EQ(name_of(backend.device), "cuda");
  const Result<std::shared_ptr<Context>> opened = open_device(backend);
  if (backend.count == 0) {
    std::printf("no GPU: %s\n", backend.reason.c_str());
    EXPECT_FALSE(backend.reason.empty());
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().what.find(backend.reason), std::string::npos) << opened.error().text();
    return;
  }
  EXPECT_EQ(backend.reason, "");
  ASSERT_TRUE(opened.ok()) << opened.error().text();
  EXPECT_EQ(opened.value()->device(), backend.device);
  EXPECT_FALSE(open_device(backend, backend.count).ok());
}

TEST(CudaPlugin, FindsNcclOrSaysWhatIsMissing) {
  const Backend backend = load_plugin(ATOLL_GPU_PLUGIN).value();
  if (backend.plugin->groups == nullptr) GTEST_SKIP() << "SKIPPED: built without nccl.h";
  std::vector<std::byte> id(backend.plugin->groups->id_bytes);
  const Status made = backend.plugin->groups->make_id(id);
  if (made.ok()) {
    EXPECT_TRUE(std::ranges::any_of(id, [](std::byte byte) { return byte != std::byte{}; }));
    return;
  }
  EXPECT_EQ(made.error().where, "libnccl.so.2");
  EXPECT_EQ(made.error().what.find("it has no nccl"), std::string::npos) << made.error().what;
  if (made.error().code == Code::kNoFit) GTEST_SKIP() << "SKIPPED: " << made.error().text();
  EXPECT_EQ(backend.count, 0) << "there is a GPU, and it makes no id";
}

TEST(CudaPlugin, HasAKernelOfItsOwnForEveryOpAndFloat) {
  const Backend backend = load_plugin(ATOLL_GPU_PLUGIN).value();
  const Op indexed[] = {Op::kEmbedding, Op::kEmbeddingGrad, Op::kIndexAdd, Op::kScatterAdd,
                        Op::kMaxPool2dGrad};
  for (std::size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF64}) {
      const bool by_index =
          std::find(std::begin(indexed), std::end(indexed), op) != std::end(indexed);
      const DType key = by_index ? DType::kI32 : op == Op::kWhere ? DType::kBool : dtype;
      const Result<Route> found = route({op, backend.device, key, Layout::kRowMajor});
      ASSERT_TRUE(found.ok()) << found.error().text();
      EXPECT_FALSE(found.value().via_host || found.value().cast)
          << name_of(op) << " of " << name_of(key);
    }
  }
}

}  // namespace
}  // namespace reef::ops
