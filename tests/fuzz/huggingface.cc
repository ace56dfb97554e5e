// A folder of Hugging Face's form: its configuration and its weights, in one file or in two with an
// index.

#include "actors/checkpoint/format/huggingface.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

void put_tensors(const char* name, BytesView header, BytesView data) {
  fuzz::put(name,
            fuzz::Output().number(std::uint64_t{header.size()}).rest(header).rest(data).bytes());
}

/// Every parameter can be read, and nothing else is there.
void check(const checkpoint::HuggingFaceModel& model) {
  CHECK_EQ(nn::problem_of(model.config), "");
  std::size_t parameters = 0;
  for (const nn::Layer& layer : nn::model_spec(model.config).layers) {
    parameters += layer.parameters.size();
    for (const nn::Parameter& parameter : layer.parameters) {
      const checkpoint::TensorView* tensor = model.find(parameter.name);
      CHECK(checkpoint::holds(tensor, parameter)) << parameter.name;
      std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
      checkpoint::read_f32(*tensor, values);
    }
  }
  CHECK_EQ(model.tensors.size(), parameters);
}

}  // namespace

/// `piece config.json | piece index | ..`. An empty index: `piece header | data` of one file. Else
/// of a.safetensors `piece header | piece data`, of b.safetensors `piece header | data`.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  fuzz::put(checkpoint::kConfigFile, input.piece());
  const BytesView index = input.piece();
  const BytesView header = input.piece();
  if (index.empty()) {
    put_tensors("model.safetensors", header, input.rest());
  } else {
    std::filesystem::remove(fuzz::folder() / checkpoint::kModelFile);
    fuzz::put(checkpoint::kIndexFile, index);
    put_tensors("a.safetensors", header, input.piece());
    const BytesView second = input.piece();
    put_tensors("b.safetensors", second, input.rest());
  }
  const auto model = checkpoint::load_folder(fuzz::folder());
  if (!model.ok()) {
    return fuzz::check_refusal(model.error(), {Code::kCheckpoint, Code::kPath}), 0;
  }
  check(*model);
  return 0;
}
