// Two readers of one schema: valijson decides, and a short walk in document order says in people's
// words what the first complaint is. The walk knows the part of JSON Schema that our schemas use.

#include <cmath>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "runtime/base/text.h"
#include "runtime/base/utf8.h"
#include "scheduler/job/document.h"

namespace reef::job {
namespace {

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "infinity" : "-infinity";
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string describe(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_boolean()) return value.get<bool>() ? "the boolean true" : "the boolean false";
  if (value.is_string()) return "the text '" + printable(value.get_ref<const std::string&>()) + "'";
  if (value.is_number_float()) return "the number " + number_text(value.get<double>());
  if (value.is_number()) return "the integer " + value.dump();
  return value.is_array() ? "a list" : "a group of fields";
}

std::string type_text(const std::string& type) {
  if (type == "object") return "a group of fields";
  if (type == "array") return "a list";
  if (type == "string") return "text";
  if (type == "integer") return "an integer";
  if (type == "number") return "a number";
  if (type == "boolean") return "true or false";
  return "nothing";
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  return value.is_null();
}

class Walk {
 public:
  explicit Walk(const Document& document) : document_(document) {}

  Status check(const Json& value, const Json& schema, const std::string& pointer) const {
    ATOLL_TRY(check_type(value, schema, pointer));
    if (value.is_object()) return check_object(value, schema, pointer);
    if (value.is_array()) return check_array(value, schema, pointer);
    if (value.is_string()) return check_string(value, schema, pointer);
    if (value.is_number()) return check_number(value, schema, pointer);
    return {};
  }

 private:
  Error field(const std::string& pointer, const std::string& what) const {
    return complaint(document_, Code::kJobField, pointer, what);
  }
  Error range(const std::string& pointer, const std::string& what) const {
    return complaint(document_, Code::kJobValue, pointer, what);
  }

  Status check_type(const Json& value, const Json& schema, const std::string& pointer) const {
    if (!schema.contains("type")) return {};
    const Json& types = schema["type"];
    if (types.is_string()) {
      if (has_type(value, types)) return {};
    } else {
      for (const Json& type : types) {
        if (has_type(value, type)) return {};
      }
    }
    const std::string& wanted = types.is_string() ? types.get_ref<const std::string&>()
                                                  : types[0].get_ref<const std::string&>();
    return field(pointer, "expected " + type_text(wanted) + ", found " + describe(value));
  }

  Status check_object(const Json& value, const Json& schema, const std::string& pointer) const {
    if (schema.contains("oneOf")) return check_alternative(value, schema, pointer);
    const Json none = Json::object();
    const Json& known = schema.contains("properties") ? schema["properties"] : none;
    std::vector<std::string> names;
    for (const auto& [name, unused] : known.items()) names.push_back(name);
    for (const auto& [name, unused] : value.items()) {
      if (!known.contains(name)) return unknown(name, names, pointer);
    }
    for (const Json& name : schema.value("required", Json::array())) {
      const std::string& text = name.get_ref<const std::string&>();
      if (!value.contains(text)) return field(pointer + "/" + text, "missing field");
    }
    for (const auto& [name, item] : value.items()) {
      ATOLL_TRY(check(item, known[name], pointer + "/" + name));
    }
    return {};
  }

  /// Alternatives of our schemas differ by the one text that `type` may be.
  Status check_alternative(const Json& value, const Json& schema,
                           const std::string& pointer) const {
    if (!value.contains("type")) return field(pointer + "/type", "missing field");
    Json types = Json::array();
    for (const Json& alternative : schema["oneOf"]) {
      const Json& type = alternative["properties"]["type"]["enum"][0];
      if (value["type"] == type) return check(value, alternative, pointer);
      types.push_back(type);
    }
    return check(value["type"], {{"type", "string"}, {"enum", types}}, pointer + "/type");
  }

  Error unknown(const std::string& name, const std::vector<std::string>& names,
                const std::string& pointer) const {
    std::string key = name;
    for (std::size_t i = 0; i < key.size(); ++i) {
      if (key[i] == '~' || key[i] == '/') key.replace(i, 1, key[i] == '~' ? "~0" : "~1"), ++i;
    }
    // Edit distance costs the product of the lengths: not for names that no typo explains.
    const std::string guess = name.size() <= 64 ? nearest(name, names) : "";
    const std::string hint =
        guess.empty() ? "known here: " + join(names) : "did you mean '" + guess + "'?";
    return field(pointer + "/" + key, "unknown field; " + hint);
  }

