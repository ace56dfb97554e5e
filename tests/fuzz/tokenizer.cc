// A tokenizer.json of others, on a text of others, and a training on that text.

#include "actors/data/format/tokenizer.h"

#include <algorithm>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/byte_alphabet.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::size_t kLongestInput = 1024;

/// The 256 entries that every vocabulary needs, which an input need not spell.
std::string bytes() {
  std::string entries;
  for (int byte = 0; byte < 256; ++byte) {
    std::string character = data::to_alphabet(std::string(1, static_cast<char>(byte)));
    if (character == "\"" || character == "\\") character = "\\" + character;
    entries += (byte == 0 ? "\"" : ",\"") + character + "\":" + std::to_string(byte);
  }
  return entries;
}

std::string without_spaces(std::string text) {
  std::erase(text, ' ');
  return text;
}

/// What is encoded comes back, whether or not the pieces were seen before.
void check(const data::Tokenizer& tokenizer, std::string_view text, bool exactly) {
  data::PieceCache cache;
  std::vector<data::TokenId> plain, cached;
  tokenizer.encode(text, plain);
  for (int i = 0; i < 2; ++i) {
    cached.clear();
    tokenizer.encode(text, cached, &cache);
    CHECK(cached == plain);
  }
  for (const data::TokenId id : plain) CHECK(tokenizer.knows(id));
  const std::string back = tokenizer.decode(plain);
  // A tokenizer may put spaces in front of what it is given.
  CHECK(without_spaces(back) == without_spaces(std::string(text)));
  CHECK(!exactly || back == text);
}

/// As many as a text of this length has use for; each takes time.
constexpr std::uint32_t kMostLearned = 32;

/// Whether a training's result is written and read again: that takes longer than all else, and the
/// number of its tokens does not matter to it.
bool is_written(std::uint32_t vocabulary) { return vocabulary % kMostLearned == 0; }

void train(std::string_view text, std::uint32_t vocabulary) {
  data::BpeTrainer trainer;
  trainer.add(text);
  const data::Tokenizer tokenizer = trainer.train(vocabulary);
  CHECK(tokenizer.vocabulary() <= vocabulary);
  check(tokenizer, text, true);
  if (!is_written(vocabulary)) return;
  const std::string written = tokenizer.to_json();
  const auto read = data::Tokenizer::parse(written, "trained");
  CHECK(read.ok()) << read.error().text();
  CHECK(read->to_json() == written);
  check(*read, text, true);
}

}  // namespace

/// `u8 tokens to learn | piece text`, or with a tokenizer.json behind for that text; in it "@bytes"
/// stands for 256 entries.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min(size, kLongestInput));
  const std::uint32_t vocabulary = 256 + input.number<std::uint8_t>() % kMostLearned;
  const std::string_view text = as_text(input.piece());
  if (input.empty()) return train(text, vocabulary), 0;
  static const std::string entries = bytes();
  const std::string json = fuzz::replaced(as_text(input.rest()), "@bytes", entries);
  const auto tokenizer = data::Tokenizer::parse(json, "given");
  if (!tokenizer.ok()) return fuzz::check_refusal(tokenizer.error(), {Code::kData}), 0;
  check(*tokenizer, text, json.find("add_prefix_space") == json.npos);
  return 0;
}
