#pragma once
// The JSON schemas of descriptors, compiled in so that the binary needs no files beside it.

#include <string_view>

namespace reef::schema {

extern const std::string_view kJobSchema;       ///< job.schema.json
extern const std::string_view kTopologySchema;  ///< topology.schema.json

}  // namespace reef::schema
