// What a stranger can send: the first frame that an acceptor hears.

#include "runtime/link/secure/handshake.h"
#include "tests/fuzz/cluster.h"

using namespace reef;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const link::secure::Local local = fuzz::Cluster::get().local(security::Role::kScheduler);
  const BytesView frame = fuzz::Input(data, size).rest();
  link::secure::Handshake acceptor(local, false, {}, {}, "peer");
  const auto answer = acceptor.read(frame);
  CHECK(!acceptor.complete()) << "nobody is known after one frame";
  if (answer.ok()) {
    CHECK(!answer->empty() && answer->size() <= link::secure::kHandshakeFrameLimit);
    CHECK_EQ(frame.size() - link::secure::kPreambleSize,
             48 + (acceptor.stream().stream == link::secure::kEnrolStream
                       ? std::size_t{link::secure::kTokenIdSize}
                       : 0u));
  } else {
    fuzz::check_refusal(answer.error(), {Code::kProto});
    CHECK(!acceptor.read(frame).ok()) << "a handshake lives on after an error";
  }
  return 0;
}