  Status check_array(const Json& value, const Json& schema, const std::string& pointer) const {
    const auto size = value.size();
    if (size < schema.value("minItems", std::size_t{0})) {
      return range(pointer, "has " + std::to_string(size) + " items; at least " +
                                std::to_string(schema.value("minItems", std::size_t{0})) +
                                " are needed");
    }
    if (size > schema.value("maxItems", ~std::size_t{0})) {
      return range(pointer, "has " + std::to_string(size) + " items; at most " +
                                std::to_string(schema.value("maxItems", std::size_t{0})) +
                                " are allowed");
    }
    for (std::size_t i = 0; i < size && schema.contains("items"); ++i) {
      ATOLL_TRY(check(value[i], schema["items"], pointer + "/" + std::to_string(i)));
    }
    return {};
  }

  Status check_string(const Json& value, const Json& schema, const std::string& pointer) const {
    const std::string& text = value.get_ref<const std::string&>();
    if (schema.contains("enum")) return check_choice(text, schema["enum"], pointer);
    if (text.size() < schema.value("minLength", std::size_t{0}))
      return range(pointer, "must not be empty");
    if (text.size() > schema.value("maxLength", ~std::size_t{0})) {
      return range(pointer, "has " + std::to_string(text.size()) + " bytes; at most " +
                                std::to_string(schema.value("maxLength", std::size_t{0})) +
                                " are allowed");
    }
    // The one pattern of our schemas is that of names.
    if (schema.contains("pattern") && !is_name(text)) {
      return range(pointer,
                   "'" + printable(text) + "' is not a name; " + schema.value("description", ""));
    }
    return {};
  }

  static bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= 63 &&
           text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  }

  Status check_choice(const std::string& text, const Json& choices,
                      const std::string& pointer) const {
    std::vector<std::string> known;
    for (const Json& choice : choices) known.push_back(choice.get<std::string>());
    for (const std::string& choice : known) {
      if (choice == text) return {};
    }
    const std::string guess = text.size() <= 64 && known.size() > 1 ? nearest(text, known) : "";
    return range(pointer, "'" + printable(text) + "' is not one of " + join(known) +
                              (guess.empty() ? "" : "; did you mean '" + guess + "'?"));
  }

  Status check_number(const Json& value, const Json& schema, const std::string& pointer) const {
    const double number = value.get<double>();
    const std::string text = value.is_number_float() ? number_text(number) : value.dump();
    if (!std::isfinite(number)) return range(pointer, text + " is not a finite number");
    const auto limit = [&](const char* keyword) {
      return number_text(schema[keyword].get<double>());
    };
    if (schema.contains("minimum") && number < schema["minimum"].get<double>())
      return range(pointer, text + " is less than " + limit("minimum"));
    if (schema.contains("exclusiveMinimum") && number <= schema["exclusiveMinimum"].get<double>())
      return range(pointer, text + " is not greater than " + limit("exclusiveMinimum"));
    if (schema.contains("maximum") && number > schema["maximum"].get<double>())
      return range(pointer, text + " is greater than " + limit("maximum"));
    if (schema.contains("exclusiveMaximum") && number >= schema["exclusiveMaximum"].get<double>())
      return range(pointer, text + " is not less than " + limit("exclusiveMaximum"));
    return {};
  }

  const Document& document_;
};

}  // namespace

struct Schema::Compiled {
  explicit Compiled(std::string_view text) : json(Json::parse(text, nullptr, false)) {
    CHECK(!json.is_discarded()) << "a schema is not JSON";
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(json), rules);
  }
  const Json json;
  valijson::Schema rules;
};

Schema::Schema(std::string_view text) : compiled_(std::make_unique<const Compiled>(text)) {}
Schema::~Schema() = default;

Status Schema::check(const Document& document) const {
  ATOLL_TRY(Walk(document).check(document.value, compiled_->json, ""));
  try {
    valijson::Validator validator;
    valijson::ValidationResults results;
    if (validator.validate(compiled_->rules,
                           valijson::adapters::NlohmannJsonAdapter(document.value), &results))
      return {};
    valijson::ValidationResults::Error first;
    results.popError(first);
    return complaint(document, Code::kJobField, "", first.description);
  } catch (const std::exception& failure) {
    return complaint(document, Code::kInternal, "", std::string("schema: ") + failure.what());
  }
}

}  // namespace reef::job
