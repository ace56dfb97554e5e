#include "actors/data/format/strict_json.h"

#include <set>
#include <string>
#include <vector>

#include "runtime/base/utf8.h"

namespace reef::data {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kLongestQuote = 256;  ///< nlohmann quotes the whole token before a mistake

/// Remembers the keys of the objects that are open, which is what nlohmann's own tree builder
/// forgets: there the last of two equal keys silently wins.
class Checker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string problem;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem = "the key '" + name.substr(0, 64) + "' is there twice";
    return false;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) override {
    problem = printable(e.what(), kLongestQuote);
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxDepth) return true;
    problem = "nested deeper than " + std::to_string(kMaxDepth) + " levels";
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, Code code, std::string_view where) {
  Checker checker;
  try {
    if (!nlohmann::json::sax_parse(text, &checker)) {
      return Error{code, std::string(where), "is not valid JSON: " + checker.problem};
    }
    return nlohmann::json::parse(text);
  } catch (const std::exception& e) {
    return Error{code, std::string(where),
                 "is not valid JSON: " + printable(e.what(), kLongestQuote)};
  }
}

}  // namespace reef::data
