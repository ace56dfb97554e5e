#include "ops/plugin/plugin.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "ops/nn/needs.h"
#include "ops/nn/stage.h"
#include "tests/unit/ops/support.h"

namespace reef::ops {
namespace {

using testing::difference;
using testing::integers;
using testing::normal;
using testing::same_bits;

Backend apart() { return load_plugin(ATOLL_APART).value(); }
std::shared_ptr<Context> open_apart() { return open_device(apart()).value(); }

/// The route of an op on the device, which must be there.
Route route_of(Op op, DType dtype, Layout layout) {
  return route({op, apart().device, dtype, layout}).value();
}

TEST(LoadPlugin, AddsADeviceUnderItsName) {
  const Backend backend = apart();
  EXPECT_EQ(backend.count, 1);
  EXPECT_EQ(backend.reason, "");
  EXPECT_EQ(name_of(backend.device), "apart");
  EXPECT_FALSE(is_host(backend.device));
  EXPECT_EQ(open_apart()->device(), backend.device);
}

TEST(LoadPlugin, GivesTheSameBackendForTheSameLibrary) {
  const std::size_t tables = (apart(), kernel_tables().size());
  EXPECT_EQ(apart().device, apart().device);
  EXPECT_EQ(kernel_tables().size(), tables);
}

TEST(LoadPlugin, SaysWhatIsWrongWithALibrary) {
  const std::string text = ::testing::TempDir() + "/plugin_test.so";
  std::ofstream(text) << "not a library\n";
  const struct {
    std::string path;
    Code code;
    std::string_view what;
  } rows[] = {
      {"/nonexistent/libatoll.so", Code::kPath, "No such file"},
      {text, Code::kPath, "cannot be loaded as a plug-in"},
      {ATOLL_BARE, Code::kTensor, "exports no atoll_plugin"},
      {ATOLL_FOREIGN, Code::kTensor, "belongs to another build"},
      {ATOLL_TAKEN, Code::kTensor, "'cpu' is already there"},
      {ATOLL_STRAY, Code::kTensor, "not for its own device: gelu on cpu"},
      {ATOLL_MIXED, Code::kTensor, "'one' and 'two' add in different orders"},
  };
  const std::size_t tables = kernel_tables().size();
  for (const auto& row : rows) {
    const auto loaded = load_plugin(row.path);
    ASSERT_FALSE(loaded.ok()) << row.path;
    EXPECT_EQ(loaded.error().code, row.code) << row.path;
    EXPECT_EQ(loaded.error().where, row.path);
    EXPECT_NE(loaded.error().what.find(row.what), std::string::npos) << loaded.error().text();
  }
  EXPECT_EQ(kernel_tables().size(), tables) << "a refused library left kernels behind";
}

TEST(OpenDevice, SaysWhyThereIsNone) {
  const Backend absent = load_plugin(ATOLL_ABSENT).value();
  EXPECT_EQ(absent.count, 0);
  EXPECT_EQ(absent.reason, "no driver");
  EXPECT_EQ(open_device(absent).error().what, "this machine has 0 of them: no driver");
  const auto second = open_device(apart(), 1);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::kTensor);
  EXPECT_EQ(second.error().where, "apart:1");
}

/// Holds a device's order of work until it is opened.
class Gate {
 public:
  explicit Gate(Context& context) {
    context.when_done([](void* gate) { static_cast<Gate*>(gate)->opened_.get_future().wait(); },
                      this);
  }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> opened_;
};

void note(void* passed) { static_cast<std::atomic<bool>*>(passed)->store(true); }

Tensor compute(Context& context, const Tensor& x, const Tensor& weight, const Tensor& bias,
               const Tensor& column) {
  return add(context, gelu(context, matmul(context, x, weight, Product::kNN, bias)), column);
}

TEST(Plugin, ComputesWhileTheCallerGoesOn) {
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor x = normal({5, 33}, "x");
  const Tensor weight = normal({33, 7}, "weight");
  const Tensor bias = normal({7}, "bias");
  const Tensor column = normal({5, 1}, "column");
  const Tensor x_there = to_device(*device, x);
  const Tensor weight_there = to_device(*device, weight);
  const Tensor bias_there = to_device(*device, bias);
  const Tensor column_there = to_device(*device, column);
  Gate gate(*device);
  std::atomic<bool> passed = false;
  const Tensor there = compute(*device, x_there, weight_there, bias_there, column_there);
  device->when_done(note, &passed);
  EXPECT_FALSE(passed);  // three ops were launched while the device stood still
  gate.open();
  const Tensor here = to_host(*device, there);
  EXPECT_TRUE(passed);
  const Tensor columns = contiguous(cpu, column.expand({5, 7}));
  EXPECT_LE(difference(here, compute(cpu, x, weight, bias, columns)), 1e-6);
}

TEST(Plugin, FaultsWhenTheHostFollowsItsAddresses) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto device = open_apart();
  const Tensor there = to_device(*device, normal({4}, "x"));
  const auto follow = [&there] {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would report and exit instead
    return *static_cast<volatile float*>(there.data<float>());
  };
  EXPECT_EXIT(follow(), ::testing::KilledBySignal(SIGSEGV), "");
  EXPECT_DEATH(there.values<float>(), "no plain bytes");
}

