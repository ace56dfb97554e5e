#pragma once
// The bytes of a UCX link: the hello on its life line, and the stream that UCX carries. See
// docs/protocol.md.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::link::ucx {

/// Hello, the one frame on the life line: `magic 7 | version u16 | worker address`.
inline constexpr std::string_view kMagic = "atollux";

/// In the stream: `length u16be | frame`, or, where the length is 0, a word:
/// `kind u8 | value u32`. Integers in hellos and words are little-endian.
enum class Word : std::uint8_t {
  kGrant = 1,  ///< the peer may send `value` more
  kEnd = 2,    ///< nothing more will come; `value` is 0
};

enum Limit : std::size_t {
  kVersion = 1,
  kHelloHead = 9,
  kMaxAddress = 8192,  ///< of a worker with every device of a large machine
  kHelloLimit = kHelloHead + kMaxAddress,
  kPrefix = 2,
  kWordSize = kPrefix + 5,
  /// Granted at first: what a peer may send before its reader takes it. UCX's queue in shared
  /// memory has room for it, so that a sender waits for grants, at rest, and not for that queue.
  kWindow = 448 << 10,
  kFrameCost = 64,  ///< of a grant beside a frame's bytes: small ones cost memory too
};

inline std::size_t cost_of(std::size_t frame) { return frame + kFrameCost; }

Bytes hello(BytesView address);
/// The address in a peer's hello; kProto, without where, for anything else.
Result<BytesView> read_hello(BytesView frame);
void append_word(Bytes& to, Word kind, std::uint32_t value);

/// Takes the stream apart, in whatever pieces it comes.
/// Memory: one frame at most, of a size that was within its peer's grant. Failure: kProto, without
/// where; the stream is not read on.
class StreamReader {
 public:
  /// Called in the order of the stream. An Error ends it.
  class Sink {
   public:
    /// Before memory is taken for a frame of `size` bytes.
    virtual Status announced(std::size_t size) = 0;
    virtual void frame(Bytes bytes) = 0;
    virtual Status granted(std::uint32_t value) = 0;
    virtual void ended() = 0;

   protected:
    ~Sink() = default;
  };

  /// A longer frame is refused.
  void set_limit(std::size_t bytes) { limit_ = bytes; }
  Status take(BytesView piece, Sink& sink);

 private:
  Status length_known(std::size_t length, Sink& sink);
  Status word_known(Sink& sink);

  std::size_t limit_ = 65535;
  std::byte head_[kWordSize]{};
  std::size_t head_size_ = 0;
  Bytes frame_;
  std::size_t missing_ = 0;  ///< of frame_
  bool ended_ = false;
};

}  // namespace reef::link::ucx
