#include "scheduler/job/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "runtime/base/file.h"
#include "runtime/base/utf8.h"

namespace reef::job {
namespace {

std::string at(const std::string& file, Place place) {
  if (place.line == 0) return file;
  return file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

Place place_of(const YAML::Mark& mark) {
  return mark.is_null() ? Place{} : Place{mark.line + 1, mark.column + 1};
}

std::string escaped(std::string key) {
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '~')
      key.replace(i, 1, "~0"), ++i;
    else if (key[i] == '/')
      key.replace(i, 1, "~1"), ++i;
  }
  return key;
}

/// A plain scalar by YAML's core schema.
Json resolve(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower == ".nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower == ".inf" || lower == "+.inf") return std::numeric_limits<double>::infinity();
  if (lower == "-.inf") return -std::numeric_limits<double>::infinity();

  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  if (begin == end ||
      !(std::isdigit(static_cast<unsigned char>(*begin)) || *begin == '.' || *begin == '-'))
    return text;
  std::int64_t integer = 0;
  if (const auto r = std::from_chars(begin, end, integer); r.ec == std::errc() && r.ptr == end)
    return integer;
  std::uint64_t natural = 0;
  if (const auto r = std::from_chars(begin, end, natural); r.ec == std::errc() && r.ptr == end)
    return natural;
  double number = 0;
  const auto r = std::from_chars(begin, end, number);
  if (r.ptr != end || r.ec == std::errc::invalid_argument || lower.find('n') != std::string::npos)
    return text;
  // Too large or too small for a double: 1e999 is refused later as infinite, 1e-999 is 0.
  if (r.ec == std::errc::result_out_of_range) return std::strtod(begin, nullptr);
  return number;
}

/// Thrown inside yaml-cpp's parser and caught in parse_document; leaves this file nowhere else.
struct Refusal {
  Place place;
  std::string what;
};

/// Builds JSON from YAML's events, refusing what descriptors do not need. It sees the start of each
/// level before yaml-cpp recurses into it, so its limit also bounds that recursion.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(Document& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, anchor, nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refusal{place_of(mark), "aliases are not allowed; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    check_tag(mark, tag);
    const bool plain = tag == "?";
    if (wants_key()) return key(mark, anchor, text);
    add(mark, anchor, plain ? resolve(text) : Json(text));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Json::array());
  }
  void OnSequenceEnd() override { stack_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Json::object());
  }
  void OnMapEnd() override { stack_.pop_back(); }

 private:
  struct Level {
    Json* value;
    std::string pointer;
    bool has_key = false;
    std::string key;
  };

  bool wants_key() const {
    return !stack_.empty() && stack_.back().value->is_object() && !stack_.back().has_key;
  }

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refusal{place_of(mark), "tags such as '" + printable(tag) + "' are not allowed"};
  }

  static void check_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) throw Refusal{place_of(mark), "anchors are not allowed; write the value out"};
  }

  void key(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text) {
    check_anchor(mark, anchor);
    Level& level = stack_.back();
    if (level.value->contains(text)) {
      const Place first = document_.places[level.pointer + "/" + escaped(text)];
      throw Refusal{place_of(mark), "'" + printable(text) + "' stands twice; first in line " +
                                        std::to_string(first.line)};
    }
    level.has_key = true;
    level.key = text;
    document_.places[level.pointer + "/" + escaped(text)] = place_of(mark);
  }

  Json* add(const YAML::Mark& mark, YAML::anchor_t anchor, Json value) {
    check_anchor(mark, anchor);
    if (stack_.empty()) {
      document_.places[""] = place_of(mark);
      document_.value = std::move(value);
      return &document_.value;
    }
    Level& level = stack_.back();
    if (level.value->is_array()) {
      document_.places[level.pointer + "/" + std::to_string(level.value->size())] = place_of(mark);
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    if (!level.has_key) throw Refusal{place_of(mark), "a key must be plain text"};
    level.has_key = false;
    return &((*level.value)[level.key] = std::move(value));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Json empty) {
    check_tag(mark, tag);
    if (stack_.size() >= static_cast<std::size_t>(kDescriptorDepth)) {
      throw Refusal{place_of(mark), "nested deeper than " + std::to_string(kDescriptorDepth)};
    }
    std::string pointer;
    if (!stack_.empty()) {
      const Level& level = stack_.back();
      pointer =
          level.pointer + "/" +
          (level.value->is_array() ? std::to_string(level.value->size()) : escaped(level.key));
    }
    // A child's address stays: its container grows only after the child is closed.
    Json* value = add(mark, anchor, std::move(empty));
    stack_.push_back({value, std::move(pointer), false, {}});
  }

  Document& document_;
  std::vector<Level> stack_;
};