TEST(Plugin, CopiesAnyLayoutAndFills) {
  const auto device = open_apart();
  const Tensor x = normal({3, 4, 5}, "x");
  ThreadPool cpu(1);
  const Tensor turned = contiguous(*device, to_device(*device, x).transpose(0, 2));
  EXPECT_TRUE(same_bits(to_host(*device, turned), contiguous(cpu, x.transpose(0, 2))));
  const Tensor filled = fill(*device, DType::kF32, {3}, 2.5);
  EXPECT_EQ(to_host(*device, filled).values<float>()[2], 2.5f);
}

TEST(Plugin, CopiesWithinItselfAndOutInTheOrderOfLaunches) {
  const auto device = open_apart();
  const Tensor x = normal({3, 5}, "x");
  const Tensor there = to_device(*device, x);
  const Tensor out = Tensor::empty(device->staging(), DType::kF32, {3, 5});
  ASSERT_TRUE(is_host(out.device()));
  Gate gate(*device);
  std::atomic<bool> passed = false;
  const Tensor again = copy_of(*device, there);
  device->start_copy_to_host(out.raw(), again.raw(), out.size_bytes());
  device->when_done(note, &passed);
  EXPECT_FALSE(passed);
  EXPECT_FALSE(same_bits(out, x));  // asked for, not yet there
  gate.open();
  device->synchronize();
  EXPECT_TRUE(same_bits(out, x));
  EXPECT_FALSE(again.shares(there));
}

TEST(Plugin, BringsATensorWhereItIsWanted) {
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor x = normal({4}, "x");
  const Tensor there = on_device(*device, x);
  EXPECT_EQ(there.device(), device->device());
  EXPECT_TRUE(on_device(*device, there).shares(there));
  EXPECT_TRUE(on_device(cpu, x).shares(x));
  EXPECT_TRUE(on_host(*device, x).shares(x));
  EXPECT_TRUE(same_bits(on_host(*device, there), x));
}

TEST(Plugin, NamesTheKernelsThatAJobWouldMiss) {
  const nn::ModelSpec spec = nn::model_spec(nn::GptConfig{});
  const Status missing = nn::check_kernels(apart().device, spec, false);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNoFit);
  EXPECT_EQ(missing.error().where, "device apart");
  EXPECT_NE(missing.error().what.find("layer_norm for f32"), std::string::npos);
  EXPECT_EQ(missing.error().what.find("matmul"), std::string::npos);
  const Backend twin = load_plugin(ATOLL_TWIN).value();
  EXPECT_TRUE(nn::check_kernels(twin.device, spec, true).ok());
}

