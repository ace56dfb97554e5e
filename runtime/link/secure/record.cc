#include "runtime/link/secure/record.h"

namespace reef::link::secure {

Bytes RecordCipher::seal(RecordType type, const RecordHeader& header,
                         std::span<const BytesView> pieces) {
  std::size_t size = kRecordOverhead;
  for (BytesView piece : pieces) size += piece.size();
  Bytes frame;
  frame.reserve(size);
  append_number(frame, static_cast<std::uint8_t>(type));
  append_number(frame, header.flags);
  append_number(frame, stream_);
  append_number(frame, header.message);
  append_number(frame, header.epoch);
  for (BytesView piece : pieces) append(frame, piece);
  frame.resize(size);
  session_.send.encrypt(frame, {}, BytesView(frame).first(size - security::kTagSize));
  ++records_since_rekey_;
  return frame;
}

Result<Record> RecordCipher::open(Bytes& frame) {
  const auto broken = [](std::string what) { return Error{Code::kProto, "", std::move(what)}; };
  if (frame.size() < kRecordOverhead) return broken("a record without header or tag");
  const auto plain = std::span(frame).first(frame.size() - security::kTagSize);
  if (!session_.receive.decrypt(plain, {}, frame)) {
    return broken("a record does not verify: changed, repeated or out of order");
  }
  if (load<std::uint16_t>(plain.data() + 2) != stream_) return broken("a record of another stream");
  return Record{static_cast<RecordType>(plain[0]),
                {std::to_integer<std::uint8_t>(plain[1]), load<std::uint64_t>(plain.data() + 4),
                 load<std::uint64_t>(plain.data() + 12)},
                plain.subspan(kRecordHeaderSize)};
}

void RecordCipher::rekey_send() {
  session_.send.rekey();
  records_since_rekey_ = 0;
}

void RecordCipher::wipe_keys() {
  session_.send = {};
  session_.receive = {};
}

}  // namespace reef::link::secure
