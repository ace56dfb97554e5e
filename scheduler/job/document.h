#pragma once
// A descriptor as it was written: YAML within limits, turned into JSON that remembers where each
// value stands, so that every later complaint can name line and column.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

#include "runtime/base/error.h"

namespace reef::job {

using Json = nlohmann::json;

inline constexpr std::size_t kDescriptorLimit = 1 << 20;  ///< bytes
inline constexpr int kDescriptorDepth = 64;

struct Place {
  int line = 0;  ///< 1-based; 0: unknown, as for JSON that a plan carries
  int column = 0;
};

struct Document {
  std::string file;  ///< as the user named it
  Json value;
  std::unordered_map<std::string, Place>
      places;  ///< by JSON pointer: the key of a field, the start of an item
};

/// Reads one YAML document: UTF-8, at most 1 MiB and 64 deep, without anchors, aliases, tags and
/// duplicate keys. Plain scalars become null, boolean, integer or number as YAML's core schema
/// says; everything else is text. kJobSyntax names `file:line:column`; kPath when the file cannot
/// be read.
Result<Document> read_document(const std::string& path);
Result<Document> parse_document(std::string_view yaml, const std::string& file);
/// The same from JSON text; complaints then name fields without lines.
Result<Document> parse_json_document(std::string_view json, const std::string& name);

/// `pointer` is a JSON pointer, "/spec/training/steps". A missing field is placed at its nearest
/// parent. The error reads `code: file:line:column: spec.training.steps: what`.
Error complaint(const Document& document, Code code, const std::string& pointer,
                const std::string& what);

/// A JSON schema, one of configs/schema/schemas.h, compiled. That takes longer than to check a
/// document, so whoever checks documents keeps it. Thread: any, once it is made.
class Schema {
 public:
  explicit Schema(std::string_view text);
  ~Schema();

  /// Holds the document against it. Unknown fields, missing fields and wrong types are kJobField;
  /// values outside their range, NaN and infinities are kJobValue.
  Status check(const Document& document) const;

 private:
  struct Compiled;
  const std::unique_ptr<const Compiled> compiled_;
};

}  // namespace reef::job
