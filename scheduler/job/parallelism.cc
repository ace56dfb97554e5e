#include "scheduler/job/parallelism.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "runtime/base/utf8.h"

namespace reef::job {

Result<Schedule> parse_schedule(std::string_view text) {
  constexpr std::string_view kInterleaved = "interleaved:";
  if (text == "1f1b") return Schedule{};
  if (text == "zero-bubble") return Schedule{Schedule::Kind::kZeroBubble, 1};
  if (text.starts_with(kInterleaved)) {
    Schedule schedule{Schedule::Kind::kInterleaved, 0};
    const auto [end, failure] = std::from_chars(
        text.data() + kInterleaved.size(), text.data() + text.size(), schedule.stages_per_device);
    const bool whole = failure == std::errc() && end == text.data() + text.size();
    if (whole && schedule.stages_per_device >= 2 && schedule.stages_per_device <= 64)
      return schedule;
  }
  return Error{Code::kJobValue, "",
               "'" + printable(text) +
                   "' is not 1f1b, zero-bubble or interleaved:N with N in 2..64 ranges of layers "
                   "a device"};
}

std::string name_of(const Schedule& schedule) {
  switch (schedule.kind) {
    case Schedule::Kind::k1F1B:
      break;
    case Schedule::Kind::kInterleaved:
      return "interleaved:" + std::to_string(schedule.stages_per_device);
    case Schedule::Kind::kZeroBubble:
      return "zero-bubble";
  }
  return "1f1b";
}

std::string ratio_text(const std::vector<std::uint32_t>& micro_batches) {
  std::string text;
  for (const std::uint32_t count : micro_batches)
    text += (text.empty() ? "" : ":") + std::to_string(count);
  return text;
}

bool Parallelism::is_uneven() const {
  return std::ranges::adjacent_find(micro_batches, std::not_equal_to<>()) != micro_batches.end();
}

}  // namespace reef::job