TEST(Plugin, ComputesOnTheHostWhatTheDeviceLacks) {
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor x = normal({6, 16}, "x");
  const Tensor weight = normal({16}, "weight");
  const Tensor bias = normal({16}, "bias");
  const LayerNorm there = layer_norm(*device, to_device(*device, x), to_device(*device, weight),
                                     to_device(*device, bias), 1e-5f);
  const LayerNorm here = layer_norm(cpu, x, weight, bias, 1e-5f);
  EXPECT_TRUE(same_bits(to_host(*device, there.y), here.y));
  EXPECT_TRUE(same_bits(to_host(*device, there.statistics), here.statistics));
}

TEST(Plugin, WritesStridedOutputsFromTheHost) {
  // The gradients of q, k and v lie side by side in one tensor, which no kernel of the device
  // fills.
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor qkv = normal({2, 9, 24}, "qkv");
  const Tensor grad = normal({2, 9, 8}, "grad");
  const Attention here = packed_attention(cpu, qkv, 2, {});
  const Tensor qkv_there = to_device(*device, qkv);
  const Attention there = packed_attention(*device, qkv_there, 2, {});
  EXPECT_TRUE(same_bits(to_host(*device, there.out), here.out));
  const Tensor grad_there =
      packed_attention_grad(*device, qkv_there, there, to_device(*device, grad), 2, {});
  EXPECT_TRUE(
      same_bits(to_host(*device, grad_there), packed_attention_grad(cpu, qkv, here, grad, 2, {})));
}

// The order in which the catalog looks for a kernel, each step with what it computes.

TEST(Fallback, FirstTheExactKey) {
  const Route exact = route_of(Op::kMatmul, DType::kF32, Layout::kRowMajor);
  EXPECT_FALSE(exact.copy_inputs || exact.cast || exact.via_host);
  EXPECT_EQ(exact.candidates[0]->key.layout, Layout::kRowMajor);
}

TEST(Fallback, ThenAKernelOfAnyLayout) {
  const Route any = route_of(Op::kAdd, DType::kF32, Layout::kRowMajor);
  EXPECT_FALSE(any.copy_inputs || any.cast || any.via_host);
  EXPECT_EQ(any.candidates[0]->key.layout, Layout::kStrided);
}

TEST(Fallback, ThenRowMajorAfterACopy) {
  const Route copied = route_of(Op::kMatmul, DType::kF32, Layout::kStrided);
  EXPECT_TRUE(copied.copy_inputs);
  EXPECT_FALSE(copied.cast || copied.via_host);
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor a = normal({5, 6}, "a");
  const Tensor b = normal({7, 6}, "b");
  const Tensor there =
      matmul(*device, to_device(*device, a), to_device(*device, b).transpose(0, 1), Product::kNN);
  EXPECT_LE(difference(to_host(*device, there), matmul(cpu, a, b, Product::kNT)), 1e-6);
}

TEST(Fallback, ThenF32AfterACast) {
  const Route cast_first = route_of(Op::kMatmul, DType::kBF16, Layout::kRowMajor);
  EXPECT_TRUE(cast_first.cast);
  EXPECT_FALSE(cast_first.via_host);
  EXPECT_EQ(cast_first.candidates[0]->key.device, apart().device);
  const auto device = open_apart();
  ThreadPool cpu(1);
  const Tensor a = cast(cpu, normal({5, 6}, "a"), DType::kBF16);
  const Tensor b = cast(cpu, normal({6, 7}, "b"), DType::kBF16);
  const Tensor there = matmul(*device, to_device(*device, a), to_device(*device, b), Product::kNN);
  EXPECT_EQ(there.dtype(), DType::kBF16);
  const Tensor here =
      matmul(cpu, cast(cpu, a, DType::kF32), cast(cpu, b, DType::kF32), Product::kNN);
  EXPECT_LE(difference(cast(cpu, to_host(*device, there), DType::kF32), here), 1.0 / 256);
}

