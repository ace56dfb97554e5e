// Hugging Face's tokenizer.json, read and written.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "actors/data/format/byte_alphabet.h"
#include "actors/data/format/strict_json.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"

namespace reef::data {

using nlohmann::json;

class TokenizerReader {
 public:
  explicit TokenizerReader(std::string_view where) : where_(where) {}

  Result<Tokenizer> read(const json& document) {
    if (!document.is_object()) return bad("is not an object");
    ATOLL_TRY(null(document, "normalizer"));
    ATOLL_TRY(byte_level(document, "post_processor"));
    ATOLL_TRY(byte_level(document, "decoder"));
    ATOLL_TRY(read_pre_tokenizer(part(document, "pre_tokenizer")));
    ATOLL_TRY(read_model(part(document, "model")));
    ATOLL_TRY(read_added(part(document, "added_tokens")));
    ATOLL_TRY(check_bytes());
    made_.index();
    return std::move(made_);
  }

 private:
  Error bad(const std::string& what) const { return {Code::kData, where_, what}; }
  Error unsupported(const std::string& what) const { return bad(what + " is not supported"); }

  /// Null where there is none.
  static const json& part(const json& from, const char* name) {
    static const json none;
    const auto found = from.find(name);
    return found == from.end() ? none : *found;
  }
  Status null(const json& from, const char* name) const {
    const auto found = from.find(name);
    if (found == from.end() || found->is_null()) return {};
    return unsupported(std::string(name) + " " + kind_of(*found));
  }
  /// Absent, or what neither adds tokens nor takes any away.
  Status byte_level(const json& from, const char* name) const {
    const auto found = from.find(name);
    if (found == from.end() || found->is_null() || kind_of(*found) == "ByteLevel") return {};
    return unsupported(std::string(name) + " " + kind_of(*found));
  }
  /// Absent, null, or as here.
  Status only(const json& from, const char* name, const json& supported) const {
    const auto found = from.find(name);
    if (found == from.end() || found->is_null() || *found == supported) return {};
    return unsupported(std::string(name) + " " +
                       printable(found->dump(-1, ' ', true, json::error_handler_t::replace)));
  }
  static std::string kind_of(const json& part) {
    const json type = part.is_object() ? part.value("type", json()) : json();
    return type.is_string() ? printable(type.get_ref<const std::string&>()) : "of no known type";
  }

  Status read_pre_tokenizer(const json& part) {
    if (kind_of(part) != "ByteLevel") {
      return unsupported("pre_tokenizer " + kind_of(part) + ", but ByteLevel,");
    }
    ATOLL_TRY(flag(part, "add_prefix_space", made_.prefix_space_));
    return flag(part, "use_regex", made_.cut_);
  }

  Status flag(const json& from, const char* name, bool& to) const {
    const auto found = from.find(name);
    if (found == from.end() || found->is_null()) return {};
    if (!found->is_boolean()) return bad(std::string(name) + " is not true or false");
    to = found->get<bool>();
    return {};
  }

  Status read_model(const json& model) {
    // Old files do not name the type.
    const json type = model.is_object() ? model.value("type", json("BPE")) : json();
    if (type != "BPE") return unsupported("model " + kind_of(model) + ", but BPE,");
    ATOLL_TRY(only(model, "dropout", 0.0));
    ATOLL_TRY(only(model, "continuing_subword_prefix", ""));
    ATOLL_TRY(only(model, "end_of_word_suffix", ""));
    ATOLL_TRY(only(model, "byte_fallback", false));
    ATOLL_TRY(flag(model, "ignore_merges", made_.ignore_merges_));
    ATOLL_TRY(read_vocabulary(part(model, "vocab")));
    return read_merges(part(model, "merges"));
  }

  Status read_vocabulary(const json& vocabulary) {
    if (!vocabulary.is_object()) return bad("model.vocab is not an object");
    for (const auto& [text, id] : vocabulary.items()) {
      if (text.empty()) return bad("model.vocab has a token without text");
      ATOLL_ASSIGN(const TokenId number, token_id(id));
      // Some files have their added tokens here, too, which are not of the alphabet.
      const std::optional<std::string> bytes = from_alphabet(text);
      std::string& token = at(number);
      if (!token.empty()) return bad("two tokens have the id " + std::to_string(number));
      token = bytes.value_or(text);
      by_text_[text] = number;
      if (bytes) made_.ids_[*bytes] = number;
    }
    return {};
  }

  Result<TokenId> token_id(const json& id) const {
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < kMaxTokens) return id.get<TokenId>();
    return bad("a token's id is not a whole number below " + std::to_string(kMaxTokens));
  }

  std::string& at(TokenId id) {
    const auto place = static_cast<std::size_t>(id);
    if (made_.tokens_.size() <= place) made_.tokens_.resize(place + 1);
    return made_.tokens_[place];
  }

