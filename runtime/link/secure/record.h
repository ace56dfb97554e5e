#pragma once
// The records of a sealed link: header, body and tag in one frame, and the keys that seal them.

#include <span>
#include <string>

#include "runtime/link/record_link.h"
#include "runtime/link/secure/wire.h"
#include "security/handshake/handshake.h"

namespace reef::link::secure {

template <typename T>
void append_number(Bytes& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}
inline void append(Bytes& out, BytesView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// One opened record; `body` lies in the frame that it came in.
struct Record {
  RecordType type;
  RecordHeader header;
  BytesView body;
};

/// Both directions of one session. Thread: one. Memory: keys are wiped with it.
class RecordCipher {
 public:
  RecordCipher() = default;
  RecordCipher(security::Session session, std::uint16_t stream)
      : session_(std::move(session)), stream_(stream) {}

  /// The frame of a record whose body is the concatenation of `pieces`.
  Bytes seal(RecordType type, const RecordHeader& header, std::span<const BytesView> pieces);
  /// Decrypts in place. kProto, without a place: changed, repeated, out of order, too short, of
  /// another stream.
  Result<Record> open(Bytes& frame);

  /// New keys for what is sent, from the record after this on; the peer follows a REKEY record.
  void rekey_send();
  void rekey_receive() { session_.receive.rekey(); }
  std::uint64_t records_since_rekey() const { return records_since_rekey_; }

  const security::Digest& handshake_hash() const { return session_.handshake_hash; }
  /// No more records; the hash stays.
  void wipe_keys();

 private:
  security::Session session_;
  std::uint16_t stream_ = 0;
  std::uint64_t records_since_rekey_ = 0;
};

}  // namespace reef::link::secure
