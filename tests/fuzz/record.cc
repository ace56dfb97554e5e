// Records as an open link hears them: changed ones, and any plaintext that the peer seals.

#include "runtime/link/secure/record.h"

#include "tests/fuzz/sessions.h"

using namespace reef;
using link::secure::RecordCipher;

namespace {

constexpr std::uint16_t kStream = 1;

/// What an honest record after a bad one looks like: the nonce must not have moved.
void check_next(RecordCipher& to, RecordCipher& from, std::size_t skipped) {
  const std::byte one{1};
  const BytesView piece(&one, 1);
  for (std::size_t i = 0; i < skipped; ++i)
    (void)from.seal(link::secure::RecordType::kPing, {}, {});
  Bytes frame = from.seal(link::secure::RecordType::kData, {1, 2, 3}, {&piece, 1});
  const auto record = to.open(frame);
  CHECK(record.ok()) << record.error().text();
  CHECK(record->type == link::secure::RecordType::kData);
  CHECK(record->header == (link::RecordHeader{1, 2, 3}));
  CHECK_EQ(record->body.size(), 1u);
}

/// A frame that nobody sealed, or that was changed on the way.
void unsealed(const fuzz::Sessions& sessions, fuzz::Input& input, bool changed) {
  RecordCipher from(sessions.dialler(), kStream), to(sessions.acceptor(), kStream);
  const Bytes body(input.below(64) + 1, std::byte{7});
  const BytesView piece(body);
  const Bytes valid = RecordCipher(sessions.dialler(), kStream)
                          .seal(link::secure::RecordType::kData, {1, 1, 1}, {&piece, 1});
  const Bytes frame = changed ? fuzz::mutated(valid, input) : to_bytes(input.rest());
  Bytes opened = frame;
  const auto record = to.open(opened);
  CHECK_EQ(record.ok(), frame == valid);
  if (!record.ok()) fuzz::check_refusal(record.error(), {Code::kProto});
  check_next(to, from, record.ok() ? 1 : 0);
}

/// What a peer seals need not have the form of a record.
void sealed(const fuzz::Sessions& sessions, BytesView plain) {
  security::Session session = sessions.dialler();
  Bytes frame(plain.size() + security::kTagSize);
  session.send.encrypt(frame, {}, plain);
  RecordCipher to(sessions.acceptor(), kStream);
  const auto record = to.open(frame);
  const bool form = plain.size() >= link::secure::kRecordHeaderSize &&
                    load<std::uint16_t>(plain.data() + 2) == kStream;
  CHECK_EQ(record.ok(), form);
  if (!form) return fuzz::check_refusal(record.error(), {Code::kProto});
  CHECK_EQ(record->body.size(), plain.size() - link::secure::kRecordHeaderSize);
  CHECK(std::equal(record->body.begin(), record->body.end(),
                   plain.begin() + link::secure::kRecordHeaderSize));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Sessions sessions;
  fuzz::Input input(data, size);
  switch (input.below(3)) {
    case 0:
      unsealed(sessions, input, false);
      break;
    case 1:
      unsealed(sessions, input, true);
      break;
    default:
      sealed(sessions, input.rest());
  }
  return 0;
}