  Status read_merges(const json& merges) {
    if (!merges.is_array()) return bad("model.merges is not a list");
    if (merges.size() > static_cast<std::size_t>(kMaxTokens)) return bad("has too many merges");
    for (const json& merge : merges) {
      std::string left, right;
      if (merge.is_string()) {
        const std::string& text = merge.get_ref<const std::string&>();
        const std::size_t space = text.find(' ');
        left = text.substr(0, space);
        right = space == text.npos ? "" : text.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        left = merge[0];
        right = merge[1];
      }
      const auto a = by_text_.find(left), b = by_text_.find(right),
                 both = by_text_.find(left + right);
      if (a == by_text_.end() || b == by_text_.end() || both == by_text_.end()) {
        return bad("a merge is not of two tokens to a third: " +
                   printable(merge.dump(-1, ' ', true, json::error_handler_t::replace)));
      }
      made_.merges_.push_back({{a->second, b->second}, both->second});
    }
    return {};
  }

  Status read_added(const json& list) {
    if (list.is_null()) return {};
    if (!list.is_array()) return bad("added_tokens is not a list");
    if (list.size() > kMaxAddedTokens) return bad("has too many added tokens");
    for (const json& added : list) {
      const json text = added.is_object() ? added.value("content", json()) : json();
      if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
        return bad("an added token has no content");
      }
      for (const char* name : {"single_word", "lstrip", "rstrip"}) {
        ATOLL_TRY(only(added, name, false));
      }
      ATOLL_ASSIGN(const TokenId id, token_id(added.value("id", json())));
      ATOLL_TRY(add(text.get_ref<const std::string&>(), id));
    }
    return {};
  }

  Status add(const std::string& text, TokenId id) {
    const auto known = by_text_.find(text);
    std::string& token = at(id);
    // It may stand in the vocabulary, too.
    if (known == by_text_.end() ? !token.empty() : known->second != id) {
      return bad("the added token " + printable(text) + " has the id of another");
    }
    if (!token.empty() && token != text) {
      return unsupported("the added token " + printable(text) +
                         ", which is other bytes in the vocabulary,");
    }
    token = text;
    made_.added_.push_back({text, id});
    by_text_[text] = id;
    return {};
  }

  Status check_bytes() const {
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (!made_.ids_.contains(std::string(1, static_cast<char>(byte)))) {
        return unsupported("a vocabulary without a token for the byte " + std::to_string(byte));
      }
    }
    return {};
  }

  std::string where_;
  Tokenizer made_;
  std::unordered_map<std::string, TokenId> by_text_;  ///< as the file writes them
};

Result<Tokenizer> Tokenizer::parse(std::string_view text, std::string_view where) {
  ATOLL_ASSIGN(const json document, parse_json(text, Code::kData, where));
  return TokenizerReader(where).read(document);
}

Result<Tokenizer> Tokenizer::read(const std::filesystem::path& file) {
  ATOLL_ASSIGN(const std::string text, read_file(file, kMaxTokenizerBytes));
  return parse(text, file.string());
}

std::string Tokenizer::to_json() const {
  json vocabulary = json::object();
  for (const auto& [bytes, id] : ids_) vocabulary[to_alphabet(bytes)] = id;
  const auto text_of = [this](TokenId id) {
    return to_alphabet(tokens_[static_cast<std::size_t>(id)]);
  };
  json merges = json::array();
  for (const Merge& merge : merges_) {
    merges.push_back(text_of(merge.pair.left) + " " + text_of(merge.pair.right));
  }
  json added = json::array();
  for (const Added& token : added_) {
    added.push_back({{"id", token.id},
                     {"content", token.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto byte_level = [](bool prefix_space, bool cut) {
    return json{{"type", "ByteLevel"},
                {"add_prefix_space", prefix_space},
                {"trim_offsets", true},
                {"use_regex", cut}};
  };
  const json document = {{"version", "1.0"},
                         {"truncation", nullptr},
                         {"padding", nullptr},
                         {"added_tokens", std::move(added)},
                         {"normalizer", nullptr},
                         {"pre_tokenizer", byte_level(prefix_space_, cut_)},
                         {"post_processor", nullptr},
                         {"decoder", byte_level(true, true)},
                         {"model",
                          {{"type", "BPE"},
                           {"dropout", nullptr},
                           {"unk_token", nullptr},
                           {"continuing_subword_prefix", nullptr},
                           {"end_of_word_suffix", nullptr},
                           {"fuse_unk", false},
                           {"byte_fallback", false},
                           {"ignore_merges", ignore_merges_},
                           {"vocab", std::move(vocabulary)},
                           {"merges", std::move(merges)}}}};
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace reef::data