Status check_text(std::string_view text, const std::string& file) {
  if (text.size() > kDescriptorLimit) {
    return Error{Code::kJobSyntax, file,
                 std::to_string(text.size()) + " bytes; a descriptor has at most " +
                     std::to_string(kDescriptorLimit)};
  }
  const std::size_t bad = first_bad_utf8(text);
  if (bad == text.size()) return {};
  const auto before = text.substr(0, bad);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto newline = before.rfind('\n');
  const auto column = newline == std::string_view::npos ? bad + 1 : bad - newline;
  return Error{Code::kJobSyntax, at(file, {static_cast<int>(line), static_cast<int>(column)}),
               "not UTF-8 text"};
}

}  // namespace

Result<Document> parse_document(std::string_view yaml, const std::string& file) {
  ATOLL_TRY(check_text(yaml, file));
  Document document{file, {}, {}};
  try {
    std::istringstream stream{std::string(yaml)};
    YAML::Parser parser(stream);
    Builder builder(document);
    if (!parser.HandleNextDocument(builder))
      return Error{Code::kJobSyntax, file, "the file is empty"};
    Document second{file, {}, {}};
    Builder rest(second);
    if (parser.HandleNextDocument(rest)) {
      return Error{Code::kJobSyntax, at(file, second.places[""]),
                   "a second document; one file holds one"};
    }
  } catch (const Refusal& refusal) {
    return Error{Code::kJobSyntax, at(file, refusal.place), refusal.what};
  } catch (const YAML::Exception& failure) {
    return Error{Code::kJobSyntax, at(file, place_of(failure.mark)), printable(failure.msg)};
  } catch (const std::exception& failure) {
    return Error{Code::kJobSyntax, file, printable(failure.what())};
  }
  return document;
}

Result<Document> read_document(const std::string& path) {
  ATOLL_ASSIGN(const std::string text, read_file(path, kDescriptorLimit));
  return parse_document(text, path);
}

Result<Document> parse_json_document(std::string_view json, const std::string& name) {
  ATOLL_TRY(check_text(json, name));
  Json value = Json::parse(json, nullptr, false);
  if (value.is_discarded()) return Error{Code::kJobSyntax, name, "not JSON"};
  return Document{name, std::move(value), {}};
}

Error complaint(const Document& document, Code code, const std::string& pointer,
                const std::string& what) {
  std::string nearest_place = pointer;
  while (!document.places.contains(nearest_place) && !nearest_place.empty()) {
    nearest_place.resize(nearest_place.rfind('/'));
  }
  const auto place = document.places.find(nearest_place);
  std::string path;
  std::istringstream parts(pointer);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty()) continue;
    for (std::size_t i; (i = part.find("~1")) != std::string::npos;) part.replace(i, 2, "/");
    for (std::size_t i; (i = part.find("~0")) != std::string::npos;) part.replace(i, 2, "~");
    const bool index =
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c); });
    path += index ? "[" + part + "]" : (path.empty() ? "" : ".") + printable(part);
  }
  return Error{code, at(document.file, place == document.places.end() ? Place{} : place->second),
               (path.empty() ? "" : path + ": ") + what};
}

}  // namespace reef::job