TEST(Fallback, ThenTheHost) {
  EXPECT_TRUE(route_of(Op::kLayerNorm, DType::kF32, Layout::kRowMajor).via_host);
  EXPECT_TRUE(route_of(Op::kFill, DType::kI64, Layout::kRowMajor).via_host);
  const auto device = open_apart();
  const Tensor filled = fill(*device, DType::kI64, {2}, 7);
  EXPECT_EQ(to_host(*device, filled).values<std::int64_t>()[1], 7);
}

TEST(Fallback, AtLastAnErrorThatNamesOpKeyAndNearestKernel) {
  const auto none = route({Op::kMatmul, apart().device, DType::kU8, Layout::kRowMajor});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().what,
            "no kernel for matmul on apart for u8, row-major; the nearest is matmul on apart for "
            "f32, row-major");
}

// A whole step of training.

nn::Parameters initial_weights(const nn::ModelSpec& spec) {
  nn::Parameters weights;
  for (const nn::Layer& layer : spec.layers) {
    for (const nn::Parameter& p : layer.parameters) weights[p.name] = nn::initial_value(p, 5);
  }
  return weights;
}

nn::Parameters moved(Context& device, const nn::Parameters& here) {
  nn::Parameters there;
  for (const auto& [name, tensor] : here) there[name] = to_device(device, tensor);
  return there;
}

/// Updates the weights in place with the gradients of their names.
void update(Context& context, const nn::Parameters& weights, const nn::Parameters& grads) {
  std::vector<Tensor> gradients, masters, means, squares;
  for (const auto& [name, weight] : weights) {
    gradients.push_back(grads.at(name));
    masters.push_back(weight);
    means.push_back(zeros(context, DType::kF32, weight.shape()));
    squares.push_back(zeros(context, DType::kF32, weight.shape()));
  }
  // Adam's first step divides a gradient by its own size; this epsilon keeps it from blowing up
  // the rounding noise of gradients that should be zero, such as that of the keys' bias.
  adamw(context, {gradients, masters, means, squares, {}}, {.lr = 1e-2f, .epsilon = 1e-3f});
}

TEST(Plugin, TrainsAGptAsTheCpuDoes) {
  const nn::ModelSpec spec = nn::model_spec(nn::GptConfig{.vocab_size = 61,
                                                          .n_positions = 16,
                                                          .n_embd = 24,
                                                          .n_layer = 2,
                                                          .n_head = 3,
                                                          .embd_pdrop = 0.1f,
                                                          .attn_pdrop = 0.1f,
                                                          .resid_pdrop = 0.1f});
  const nn::Stage stage(spec, 0, spec.layers.size());
  const Tensor tokens = integers({3, 16}, "tokens", 61);
  const Tensor targets = integers({3, 16}, "targets", 61);
  const auto step = [&stage](Context& context, const nn::Parameters& weights, const Tensor& tokens,
                             const Tensor& targets) {
    std::unique_ptr<Tape> tape;
    const Tensor logits = stage.forward(context, weights, tokens, {9, 1, 0, true}, &tape);
    const nn::LossResult loss = nn::cross_entropy(context, logits, targets, 1.0f / 48, true);
    nn::Parameters grads;
    stage.backward(context, weights, *tape, loss.grad_logits, grads);
    update(context, weights, grads);
    return loss.loss_sum;
  };
  ThreadPool cpu(1);
  const nn::Parameters here = initial_weights(spec);
  const nn::Parameters start = initial_weights(spec);
  const auto device = open_apart();
  const nn::Parameters there = moved(*device, here);
  const double loss = step(cpu, here, tokens, targets);
  const double loss_there =
      step(*device, there, to_device(*device, tokens), to_device(*device, targets));
  EXPECT_NEAR(loss_there, loss, 1e-5 * loss);
  for (const auto& [name, weight] : here) {
    // AdamW divides a gradient by its size: what rounding made of the smallest ones shows whole.
    EXPECT_LE(difference(to_host(*device, there.at(name)), weight), 3e-5) << name;
    EXPECT_FALSE(same_bits(weight, start.at(name))) << name << " was not updated";
  }
}

}  // namespace
}  // namespace reef::ops
