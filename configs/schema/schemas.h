#pragma once
// The JSON schemas of descriptors, compiled in so that the binary needs no files beside it.

#include <string_view>

namespace reef::schema {

extern const std::string_view kJobSchema;  ///< job.schema.json
/// teacher.schema.json; its `model` is that of a job, of which it says nothing.
extern const std::string_view kTeacherSchema;
extern const std::string_view kTopologySchema;  ///< topology.schema.json

}  // namespace reef::schema
