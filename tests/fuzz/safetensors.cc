// A safetensors file of anybody.

#include "actors/checkpoint/format/safetensors.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;
using checkpoint::TensorView;

namespace {

void check_tensors(const checkpoint::SafetensorsContent& content, BytesView file) {
  std::size_t bytes = 0;
  for (const TensorView& tensor : content.tensors) {
    CHECK(checkpoint::check_tensor_name(tensor.name, "").ok());
    const auto size = checkpoint::byte_size(tensor.dtype, tensor.shape);
    CHECK(size.ok());
    CHECK_EQ(*size, tensor.bytes.size());
    if (!tensor.bytes.empty()) {
      CHECK(tensor.bytes.data() >= file.data());
      CHECK(tensor.bytes.data() + tensor.bytes.size() <= file.data() + file.size());
    }
    bytes += tensor.bytes.size();
  }
  CHECK_LE(bytes, file.size()) << "every byte of data belongs to one tensor";
}

/// What was read can be written, and is the same when it is read again.
void check_again(const checkpoint::SafetensorsContent& content) {
  const auto path = fuzz::folder() / "again.safetensors";
  const auto written = checkpoint::write_safetensors(path, content.tensors, content.metadata);
  CHECK(written.ok()) << written.error().text();
  const auto again = checkpoint::SafetensorsFile::open(path);
  CHECK(again.ok()) << again.error().text();
  CHECK_EQ(again->bytes().size(), written->bytes);
  CHECK(again->metadata() == content.metadata);
  CHECK_EQ(again->tensors().size(), content.tensors.size());
  for (const TensorView& tensor : content.tensors) {
    const TensorView* const back = again->find(tensor.name);
    CHECK(back != nullptr && back->dtype == tensor.dtype && back->shape == tensor.shape);
    CHECK(std::equal(back->bytes.begin(), back->bytes.end(), tensor.bytes.begin(),
                     tensor.bytes.end()));
  }
}

}  // namespace

/// `u16 length | header | data`: the eight bytes of the length itself are made from the first,
/// unless it is odd, so that most inputs get past them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Bytes file;
  if (input.below(2) == 0) {
    const BytesView header = input.piece();
    file = fuzz::Output().number(std::uint64_t{header.size()}).rest(header).bytes();
  }
  const BytesView rest = input.rest();
  file.insert(file.end(), rest.begin(), rest.end());
  const auto content = checkpoint::parse_safetensors(file, "file");
  if (!content.ok()) {
    return fuzz::check_refusal(content.error(), {Code::kCheckpoint, Code::kPath}), 0;
  }
  check_tensors(*content, file);
  check_again(*content);
  return 0;
}
