// What our tokenizers do with texts, for tokenizer_compare.py to hold against `tokenizers`. TEXTS
// is a JSON list of strings; the answer, a list for each of them, goes to stdout.
//
//   reference_tokenizer pieces TEXTS                 bytes of the pieces of the pre-tokenizer
//   reference_tokenizer encode TOKENIZER_JSON TEXTS  ids; a text that does not come back is an
//   error reference_tokenizer train VOCABULARY TEXTS       a tokenizer.json

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/pre_tokenizer.h"
#include "actors/data/format/tokenizer.h"

namespace {

using namespace reef;

std::vector<std::string> texts_of(const char* path) {
  return nlohmann::json::parse(std::ifstream(path));
}

int pieces(const char* path) {
  auto answer = nlohmann::json::array();
  for (const std::string& text : texts_of(path)) {
    std::vector<std::size_t> sizes;
    data::for_each_piece(text, [&](std::string_view piece) { sizes.push_back(piece.size()); });
    answer.push_back(sizes);
  }
  std::cout << answer << '\n';
  return 0;
}

int encode(const char* file, const char* path) {
  const auto tokenizer = data::Tokenizer::read(file);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.error().text() << '\n';
    return 2;
  }
  auto answer = nlohmann::json::array();
  data::PieceCache cache;
  for (const std::string& text : texts_of(path)) {
    std::vector<data::TokenId> ids, again;
    tokenizer->encode(text, ids, &cache);
    tokenizer->encode(text, again);
    const std::string back = tokenizer->decode(ids);
    if (ids != again || (back != text && back != " " + text)) {
      std::cerr << "does not come back: " << text << '\n';
      return 1;
    }
    answer.push_back(ids);
  }
  std::cout << answer << '\n';
  return 0;
}

int train(const char* vocabulary, const char* path) {
  data::BpeTrainer trainer;
  for (const std::string& text : texts_of(path)) trainer.add(text);
  std::cout << trainer.train(static_cast<std::uint32_t>(std::stoul(vocabulary))).to_json();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "pieces" && argc == 3) return pieces(argv[2]);
  if (verb == "encode" && argc == 4) return encode(argv[2], argv[3]);
  if (verb == "train" && argc == 4) return train(argv[2], argv[3]);
  std::cerr << "usage: reference_tokenizer pieces TEXTS | encode TOKENIZER_JSON TEXTS | train "
               "VOCABULARY TEXTS\n";
  return 2;
}
