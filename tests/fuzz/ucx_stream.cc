// The stream of a UCX link, cut into frames and words.

#include <algorithm>
#include <vector>

#include "runtime/link/link.h"
#include "runtime/link/ucx/wire.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;
using link::ucx::StreamReader;
using link::ucx::Word;

namespace {

/// Writes down again what it is told, so that it must be what was read.
struct Scribe final : StreamReader::Sink {
  explicit Scribe(std::size_t most) : limit(most) {}
  Status announced(std::size_t size) override {
    CHECK(!over && size > 0 && size <= limit);
    announced_size = size;
    return {};
  }
  void frame(Bytes bytes) override {
    CHECK_EQ(bytes.size(), announced_size);
    written.push_back(static_cast<std::byte>(bytes.size() >> 8));
    written.push_back(static_cast<std::byte>(bytes.size()));
    written.insert(written.end(), bytes.begin(), bytes.end());
  }
  Status granted(std::uint32_t value) override {
    link::ucx::append_word(written, Word::kGrant, value);
    if (value == 0) return Error{Code::kProto, "", "a grant of nothing"};
    return {};
  }
  void ended() override {
    over = true;
    link::ucx::append_word(written, Word::kEnd, 0);
  }

  std::size_t limit, announced_size = 0;
  Bytes written;
  bool over = false;
};

struct Outcome {
  Bytes written;
  bool over = false, refused = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(BytesView stream, std::size_t limit, std::size_t chunk) {
  StreamReader reader;
  reader.set_limit(limit);
  Scribe scribe(limit);
  bool refused = false;
  for (std::size_t at = 0; at < stream.size() && !refused; at += chunk) {
    const Status status =
        reader.take(stream.subspan(at, std::min(chunk, stream.size() - at)), scribe);
    refused = !status.ok();
    if (refused) fuzz::check_refusal(status.error(), {Code::kProto});
  }
  return {std::move(scribe.written), scribe.over, refused};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t limit = input.below(2) == 0 ? 1024 : link::kMaxFrame;
  const std::size_t chunk = 1 + input.number<std::uint16_t>();
  const BytesView stream = input.rest();
  const Outcome outcome = read(stream, limit, chunk);
  CHECK(outcome.written.size() <= stream.size());
  CHECK(std::equal(outcome.written.begin(), outcome.written.end(), stream.begin()));
  if (outcome.over && !outcome.refused) CHECK_EQ(outcome.written.size(), stream.size());
  CHECK(outcome == read(stream, limit, stream.size() + 1)) << "it depends on the pieces";
  return 0;
}
