#include "actors/checkpoint/format/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

namespace reef::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadataKey = "__metadata__";

/// Builds the list while nlohmann reads, so that the memory taken is that of the entries. Where it
/// is in the document is `level_`, the key last seen there and, in an entry, the list being filled.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Header header;
  std::string problem;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_integer(number_integer_t) override { return refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return refuse("a number that is not a whole one below 2^64");
  }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == nullptr) return refuse("a number");
    if (list_ == &offsets_ && offsets_.size() == 2) return refuse("a third offset");
    if (list_ != &offsets_ && list_->size() == kMaxRank) return refuse("more than 8 dimensions");
    list_->push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (level_ == 2 && in_metadata_) {
      header.metadata[field_] = value;
    } else if (level_ == 2 && list_ == nullptr && field_ == "dtype") {
      header.entries.back().dtype = value;
    } else {
      return refuse("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (level_ == 2 || list_ != nullptr) return refuse("an object");
    if (++level_ == 1) return true;
    fields_.clear();
    if (!in_metadata_) {
      header.entries.emplace_back().name = name_;
      offsets_.clear();
    }
    return true;
  }

  bool end_object() override {
    if (level_-- == 1 || in_metadata_) return true;
    if (fields_.size() != 3) return fail("a tensor needs dtype, shape and data_offsets");
    if (offsets_.size() != 2) return fail("data_offsets needs two numbers");
    header.entries.back().begin = offsets_[0];
    header.entries.back().end = offsets_[1];
    return true;
  }

  bool start_array(std::size_t) override {
    if (level_ != 2 || in_metadata_ || list_ != nullptr) return refuse("a list");
    if (field_ == "shape") {
      list_ = &header.entries.back().shape;
    } else if (field_ == "data_offsets") {
      list_ = &offsets_;
    } else {
      return refuse("a list");
    }
    return true;
  }

  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool key(string_t& text) override { return level_ == 1 ? outer_key(text) : inner_key(text); }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    problem = "not JSON at header byte " + std::to_string(position);
    return false;
  }

 private:
  bool outer_key(const std::string& text) {
    name_ = text;
    field_.clear();
    in_metadata_ = text == kMetadataKey;
    return names_.insert(text).second || fail("it is there twice");
  }

  bool inner_key(const std::string& text) {
    field_ = text;
    const bool known = in_metadata_ || text == "dtype" || text == "shape" || text == "data_offsets";
    if (!known) return fail("unknown field '" + text.substr(0, 64) + "'");
    return fields_.insert(text).second || fail("field '" + text.substr(0, 64) + "' is there twice");
  }

  bool fail(const std::string& what) {
    problem = name_.substr(0, 64);
    problem += ": ";
    problem += what;
    return false;
  }
  bool refuse(const char* what) { return fail(std::string(what) + " stands where it must not"); }

  int level_ = 0;
  bool in_metadata_ = false;
  std::string name_;
  std::string field_;
  std::set<std::string> fields_;
  std::unordered_set<std::string> names_;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint64_t>* list_ = nullptr;
};

std::string entry_json(const HeaderEntry& entry) {
  return json(entry.name).dump() + ":{\"dtype\":" + json(entry.dtype).dump() +
         ",\"shape\":" + json(entry.shape).dump() + ",\"data_offsets\":[" +
         std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]}";
}

}  // namespace

Result<Header> parse_header(std::string_view text, std::string_view where) {
  const auto refuse = [where](std::string what) {
    return Error{Code::kCheckpoint, std::string(where), "bad safetensors header: " + what};
  };
  if (!text.starts_with('{')) return refuse("it does not begin with '{'");
  Builder builder;
  try {
    if (!json::sax_parse(text, &builder)) return refuse(builder.problem);
  } catch (const std::exception& e) {
    return refuse(e.what());
  }
  return std::move(builder.header);
}

Result<std::string> write_header(const Header& header) {
  std::string text = "{";
  try {
    if (!header.metadata.empty()) {
      text += json(kMetadataKey).dump() + ":" + json(header.metadata).dump();
    }
    for (const HeaderEntry& entry : header.entries) {
      if (text.size() > 1) text += ',';
      text += entry_json(entry);
    }
  } catch (const json::exception&) {
    return Error{Code::kTensor, "safetensors", "a name or the metadata is not UTF-8"};
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace reef::checkpoint
