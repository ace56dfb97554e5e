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
  const checkpoint::Gpt2Shape& shape = model->shape;
  CHECK(shape.n_head > 0 && shape.n_embd % shape.n_head == 0);
  CHECK_EQ(model->tensors.size(), 4 + 12 * shape.n_layer);
  for (const checkpoint::TensorView& tensor : model->tensors) {
    CHECK_EQ(tensor.dtype, "F32");
    CHECK(!tensor.name.starts_with("transformer."));
  }
  return 0;
}
