// The messages between processes, each kind: hostile Cap'n Proto headers.

#include "runtime/node/protocol.h"

#include "tests/fuzz/fuzz.h"

using namespace reef;
using namespace reef::node;

namespace {

bool same(const link::Message& a, const link::Message& b) {
  const BytesView x = a.payload.view(), y = b.payload.view();
  return a.kind == b.kind && a.header == b.header &&
         std::equal(x.begin(), x.end(), y.begin(), y.end());
}

/// What was accepted can be said again, and is then understood in the same way.
template <typename T, typename Build, typename Read>
void check(const Result<T>& value, Build build, Read read) {
  if (!value.ok()) return fuzz::check_refusal(value.error(), {Code::kProto, Code::kTensor});
  const link::Message again = build(*value);
  // Pointers of a hostile header may lead to one text many times; written out it is then too long.
  if (again.header.size() > link::kMaxMessageHeader) return;
  const auto twice = read(again);
  CHECK(twice.ok()) << twice.error().text();
  CHECK(same(build(*twice), again));
}

template <typename T>
void check_plain(const link::Message& message, Result<T> (*read)(const link::Message&),
                 link::Message (*build)(const T&)) {
  check(read(message), build, read);
}

void check_token(const link::Message& message) {
  const auto build = [](const WireToken& token) {
    return token_message(token, link::Lane::kGradient);
  };
  check(read_token(message), build, read_token);
}

/// Of a header that says nothing and a payload that its signature protects.
void check_payload(const link::Message& message, const link::Message& again) {
  const auto signal = read_signal(message);
  if (!signal.ok()) fuzz::check_refusal(signal.error(), {Code::kProto});
  CHECK(read_signal(again).ok());
  const BytesView x = message.payload.view(), y = again.payload.view();
  CHECK(std::equal(x.begin(), x.end(), y.begin(), y.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t kind = input.below(19);
  link::Message message;
  message.payload = to_bytes(input.take(input.number<std::uint8_t>()));
  message.header = to_bytes(input.take(link::kMaxMessageHeader));
  switch (kind) {
    case 0:
      check_token(message);
      break;
    case 1:
      check_plain(message, read_credit, credit_message);
      break;
    case 2:
      check_plain(message, read_hello, hello_message);
      break;
    case 3:
      check_plain(message, read_assign, assign_message);
      break;
    case 4:
      check(
          read_signal(message), [](const Signal& s) { return signal_message(Kind::kReady, s); },
          read_signal);
      break;
    case 5:
      check_plain(message, read_progress, progress_message);
      break;
    case 6:
      check_plain(message, read_checkpoint, checkpoint_message);
      break;
    case 7:
      check_plain(message, read_failure, failure_message);
      break;
    case 8:
      check(
          read_heartbeat(message),
          [](const Heartbeat& beat) { return heartbeat_message(Kind::kHeartbeat, beat); },
          read_heartbeat);
      break;
    case 9:
      check_plain(message, read_submit, submit_message);
      break;
    case 10:
      check_plain(message, read_status, status_message);
      break;
    case 11:
      check_plain(message, read_test_line, test_line_message);
      break;
    case 12:
      check_plain(message, read_probe_line, probe_line_message);
      break;
    case 13:
      check_plain(message, read_line_result, line_result_message);
      break;
    case 14:
      check_plain(message, read_issued, issued_message);
      break;
    case 15:
      check_payload(message, present_message(to_bytes(message.payload.view())));
      break;
    case 16:
      check_payload(message, roster_message(std::string(as_text(message.payload.view()))));
      break;
    case 17:
      check(
          read_letter(message), [](const WireLetter& letter) { return letter_message(letter); },
          read_letter);
      break;
    default:
      check_plain(message, read_partners, partners_message);
  }
  return 0;
}
