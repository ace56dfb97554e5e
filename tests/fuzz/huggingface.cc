// A folder of Hugging Face's form: its configuration and its weights.

#include "actors/checkpoint/format/huggingface.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;

/// `piece config.json | piece header | data`.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  fuzz::put("config.json", input.piece());
  const BytesView header = input.piece();
  fuzz::put(
      "model.safetensors",
      fuzz::Output().number(std::uint64_t{header.size()}).rest(header).rest(input.rest()).bytes());
  const auto model = checkpoint::load_folder(fuzz::folder());
  if (!model.ok()) {
    return fuzz::check_refusal(model.error(), {Code::kCheckpoint, Code::kPath}), 0;
  }
  CHECK_EQ(nn::problem_of(model->config), "");
  std::size_t parameters = 0;
  for (const nn::Layer& layer : nn::model_spec(model->config).layers) {
    parameters += layer.parameters.size();
    for (const nn::Parameter& parameter : layer.parameters) {
      const checkpoint::TensorView* tensor = model->find(parameter.name);
      CHECK(tensor != nullptr) << parameter.name;
      std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
      checkpoint::read_f32(*tensor, values);
    }
  }
  CHECK_EQ(model->tensors.size(), parameters);
  return 0;
}
