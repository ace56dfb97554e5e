// Enrolment tokens as people paste them: any text, and tokens of any key, id and secret.

#include "security/identity/token.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;
using security::EnrolmentToken;

namespace {

/// One text for one token, or the scheduler would know a used one under another spelling.
void parse(std::string_view text) {
  const auto token = security::parse_token(text);
  if (!token.ok()) {
    fuzz::check_refusal(token.error(), {Code::kData});
    CHECK_EQ(token.error().text(), security::parse_token("").error().text()) << "a secret is told";
    return;
  }
  if (text.ends_with('\n')) text.remove_suffix(1);
  CHECK_EQ(as_text(token->text().view()), text);
}

void write(fuzz::Input& input) {
  EnrolmentToken token{{}, {}, security::SecretBytes(security::kKeySize)};
  const auto fill = [&input](std::span<std::byte> to) {
    const BytesView bytes = input.take(to.size());
    std::copy(bytes.begin(), bytes.end(), to.begin());
  };
  fill(token.scheduler);
  fill(token.id);
  fill(token.secret.span());
  const security::SecretBytes text = token.text();
  const auto back = security::parse_token(as_text(text.view()));
  CHECK(back.ok()) << back.error().text();
  CHECK(back->scheduler == token.scheduler && back->id == token.id);
  CHECK(security::equal(back->secret.view(), token.secret.view()));
  parse(as_text(fuzz::mutated(text.view(), input)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.below(2) == 0)
    parse(as_text(input.rest()));
  else
    write(input);
  return 0;
}
