#include "runtime/app/model_folder.h"

#include <gtest/gtest.h>

#include "actors/checkpoint/format/checkpoint.h"
#include "tests/lone_context.h"
#include "tests/unit/scratch_folder.h"

namespace reef::app {
namespace {

using nlohmann::json;

class ModelFolder : public testing::Test {
 protected:
  json config() const {
    return {{"type", "gpt2"}, {"vocab_size", 3}, {"n_positions", 2},
            {"n_embd", 2},    {"n_layer", 1},    {"n_head", 1}};
  }
  /// A checkpoint with all tensors of config(), which says `model` of itself.
  Result<Model> load(const json& model) {
    nn::GptConfig size;
    size.vocab_size = 3;
    size.n_positions = size.n_embd = 2;
    size.n_layer = size.n_head = 1;
    std::vector<checkpoint::TensorView> tensors;
    const Bytes zeros(1024);
    for (const nn::Layer& layer : nn::model_spec(size).layers) {
      for (const nn::Parameter& parameter : layer.parameters) {
        tensors.push_back({parameter.name,
                           "F32",
                           {parameter.shape.begin(), parameter.shape.end()},
                           BytesView(zeros).first(4 * parameter.elements())});
      }
    }
    auto writer = checkpoint::CheckpointWriter::begin(folder_.path(), ++step_).value();
    EXPECT_TRUE(writer.add_part(tensors).ok());
    const auto written = writer.commit({.step = step_, .job = "j", .seed = 1, .model = model});
    return load_model(context_, written.value());
  }
  void expect_refused(const char* field, const json& value) {
    json model = config();
    model[field] = value;
    const auto loaded = load(model);
    ASSERT_FALSE(loaded.ok()) << model;
    EXPECT_EQ(loaded.error().code, Code::kCheckpoint) << loaded.error().text();
  }

  ScratchFolder folder_;
  LoneContext context_;
  std::uint64_t step_ = 0;
};

TEST_F(ModelFolder, ReadsACheckpoint) {
  const auto model = load(config());
  ASSERT_TRUE(model.ok()) << model.error().text();
  EXPECT_EQ(nn::width_of(model->spec.config), 2);
  EXPECT_EQ(model->weights.at("wte.weight").shape(), (ops::Shape{3, 2}));
}

TEST_F(ModelFolder, RefusesSizesThatCannotBe) {
  expect_refused("n_layer", 5000);
  expect_refused("n_layer", 0);
  expect_refused("n_inner", std::int64_t{1} << 62);
  expect_refused("n_inner", -1);
  expect_refused("n_head", 3);
  expect_refused("vocab_size", 1e300);
  expect_refused("vocab_size", "3");
  expect_refused("layer_norm_epsilon", 0);
  expect_refused("layer_norm_epsilon", "small");
  EXPECT_FALSE(load(json::array()).ok());
}

TEST_F(ModelFolder, TakesNoMemoryForTensorsThatAreNotThere) {
  expect_refused("n_embd", 1 << 20);  // 4 TiB of weights a layer
  expect_refused("vocab_size", 1 << 20);
}

}  // namespace
}  // namespace reef::app
