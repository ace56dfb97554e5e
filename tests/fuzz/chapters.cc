// A text that is cut into what is trained on and what is held out.

#include "actors/data/format/chapters.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto seed = input.number<std::uint8_t>();
  const double fraction = static_cast<double>(input.number<std::uint8_t>()) / 256;
  const std::string_view text = as_text(input.rest());
  const auto chapters = data::find_chapters(text, seed);
  std::size_t end = 0;
  std::vector<data::KeyedSize> sizes;
  for (const data::Chapter& chapter : chapters) {
    CHECK_EQ(chapter.begin, end);
    CHECK_LT(chapter.begin, chapter.end);
    end = chapter.end;
    sizes.push_back({chapter.key, chapter.size()});
  }
  if (!chapters.empty()) CHECK_EQ(end, text.size()) << "the chapters cover the text";
  const data::HoldOut held = data::choose_held_out(sizes, fraction);
  if (held.distinct < 2) return 0;
  std::size_t out = 0;
  for (const data::KeyedSize& one : sizes) out += one.key <= held.limit ? 1 : 0;
  CHECK(out > 0 && out < sizes.size()) << "at least one and never all";
  return 0;
}
