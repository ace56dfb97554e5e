// Short texts of users and of other processes: quantities, error lines, codecs, addresses.

#include <algorithm>

#include "ops/codec/codec.h"
#include "runtime/app/commands/address.h"
#include "runtime/base/units.h"
#include "runtime/base/utf8.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// What is longer is cut where it is shown.
constexpr std::size_t kLongestInput = 128;

void check_units(std::string_view text) {
  const auto duration = parse_duration(text);
  if (duration.ok())
    CHECK(*duration >= Duration{} && !format_duration(*duration).empty());
  else
    fuzz::check_refusal(duration.error(), {Code::kJobValue});
  const auto size = parse_size(text);
  if (size.ok())
    CHECK(*size < (std::uint64_t{1} << 62) && !format_size(*size).empty());
  else
    fuzz::check_refusal(size.error(), {Code::kJobValue});
  const auto rate = parse_rate(text);
  if (rate.ok())
    CHECK(*rate >= 0 && *rate < 0x1p62);
  else
    fuzz::check_refusal(rate.error(), {Code::kJobValue});
}

void check_error_line(std::string_view text) {
  const Error error = parse_error(text);
  CHECK(parse_error(error.text()).code == error.code);
}

void check_printable(std::string_view text) {
  const std::string line = printable(text);
  CHECK_LE(line.size(), 83u);
  CHECK_EQ(first_bad_utf8(line), line.size());
  for (const unsigned char c : line) CHECK(c >= 0x20 && c != 0x7F);
  CHECK_LE(first_bad_utf8(text), text.size());
}

void check_address(const std::string& text) {
  const auto address = app::parse_address(text, "--listen");
  if (!address.ok()) return fuzz::check_refusal(address.error(), {Code::kUsage});
  CHECK(!address->first.empty());
  CHECK(text.starts_with(address->first + ":"));
}

void check_codec(std::string_view text) {
  const auto codec = codec::parse(text);
  if (!codec.ok()) return fuzz::check_refusal(codec.error(), {Code::kJobValue});
  CHECK_EQ(codec::name(*codec), text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_text(fuzz::Input(data, std::min(size, kLongestInput)).rest()));
  check_units(text);
  check_error_line(text);
  check_printable(text);
  check_address(text);
  check_codec(text);
  return 0;
}
