// What peers say: frames, handshakes, records, messages, what leads to a credential.

#include <iterator>
#include <vector>

#include "actors/teach/speech.h"
#include "ops/codec/codec.h"
#include "runtime/link/relay/wire.h"
#include "runtime/link/secure/record.h"
#include "runtime/link/ucx/wire.h"
#include "runtime/node/protocol.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/make_plan.h"
#include "security/audit/head.h"
#include "security/handshake/handshake.h"
#include "security/identity/request.h"
#include "security/identity/roster.h"
#include "tests/fuzz/seeds.h"

using namespace reef;
using fuzz::byte;
using fuzz::Output;
using fuzz::seed;

namespace {

/// "u16be length | frame".
Output framed(std::initializer_list<std::size_t> sizes) {
  Output out;
  for (const std::size_t size : sizes)
    out.number(byte(size >> 8)).number(byte(size)).rest(Bytes(size, std::byte{7}));
  return out;
}

void tcp_frames() {
  const auto stream = [](std::uint8_t limit, std::uint16_t chunk, const Output& frames) {
    return Output().number(limit).number(chunk).rest(frames.bytes());
  };
  seed("tcp_frames", "three", stream(0, 400, framed({1, 300, 1024})));
  seed("tcp_frames", "bytewise", stream(0, 0, framed({1, 2, 3})));
  seed("tcp_frames", "over-the-limit", stream(0, 65535, framed({5, 1025})));
  seed("tcp_frames", "large", stream(1, 1000, framed({1025})));
  seed("tcp_frames", "empty-frame", stream(1, 9, framed({4, 0})));
  seed("tcp_frames", "cut", stream(1, 9, framed({4}).number(std::uint16_t{0x1000})));
}

void ucx_links() {
  using link::ucx::Word;
  seed("ucx_hello", "valid", link::ucx::hello(Bytes(100, std::byte{7})));
  seed("ucx_hello", "no-address", link::ucx::hello({}));
  Bytes later = link::ucx::hello(Bytes(100));
  later[link::ucx::kMagic.size()] = std::byte{9};
  seed("ucx_hello", "other-version", later);

  const auto word = [](Word kind, std::uint32_t value) {
    Bytes bytes;
    link::ucx::append_word(bytes, kind, value);
    return bytes;
  };
  const auto stream = [](std::uint8_t limit, std::uint16_t chunk) {
    return Output().number(limit).number(chunk);
  };
  const Bytes frames = framed({1, 300, 1024}).bytes();
  seed("ucx_stream", "whole",
       stream(0, 400).rest(word(Word::kGrant, 1 << 20)).rest(frames).rest(word(Word::kEnd, 0)));
  seed("ucx_stream", "bytewise", stream(0, 0).rest(frames).rest(word(Word::kGrant, 70000)));
  seed("ucx_stream", "over-the-limit", stream(0, 65534).rest(framed({5, 1025}).bytes()));
  seed("ucx_stream", "after-the-end", stream(1, 9).rest(word(Word::kEnd, 0)).rest(frames));
  seed("ucx_stream", "unknown-word", stream(1, 9).rest(word(static_cast<Word>(3), 0)));
  seed("ucx_stream", "cut", stream(1, 9).rest(framed({4}).number(std::uint16_t{0x1000}).bytes()));
}

/// The node's first frame, the same each time.
Bytes first_frame(const fuzz::Cluster& cluster) {
  constexpr std::uint16_t kStream = fuzz::Cluster::kStream.stream;
  security::HandshakeConfig config;
  config.prologue = cluster.prologue(kStream);
  config.static_secret = cluster.node->noise_secret();
  config.peer_static = cluster.scheduler->noise_key();
  config.fixed_ephemeral = security::SecretBytes::copy_of(Bytes(32, std::byte{9}));
  auto state = security::HandshakeState::create(std::move(config)).value();
  const Bytes message = state.write({}).value();
  return Output().rest(cluster.preamble(kStream)).rest(message).bytes();
}

void handshakes() {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  const auto local = cluster.local(security::Role::kNode);
  Bytes other = first_frame(cluster);
  seed("handshake_first", "valid", other);
  other[7] = std::byte{2};
  seed("handshake_first", "other-version", other);
  for (std::uint8_t frame = 0; frame < 3; ++frame) {
    const std::string name = std::to_string(frame);
    seed("handshake", "untouched-" + name, Output().number(byte(0)).number(frame));
    seed("handshake", "flipped-" + name,
         Output()
             .number(byte(0))
             .number(frame)
             .number(byte(0))
             .number(std::uint16_t{20})
             .number(byte(1)));
    seed("handshake", "cut-" + name,
         Output().number(byte(0)).number(frame).number(byte(1)).number(std::uint16_t{60}));
    seed("handshake", "bytes-" + name, Output().number(byte(1)).number(frame).rest(Bytes(70)));
  }
  const auto payload = [](std::uint8_t frame, BytesView bytes) {
    return Output().number(byte(2)).number(frame).rest(bytes);
  };
  const Bytes scheduler = cluster.local(security::Role::kScheduler).credential;
  seed("handshake", "credential-of-scheduler", payload(0, scheduler));
  seed("handshake", "credential-of-node", payload(1, cluster.third_payload()));
  Bytes of_none = cluster.third_payload();
  of_none[link::secure::kBundleSize] = std::byte{1};
  seed("handshake", "stream-beyond-the-last", payload(1, of_none));
  seed("handshake", "another-s-credential",
       payload(1, Output()
                      .rest(BytesView(of_none).first(16))
                      .number(std::uint16_t{65})
                      .number(byte(0))
                      .rest(scheduler)
                      .bytes()));
  seed("handshake", "no-credential", payload(1, {}));
  for (const char* name :
       {"XK", "XKpsk3", "NNpsk0+psk2", "X1X1", "N", "Xpsk1", "IKpsk1+psk2", "K1K1psk3"})
    seed("noise_pattern", name, std::string_view(name));
}

void credentials() {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  for (const security::Role role : {security::Role::kScheduler, security::Role::kNode}) {
    seed("credential", "valid-" + std::string(role_name(role)),
         Output().number(byte(0)).rest(cluster.local(role).credential));
  }
  security::Credential old = cluster.credential(security::Role::kNode);
  old.not_after = fuzz::Cluster::kNow - 1;
  seed("credential", "expired",
       Output().number(byte(0)).rest(cluster.authority.issue(old).value()));
  seed("credential", "fields",
       Output()
           .number(byte(1))
           .number(byte(2))
           .number(std::uint64_t{1} << 40)
           .number(std::uint64_t{7})
           .number(byte(6))
           .rest(as_bytes("node-1"))
           .number(byte(5))
           .rest(as_bytes("h\xC3\xABre")));
}

void records() {
  seed("record", "bytes", Output().number(byte(0)).number(byte(3)).rest(Bytes(40)));
  seed("record", "untouched", Output().number(byte(1)).number(byte(3)));
  seed("record", "flipped",
       Output()
           .number(byte(1))
           .number(byte(3))
           .number(byte(0))
           .number(std::uint16_t{4})
           .number(byte(1)));
  Output plain;
  plain.number(byte(2))
      .number(byte(1))
      .number(std::uint16_t{1})
      .number(std::uint64_t{5})
      .number(std::uint64_t{9});
  seed("record", "sealed", Output().number(byte(2)).rest(plain.bytes()).rest(as_bytes("body")));
}

/// A fragment's prefix.
Output prefix(std::uint8_t lane, std::uint32_t header, std::uint64_t payload,
              std::uint64_t offset) {
  return Output()
      .number(std::uint16_t{1})
      .number(lane)
      .number(byte(0))
      .number(header)
      .number(payload)
      .number(offset);
}

struct Fragment {
  std::uint8_t flags;
  std::uint16_t id;
  Output body;
};

/// One input for `channel`, and for `session` the same inside data records.
void fragments(const std::string& name, const std::vector<Fragment>& all) {
  Output channel, session;
  session.number(byte(0));
  for (const Fragment& one : all) {
    channel.number(one.flags).number(one.id).number(byte(9)).piece(one.body.bytes());
    session.number(byte(2)).number(one.flags).number(one.id).number(byte(9)).piece(
        one.body.bytes());
  }
  seed("channel", name, channel);
  seed("session", name, session);
}

void channels() {
  const auto filled = [](Output out, std::size_t size) {
    return out.rest(Bytes(size, std::byte{5}));
  };
  fragments("one", {{0, 1, filled(prefix(0, 4, 6, 0), 10)}});
  fragments("empty", {{0, 1, prefix(3, 0, 0, 0)}});
  fragments("parts", {{0, 1, filled(prefix(2, 10, 20, 0), 5)},
                      {0, 1, filled(prefix(2, 10, 20, 5), 15)},
                      {0, 1, filled(prefix(2, 10, 20, 20), 10)}});
  fragments("any-order", {{0, 2, filled(prefix(2, 0, 2, 0), 2)},
                          {0, 1, filled(prefix(2, 4, 20, 10), 14)},
                          {0, 1, filled(prefix(2, 4, 20, 0), 3)},
                          {0, 1, filled(prefix(2, 4, 20, 3), 7)}});
  fragments("overtaken", {{0, 1, filled(prefix(3, 0, 20, 0), 5)},
                          {0, 1, filled(prefix(0, 2, 0, 0), 2)},
                          {0, 1, filled(prefix(3, 0, 20, 5), 15)}});
  fragments("aborted", {{0, 1, filled(prefix(1, 0, 9, 0), 5)},
                        {4, 1, prefix(1, 0, 9, 5)},
                        {0, 2, filled(prefix(1, 1, 1, 0), 2)}});
  fragments("abort-first", {{4, 1, prefix(1, 2, 9, 5)}, {0, 1, filled(prefix(1, 2, 9, 0), 5)}});
  fragments("twice",
            {{0, 1, filled(prefix(1, 0, 9, 0), 5)}, {0, 1, filled(prefix(1, 0, 9, 4), 5)}});
  fragments("too-long", {{0, 1, filled(prefix(1, 0, 9, 5), 5)}});
  fragments("over-the-limit", {{0, 1, filled(prefix(1, 0, std::uint64_t{1} << 40, 0), 1)}});
  fragments("far-ahead", {{0, 4097, filled(prefix(1, 0, 1, 0), 1)}});
  fragments("without-number", {{0, 0, filled(prefix(1, 0, 1, 0), 1)}});
  const auto bare = [](std::initializer_list<std::uint8_t> types, std::uint8_t we_dial) {
    Output out;
    out.number(we_dial);
    for (const std::uint8_t type : types)
      out.number(type).number(byte(0)).number(std::uint16_t{0}).number(byte(0)).piece({});
    return out;
  };
  seed("session", "rekey-ping-close", bare({3, 4, 5}, 0));
  seed("session", "welcome", bare({4, 3, 5}, 1));
  seed("session", "not-welcome", Output().number(byte(1)).number(byte(5)).number(byte(1)));
  seed("session", "data-before-welcome", bare({2}, 1));
  seed("session", "unsealed", Output().number(byte(0)).number(byte(0x80)).piece(Bytes(50)));
  seed("session", "no-header", Output().number(byte(0)).number(byte(0x40)).piece(Bytes(7)));
}

void protocol() {
  using namespace node;
  const Round round{11, 7, 2, true, true};
  const Traffic traffic{std::uint64_t{1} << 40, 12345};
  std::size_t kind = 0;
  const auto add = [&kind](const std::string& name, const link::Message& message) {
    const BytesView payload =
        message.payload.view().first(std::min<std::size_t>(message.payload.size(), 255));
    seed("protocol", name,
         Output()
             .number(byte(kind++))
             .number(byte(payload.size()))
             .rest(payload)
             .rest(message.header));
  };
  auto encoded = std::make_shared<Encoded>();
  encoded->codec = "none+zstd";
  encoded->dtype = ops::DType::kI32;
  encoded->shapes = {{2, 3}, {}, {5}};
  encoded->raw_bytes = 48;
  encoded->payload = Bytes(20, std::byte{1});
  WireToken token{"job-1", 9, 4, std::uint64_t{1} << 33, 1, {}};
  token.token.round = round;
  token.token.scalars = {0.5, -1e300};
  token.token.encoded = encoded;
  add("token", token_message(token, link::Lane::kGradient));
  add("credit", credit_message({8, 17}));
  add("hello", hello_message({"host.example", 65535, Reach::kDatacenter}));
  add("assign", assign_message({3,
                                1,
                                {{"node-0", "10.0.0.1", 7000, Bytes(32), 8, "bbr"},
                                 {"node-1", "::1", 1, {}, 0, ""}},
                                "runs/r",
                                Bytes(9)}));
  add("signal", signal_message(Kind::kHeld, {1, 2, "loader/r0"}));
  add("progress", progress_message({5, {round, 2.5, 0.25, 1e-3, 4096, 2.75, true}, traffic}));
  add("checkpoint", checkpoint_message({5, 100, "runs/r/checkpoints/step-00000100"}));
  add("failure", failure_message({6, {Code::kInternal, "layers/r0/s1", "what, \"why\""}}));
  add("heartbeat", heartbeat_message(Kind::kHeartbeat, {5, traffic}));
  add("submit", submit_message({"runs/r", "{\"kind\": \"TrainingJob\"}"}));
  add("status",
      status_message({"running", traffic, 600, "runs/r/checkpoints/step-00000100", "waits"}));
  add("test-line", test_line_message({"east-0", "west-1", {1, 8, 64}, "bbr", 20}));
  add("probe-line",
      probe_line_message({9, {"west-1", "10.0.0.2", 7000, Bytes(32), 1, "bbr"}, {8}, 20}));
  link::LineReport report{std::chrono::milliseconds(100), std::chrono::milliseconds(99), {}};
  report.trials = {
      {8, 47e6, std::chrono::milliseconds(140), std::chrono::milliseconds(200), 0.002, 90}};
  add("line-result", line_result_message({7, report}));
  add("issued", issued_message({Bytes(40), "policy"}));
  add("present", present_message(Bytes(40)));
  add("roster", roster_message("atoll-roster-1\n"));
  add("letter", letter_message({12, {7, 3, std::uint64_t{1} << 40, 1000, 2, "int8", Bytes(40)}}));
  add("partners",
      partners_message({5,
                        12,
                        {{0, true, {"east-0", "10.0.0.1", 7000, Bytes(32), 8, "bbr"}},
                         {2, false, {"west-3", "", 0, Bytes(32, std::byte{2}), 1, ""}}}}));
}

/// `kind u8 | lane u8 | milliseconds u8 | piece` each, after who asks.
void probes() {
  const auto say = [](Output& out, std::uint8_t kind, std::uint8_t later, std::size_t size) {
    static std::uint8_t more = 0;  // bytes and clock of a tally only grow
    out.number(kind).number(byte(0)).number(later).piece(Bytes(size, std::byte{++more}));
  };
  Output answers, questions, wrong;
  answers.number(byte(0));
  for (int trial = 0; trial < 2; ++trial) {
    say(answers, 1, 10, 64);
    say(answers, 2, 45, 16);
    say(answers, 2, 20, 16);
  }
  seed("probe", "answers", answers);
  questions.number(byte(1));
  for (const std::uint8_t kind : {1, 2, 3, 4}) say(questions, kind, 1, 64);
  seed("probe", "questions", questions);
  seed("probe", "silent", Output().number(byte(2)));
  say(wrong.number(byte(0)), 2, 1, 15);
  seed("probe", "short-tally", wrong);
}

/// For `relay`: `what u8 | which u8` and more each.
void relays() {
  using link::relay::Kind;
  const auto kind = [](Kind kind) { return byte(static_cast<std::size_t>(kind)); };
  const auto joined = [] {
    Output out;
    for (std::size_t end = 0; end < 2; ++end) out.number(byte(0)).number(byte(end));
    for (std::size_t end = 0; end < 2; ++end)
      out.number(byte(1)).number(byte(end)).number(byte(1 - end)).number(byte(0));
    return out;
  };
  const auto data = [](Output out, std::size_t leg, std::uint16_t size) {
    return out.number(byte(3)).number(byte(leg)).number(size);
  };
  Output window = joined();
  for (int i = 0; i < 40; ++i) window = data(window, 0, 60'000);
  seed("relay", "passes", data(data(joined(), 0, 300), 1, 1));
  seed("relay", "over-the-window", window);
  seed("relay", "takes",
       data(joined(), 0, 65'000)
           .rest(data({}, 0, 65'000).bytes())
           .rest(data({}, 0, 65'000).bytes())
           .number(byte(4))
           .number(byte(1))
           .number(byte(1)));
  seed("relay", "takes-too-much", joined().number(byte(4)).number(byte(0)).number(byte(2)));
  seed("relay", "goes", data(joined(), 0, 9).number(byte(5)).number(byte(0)));
  seed("relay", "revoked", data(joined(), 0, 9).number(byte(7)).number(byte(1)));
  seed("relay", "asks-twice",
       joined().number(byte(1)).number(byte(0)).number(byte(1)).number(byte(2)));
  seed("relay", "refused",
       Output()
           .number(byte(0))
           .number(byte(2))
           .number(byte(1))
           .number(byte(0))
           .number(byte(0))
           .number(byte(0)));
  seed("relay", "bytes",
       joined().number(byte(2)).number(byte(1)).number(kind(Kind::kEnded)).piece(Bytes(1)));

  const auto says = [](Output out, std::uint8_t kind, BytesView body) {
    return out.number(byte(0)).number(kind).piece(body);
  };
  const Output begun = says({}, kind(Kind::kJoined), Bytes(1));
  const auto sends = [](Output out, std::uint8_t what, std::uint16_t size) {
    return out.number(what).number(size);
  };
  Output much = begun, beyond = Output(begun).number(byte(4));
  for (int i = 0; i < 18; ++i) {
    much = sends(much, 3, 60'000);
    beyond = sends(beyond, 1, 60'000);
  }
  seed("relay_end", "both-ways", sends(sends(begun, 1, 500), 3, 700));
  seed("relay_end", "held-back", much);
  seed("relay_end", "credit", Output(much).number(byte(2)).number(byte(6)));
  seed("relay_end", "beyond-credit", beyond);
  seed("relay_end", "too-much-credit", Output(begun).number(byte(2)).number(byte(1)));
  seed("relay_end", "ended", says(sends(begun, 1, 5), kind(Kind::kEnded), Bytes(1, std::byte{2})));
  seed("relay_end", "refused", says({}, kind(Kind::kEnded), Bytes(1, std::byte{4})));
  seed("relay_end", "unknown-reason", says(begun, kind(Kind::kEnded), Bytes(1, std::byte{9})));
  seed("relay_end", "data-before-joined", sends({}, 1, 5));
  seed("relay_end", "goes", Output(begun).number(byte(6)));
}

/// `from u8 | header piece | payload piece`, as often as there are.
void collectives() {
  const auto said = [](std::uint32_t word, std::uint32_t step, std::size_t bytes) {
    const Bytes header = Output().number(word).number(step).bytes();
    return Output().number(byte(1)).piece(header).piece(Bytes(bytes));
  };
  seed("collective", "values", said(0, 2, 20));
  seed("collective", "taken", said(1, 0, 0));
  seed("collective", "no-step", said(0, 1000, 20));
  seed("collective", "no-word", said(2, 0, 0));
}

/// Of small numbers, as the target draws them.
void letter(Output& output, int kind, int number, int tokens) {
  output.number(byte(1)).number(byte(2)).number(byte(kind)).number(byte(0));
  for (const int one : {number, 0, tokens}) output.number(byte(0)).number(byte(one));
  output.number(byte(1)).number(byte(1)).number(0.25F).number(0.5F).number(byte(1));
}

/// An island joins, and both bring progress; of each codec.
void letters() {
  for (int codec = 0; codec < 4; ++codec) {
    Output output;
    output.number(byte(codec)).number(byte(0)).number(byte(1)).number(byte(0));
    output.number(byte(1)).number(byte(0)).number(byte(0)).number(byte(1));  // is there
    letter(output, 1, 0, 0);
    output.number(byte(1)).number(byte(1)).number(byte(0)).number(byte(1)).number(
        byte(1));  // tells
    letter(output, 3, 1, 1);
    letter(output, 5, 2, 0);
    seed("letters", "codec-" + std::to_string(codec), output);
  }
}

/// An ask and an answer as they are, a teacher that is asked, and a student that is told.
void teaching() {
  const actors::Ask ask{1, 2, job::SaidAs::kInt8, {{1, 2, 3}, {4}}};
  seed("teach", "ask", Output().number(byte(0)).rest(actors::encode(ask, 12)));
  const actors::Said said{{1, 5, 0, 11}, {-1, -2, -0.5f, -3}};
  for (const job::SaidAs as : {job::SaidAs::kInt8, job::SaidAs::kBF16}) {
    seed("teach", std::string("answer-") + job::name_of(as),
         Output().number(byte(1)).rest(actors::encode(said, {2, as, 12})));
  }
  for (int noisy = 0; noisy < 2; ++noisy) {
    Output output;
    output.number(byte(2)).number(byte(noisy)).number(byte(1 - noisy));
    for (int turn = 0; turn < 4; ++turn) {
      const Bytes bytes = actors::encode(ask, 12);
      output.number(byte(turn % 2)).number(byte(0)).number(byte(1)).number(byte(1));
      output.number(byte(turn)).number(byte(0)).piece(bytes).number(byte(0)).number(byte(3));
    }
    seed("teach", noisy == 0 ? "asked" : "asked-noisy", output);
  }
  Output output;
  output.number(byte(3)).number(byte(2));
  output.number(byte(0)).number(byte(1)).number(byte(2)).number(byte(0)).number(byte(0));
  output.rest(
      actors::encode({{1, 5, 0, 11, 2, 3}, {-1, -2, -1, -2, -1, -2}}, {2, job::SaidAs::kInt8, 12}));
  output.number(byte(1)).number(byte(1)).number(byte(3)).number(byte(1)).number(byte(1));
  output.number(byte(2)).rest(as_bytes("no"));
  seed("teach", "told", output);
}

void enrolments() {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  const security::SecretBytes text = cluster.token->text();
  seed("token", "text", Output().number(byte(0)).rest(text.view()));
  seed("token", "fields", Output().number(byte(1)).rest(Bytes(80, std::byte{0xEF})));
  const Bytes request =
      security::sign_request(*cluster.node, security::Role::kNode, "node-1", "-").value();
  const BytesView body = BytesView(request).first(request.size() - security::kSignatureSize);
  seed("request", "signed", Output().number(byte(0)).rest(request));
  seed("request", "fields",
       Output()
           .number(byte(1))
           .number(byte(2))
           .number(std::uint16_t{6})
           .rest(as_bytes("node-1"))
           .number(std::uint16_t{1})
           .rest(as_bytes("-")));
  seed("request", "body", Output().number(byte(2)).rest(body));
  seed("grant", "whole", Output().number(byte(0)).rest(security::encode_grant(cluster.grant())));
  seed("grant", "other-scheduler",
       Output().number(byte(1)).number(byte(0)).number(std::uint16_t{40}).number(byte(1)));
  for (std::uint8_t frame = 3; frame < 6; ++frame) {
    const std::string name = std::to_string(frame);
    seed("handshake", "enrol-untouched-" + name, Output().number(byte(0)).number(frame));
    seed("handshake", "enrol-bytes-" + name,
         Output().number(byte(1)).number(frame).rest(Bytes(96)));
  }
  const auto enrol = [](BytesView id) {
    return Output().number(byte(2)).number(byte(3)).rest(id).rest(as_bytes("payload"));
  };
  seed("handshake", "enrol-known", enrol(cluster.token->id));
  seed("handshake", "enrol-unknown", enrol(Bytes(16)));
}

/// The lines of a signed text before the signature.
std::string unsigned_part(const std::string& text) {
  return text.substr(0, text.find("signature"));
}

void statements() {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  const std::string policy = security::sign_policy({}, cluster.authority).value();
  seed("cluster_policy", "signed", Output().number(byte(0)).rest(as_bytes(policy)));
  seed("cluster_policy", "body", Output().number(byte(1)).rest(as_bytes(unsigned_part(policy))));
  seed(
      "cluster_policy", "fields",
      Output().number(byte(2)).number(std::uint64_t{3}).number(byte(1)).number(std::int64_t{3600}));
  security::Roster roster{1, {4, 7}, {cluster.credential(security::Role::kNode).node_id()}};
  const std::string first = security::sign_roster(roster, cluster.authority).value();
  roster.version = 2;
  const std::string second = security::sign_roster(roster, cluster.authority).value();
  const auto two = [](std::uint8_t sign, const std::string& a, const std::string& b) {
    return Output().number(sign).piece(as_bytes(a)).number(sign).piece(as_bytes(b));
  };
  seed("roster", "signed", two(0, first, second));
  seed("roster", "bodies", two(1, unsigned_part(first), unsigned_part(second)));
  seed("roster", "put-back", two(0, second, first));
  const std::string line = "\t2026-01-31T23:59:59Z\tenrolled\tnode-1\tby \\x0atoken\t@\n";
  seed("audit", "chained", Output().number(byte(1)).rest(as_bytes("1" + line + "2" + line)));
  seed("audit", "torn", Output().number(byte(1)).rest(as_bytes("1" + line + "2\t2026")));
  seed("audit", "events",
       Output()
           .number(byte(2))
           .number(byte(1))
           .number(std::uint32_t{1'700'000'000})
           .piece(as_bytes("node\n1"))
           .piece(as_bytes("h\xC3\xABre"))
           .number(byte(0)));
  const std::string head = security::sign_audit_head({}, *cluster.scheduler);
  seed("audit", "empty", Output().number(byte(0)).piece(as_bytes(head)));
}

}  // namespace

void fuzz::seed_messages() {
  tcp_frames();
  ucx_links();
  handshakes();
  credentials();
  records();
  channels();
  protocol();
  probes();
  relays();
  collectives();
  letters();
  teaching();
  enrolments();
  statements();
}
