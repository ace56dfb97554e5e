#include "runtime/node/protocol.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "runtime/base/random.h"

namespace reef::node {
namespace {

const Round kRound{11, 7, 2, true, true};
const Traffic kTraffic{std::uint64_t{1} << 40, 12345};

WireToken sample_token() {
  auto encoded = std::make_shared<Encoded>();
  encoded->dtype = ops::DType::kI32;
  encoded->shapes = {{2, 3}, {}, {5}};
  encoded->raw_bytes = 48;
  encoded->codec = "none+zstd";
  encoded->payload = to_bytes(as_bytes(std::string_view("forty-eight bytes of integers")));
  WireToken token{"job-1", 9, 4, std::uint64_t{1} << 33, 1, {}};
  token.token.round = kRound;
  token.token.micro = 3;
  token.token.scalars = {0.5, -1e300, std::numeric_limits<double>::infinity()};
  token.token.encoded = encoded;
  return token;
}

Assign sample_assign() {
  return {3,
          1,
          {{"node-0", "10.0.0.1", 7000, Bytes(32, std::byte{1}), 8, "bbr"},
           {"node-1", "::1", 65535, {}, 1, ""}},
          "runs/r",
          Bytes(100000, std::byte{2})};
}

ProgressReport sample_progress() {
  return {5, {kRound, 2.5, 0.25, 1e-3, 4096, 2.75, true}, kTraffic};
}
FailureReport sample_failure() { return {6, {Code::kInternal, "layers/r0/s1", "what, \"why\""}}; }

Letter sample_letter() {
  return {7, 3, std::uint64_t{1} << 40, 1000, 2, "int8+zstd", Bytes(300, std::byte{5})};
}
Partners sample_partners() {
  return {5,
          12,
          {{0, true, {"east-0", "10.0.0.1", 7000, Bytes(32, std::byte{1}), 8, "bbr"}},
           {2, false, {"west-3", "", 0, Bytes(32, std::byte{2}), 1, ""}}},
          {{0, 2}, {{0, 0}, {2, 3}, {2, 0}}}};
}

void expect_kind(const link::Message& message, Kind kind) {
  EXPECT_EQ(message.kind, static_cast<std::uint16_t>(kind));
  EXPECT_LE(message.header.size(), link::kMaxMessageHeader);
}

TEST(Protocol, TokensRoundTrip) {
  const WireToken token = sample_token();
  const link::Message message = token_message(token, link::Lane::kGradient);
  expect_kind(message, Kind::kToken);
  EXPECT_EQ(message.lane, link::Lane::kGradient);
  EXPECT_EQ(message.epoch, token.epoch);
  const WireToken back = read_token(message).value();
  EXPECT_EQ(back.job, token.job);
  EXPECT_EQ(back.epoch, token.epoch);
  EXPECT_EQ(back.edge, token.edge);
  EXPECT_EQ(back.sequence, token.sequence);
  EXPECT_EQ(back.slot, token.slot);
  EXPECT_EQ(back.token.round, kRound);
  EXPECT_EQ(back.token.micro, 3u);
  EXPECT_FALSE(back.token.empty);
  EXPECT_EQ(back.token.scalars, token.token.scalars);
  ASSERT_NE(back.token.encoded, nullptr);
  EXPECT_EQ(back.token.encoded->codec, token.token.encoded->codec);
  EXPECT_EQ(back.token.encoded->dtype, ops::DType::kI32);
  EXPECT_EQ(back.token.encoded->shapes, token.token.encoded->shapes);
  EXPECT_EQ(back.token.encoded->raw_bytes, 48u);
  EXPECT_EQ(back.token.encoded->payload, token.token.encoded->payload);
}

TEST(Protocol, TokensWithoutTensorsRoundTrip) {
  WireToken token = sample_token();
  token.token.encoded = nullptr;
  token.token.empty = true;
  const WireToken back = read_token(token_message(token, link::Lane::kActivation)).value();
  EXPECT_TRUE(back.token.empty);
  EXPECT_EQ(back.token.encoded, nullptr);
}

TEST(Protocol, CreditAndHelloRoundTrip) {
  const link::Message credit = credit_message({8, 17});
  expect_kind(credit, Kind::kCredit);
  EXPECT_EQ(credit.lane, link::Lane::kControl);
  EXPECT_EQ(read_credit(credit)->epoch, 8u);
  EXPECT_EQ(read_credit(credit)->edge, 17u);
  const link::Message hello = hello_message({"host.example", 65535});
  expect_kind(hello, Kind::kHello);
  EXPECT_EQ(read_hello(hello)->host, "host.example");
  EXPECT_EQ(read_hello(hello)->port, 65535);
  EXPECT_EQ(read_hello(hello)->dialable, Reach::kAnywhere);
  EXPECT_EQ(read_hello(hello_message({"", 0, Reach::kNowhere}))->dialable, Reach::kNowhere);
  EXPECT_EQ(read_hello(hello_message({"h", 9, Reach::kDatacenter}))->dialable, Reach::kDatacenter);
  const std::vector<std::uint64_t> held{7, 1ull << 40};
  EXPECT_EQ(read_hello(hello_message({"h", 9, Reach::kAnywhere, held}))->holds, held);
  const std::vector<std::uint64_t> many(kMostHeld + 1, 7);
  for (const Hello& wrong : {Hello{"h", 9, static_cast<Reach>(3)}, Hello{"h", 0, Reach::kAnywhere},
                             Hello{"h", 9, Reach::kAnywhere, many}})
    EXPECT_EQ(read_hello(hello_message(wrong)).error().code, Code::kProto);
}

TEST(Protocol, AssignmentsRoundTrip) {
  const Assign assign = sample_assign();
  const link::Message message = assign_message(assign);
  expect_kind(message, Kind::kAssign);
  const Assign back = read_assign(message).value();
  EXPECT_EQ(back.epoch, assign.epoch);
  EXPECT_EQ(back.node, assign.node);
  EXPECT_EQ(back.run_folder, assign.run_folder);
  EXPECT_EQ(back.plan, assign.plan);
  ASSERT_EQ(back.peers.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.peers[i].name, assign.peers[i].name);
    EXPECT_EQ(back.peers[i].host, assign.peers[i].host);
    EXPECT_EQ(back.peers[i].port, assign.peers[i].port);
    EXPECT_EQ(back.peers[i].noise_key, assign.peers[i].noise_key);
    EXPECT_EQ(back.peers[i].streams, assign.peers[i].streams);
    EXPECT_EQ(back.peers[i].congestion, assign.peers[i].congestion);
  }
}

TEST(Protocol, LettersRoundTrip) {
  const Letter letter = sample_letter();
  const link::Message message = letter_message({12, letter});
  expect_kind(message, Kind::kLetter);
  EXPECT_EQ(message.lane, link::Lane::kBulk);
  EXPECT_EQ(message.epoch, 12u);
  const WireLetter back = read_letter(message).value();
  EXPECT_EQ(back.meeting, 12u);
  EXPECT_EQ(back.letter.kind, 7u);
  EXPECT_EQ(back.letter.fragment, 3u);
  EXPECT_EQ(back.letter.number, std::uint64_t{1} << 40);
  EXPECT_EQ(back.letter.tokens, 1000u);
  EXPECT_EQ(back.letter.included, 2u);
  EXPECT_EQ(back.letter.codec, "int8+zstd");
  EXPECT_EQ(back.letter.payload, letter.payload);
}

TEST(Protocol, RefusesALetterWithALongCodec) {
  Letter letter = sample_letter();
  letter.codec = std::string(kLongestLetterCodec, 'c');
  link::Message message = letter_message({12, letter});
  ASSERT_TRUE(read_letter(message).ok());
  // The size of a text stands in its pointer, in eighths of a byte behind the kind of element.
  for (std::size_t at = 0; at + 8 <= message.header.size(); at += 8) {
    const auto pointer = load<std::uint64_t>(message.header.data() + at);
    if ((pointer & 3) == 1 && pointer >> 35 == kLongestLetterCodec + 1)
      store(message.header.data() + at, pointer + (std::uint64_t{1} << 35));
  }
  EXPECT_EQ(read_letter(message).error().code, Code::kProto);
}

TEST(Protocol, PartnersRoundTrip) {
  const Partners partners = sample_partners();
  const link::Message message = partners_message(partners);
  expect_kind(message, Kind::kPartners);
  const Partners back = read_partners(message).value();
  EXPECT_EQ(back.epoch, 5u);
  EXPECT_EQ(back.meeting, 12u);
  EXPECT_EQ(back.company.islands, partners.company.islands);
  EXPECT_EQ(back.company.homes, partners.company.homes);
  ASSERT_EQ(back.partners.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.partners[i].island, partners.partners[i].island);
    EXPECT_EQ(back.partners[i].dials, partners.partners[i].dials);
    EXPECT_EQ(back.partners[i].peer.name, partners.partners[i].peer.name);
    EXPECT_EQ(back.partners[i].peer.host, partners.partners[i].peer.host);
    EXPECT_EQ(back.partners[i].peer.port, partners.partners[i].peer.port);
    EXPECT_EQ(back.partners[i].peer.noise_key, partners.partners[i].peer.noise_key);
    EXPECT_EQ(back.partners[i].peer.streams, partners.partners[i].peer.streams);
    EXPECT_EQ(back.partners[i].peer.congestion, partners.partners[i].peer.congestion);
  }
}

TEST(Protocol, RefusesPartnersThatCannotBe) {
  const auto code = [](const Partners& partners) {
    const auto read = read_partners(partners_message(partners));
    return read.ok() ? Code::kInternal : read.error().code;
  };
  Partners twice = sample_partners();
  twice.partners[1].island = twice.partners[0].island;
  EXPECT_EQ(code(twice), Code::kProto);
  Partners short_key = sample_partners();
  short_key.partners[1].peer.noise_key.pop_back();
  EXPECT_EQ(code(short_key), Code::kProto);
  Partners nowhere = sample_partners();
  nowhere.company.homes[1].island = 3;
  EXPECT_EQ(code(nowhere), Code::kProto);
  Partners many = sample_partners();
  for (std::uint32_t island = 10; many.partners.size() < 64; ++island) {
    many.partners.push_back(many.partners[0]);
    many.partners.back().island = island;
  }
  for (std::uint32_t island = 3; many.company.homes.size() < 64; ++island) {
    many.company.homes.push_back({island, island});
    many.company.islands.insert(island);
  }
  EXPECT_TRUE(read_partners(partners_message(many)).ok());
  EXPECT_LE(partners_message(many).header.size(), link::kMaxMessageHeader);
  Partners more = many;
  more.company.homes.push_back({0, 0});
  EXPECT_EQ(code(more), Code::kProto);
  many.partners.push_back(many.partners[0]);
  many.partners.back().island = 9;
  EXPECT_EQ(code(many), Code::kProto);
}

TEST(Protocol, TestsOfLinesRoundTrip) {
  const link::Message test = test_line_message({"east-0", "west-1", {1, 8, 64}, "bbr", 20});
  expect_kind(test, Kind::kTestLine);
  const TestLine asked = read_test_line(test).value();
  EXPECT_EQ(asked.from, "east-0");
  EXPECT_EQ(asked.to, "west-1");
  EXPECT_EQ(asked.streams, (std::vector<std::uint16_t>{1, 8, 64}));
  EXPECT_EQ(asked.congestion, "bbr");
  EXPECT_EQ(asked.seconds, 20u);
  const ProbeLine order{9, {"west-1", "10.0.0.2", 7000, Bytes(32), 1, "bbr"}, {8}, 20};
  const ProbeLine probe = read_probe_line(probe_line_message(order)).value();
  EXPECT_EQ(probe.ticket, 9u);
  EXPECT_EQ(probe.peer.host, "10.0.0.2");
  EXPECT_EQ(probe.streams, order.streams);
}

TEST(Protocol, RefusesTestsOfLinesBeyondTheLimits) {
  for (const auto& [streams, seconds] :
       std::vector<std::pair<std::vector<std::uint16_t>, std::uint32_t>>{
           {{}, 5},
           {{0}, 5},
           {{65}, 5},
           {std::vector<std::uint16_t>(17, 1), 5},
           {{1}, 0},
           {{1}, 601}}) {
    EXPECT_EQ(read_test_line(test_line_message({"a", "b", streams, "", seconds})).error().code,
              Code::kProto);
  }
}

TEST(Protocol, ResultsOfLinesRoundTrip) {
  using std::chrono::milliseconds;
  link::LineReport report{milliseconds(100), milliseconds(99), {}};
  report.trials = {{1, 8e6, milliseconds(101), milliseconds(300), 0.001, 100},
                   {8, 47e6, milliseconds(140), milliseconds(200), 0.002, 90}};
  const link::Message message = line_result_message({7, report, "east", "west"});
  expect_kind(message, Kind::kLineResult);
  const LineResult back = read_line_result(message).value();
  EXPECT_EQ(back.ticket, 7u);
  EXPECT_EQ(back.from, "east");
  EXPECT_EQ(back.to, "west");
  ASSERT_TRUE(back.report.ok());
  EXPECT_EQ(back.report->round_trip, milliseconds(100));
  EXPECT_EQ(back.report->best().streams, 8);
  EXPECT_EQ(back.report->trials[0].loss, 0.001);
  EXPECT_EQ(back.report->trials[1].slowest, milliseconds(200));

  const Error lost{Code::kPeerLost, "west", "no answer"};
  EXPECT_EQ(read_line_result(line_result_message({8, lost}))->report.error().text(), lost.text());
}

TEST(Protocol, BelievesNoImpossibleMeasurement) {
  const auto refused = [](std::vector<link::Trial> trials) {
    return !read_line_result(line_result_message({1, link::LineReport{{}, {}, std::move(trials)}}))
                .ok();
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{.streams = 1, .rate = -1}}));
  EXPECT_TRUE(refused({{.streams = 1, .rate = 1e300}}));
  EXPECT_TRUE(refused({{.streams = 0, .rate = 1}}));
  EXPECT_TRUE(refused({{.streams = 65, .rate = 1}}));
  EXPECT_TRUE(refused({{.streams = 1, .rate = std::numeric_limits<double>::quiet_NaN()}}));
  EXPECT_TRUE(refused({{.streams = 1, .rate = std::numeric_limits<double>::infinity()}}));
  EXPECT_TRUE(refused({{.streams = 1, .rate = 1, .loss = 1.5}}));
  EXPECT_FALSE(refused({{.streams = 1, .rate = 1, .loss = 1}}));
}

TEST(Protocol, AFailureOfAnyLengthFitsItsReport) {
  const FailureReport report{
      6, {Code::kData, std::string(9000, 'x'), "a\n" + std::string(90000, 'y')}};
  const link::Message message = failure_message(report);
  expect_kind(message, Kind::kFailure);
  const FailureReport back = read_failure(message).value();
  EXPECT_EQ(back.error.code, Code::kData);
  EXPECT_EQ(back.error.where, std::string(4096, 'x') + "...");
  EXPECT_TRUE(back.error.what.starts_with("a?yyy"));
}

TEST(Protocol, SignalsRoundTripUnderEachKind) {
  for (const Kind kind : {Kind::kReady, Kind::kHeld, Kind::kStart, Kind::kHold, Kind::kRelease,
                          Kind::kStop, Kind::kCancel}) {
    const link::Message message = signal_message(kind, {1, 2, "loader/r0"});
    expect_kind(message, kind);
    const Signal back = read_signal(message).value();
    EXPECT_EQ(back.epoch, 1u);
    EXPECT_EQ(back.step, 2u);
    EXPECT_EQ(back.actor, "loader/r0");
  }
}

TEST(Protocol, ProgressRoundTrips) {
  const ProgressReport report = sample_progress();
  const link::Message message = progress_message(report);
  expect_kind(message, Kind::kProgress);
  const ProgressReport back = read_progress(message).value();
  EXPECT_EQ(back.epoch, report.epoch);
  EXPECT_EQ(back.progress.round, kRound);
  EXPECT_EQ(back.progress.loss, 2.5);
  EXPECT_EQ(back.progress.gradient_norm, 0.25);
  EXPECT_EQ(back.progress.learning_rate, 1e-3);
  EXPECT_EQ(back.progress.tokens, 4096u);
  EXPECT_EQ(back.progress.evaluation_loss, 2.75);
  EXPECT_TRUE(back.progress.evaluated);
  EXPECT_EQ(back.traffic.payload_bytes, kTraffic.payload_bytes);
  EXPECT_EQ(back.traffic.wire_bytes, kTraffic.wire_bytes);
}

TEST(Protocol, CheckpointsAndHeartbeatsRoundTrip) {
  const link::Message checkpoint = checkpoint_message({2, 600, "runs/r/checkpoints/step-00000600"});
  expect_kind(checkpoint, Kind::kCheckpoint);
  EXPECT_EQ(read_checkpoint(checkpoint)->epoch, 2u);
  EXPECT_EQ(read_checkpoint(checkpoint)->step, 600u);
  EXPECT_EQ(read_checkpoint(checkpoint)->folder, "runs/r/checkpoints/step-00000600");
  for (const Kind kind : {Kind::kHeartbeat, Kind::kStopped}) {
    const link::Message heartbeat = heartbeat_message(kind, {7, kTraffic});
    expect_kind(heartbeat, kind);
    EXPECT_EQ(read_heartbeat(heartbeat)->epoch, 7u);
    EXPECT_EQ(read_heartbeat(heartbeat)->traffic.payload_bytes, kTraffic.payload_bytes);
    EXPECT_EQ(read_heartbeat(heartbeat)->traffic.wire_bytes, kTraffic.wire_bytes);
  }
}

TEST(Protocol, FailuresRoundTripWithEveryCode) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    FailureReport report = sample_failure();
    report.error.code = static_cast<Code>(code);
    const link::Message message = failure_message(report);
    expect_kind(message, Kind::kFailure);
    EXPECT_EQ(read_failure(message)->epoch, report.epoch);
    EXPECT_EQ(read_failure(message)->error, report.error);
  }
  FailureReport unknown = sample_failure();
  unknown.error.code = static_cast<Code>(static_cast<int>(Code::kInternal) + 1);
  EXPECT_EQ(read_failure(failure_message(unknown)).error().code, Code::kProto);
}

TEST(Protocol, SubmissionsAndStatesRoundTrip) {
  const link::Message submit = submit_message({"runs/r", std::string(50000, '{')});
  expect_kind(submit, Kind::kSubmit);
  EXPECT_EQ(read_submit(submit)->run_folder, "runs/r");
  EXPECT_EQ(read_submit(submit)->job, std::string(50000, '{'));
  const link::Message status =
      status_message({"waiting", kTraffic, 600, "step-00000600", "no node"});
  expect_kind(status, Kind::kStatus);
  EXPECT_EQ(read_status(status)->state, "waiting");
  EXPECT_EQ(read_status(status)->reason, "no node");
  EXPECT_EQ(read_status(status)->traffic.wire_bytes, kTraffic.wire_bytes);
  EXPECT_EQ(read_status(status)->steps, 600u);
  EXPECT_EQ(read_status(status)->checkpoint, "step-00000600");
}

/// Reads as everything: a hostile peer may put any header under any kind.
void read_as_everything(const link::Message& message) {
  const bool ok[] = {
      read_token(message).ok(),      read_credit(message).ok(),  read_hello(message).ok(),
      read_assign(message).ok(),     read_signal(message).ok(),  read_progress(message).ok(),
      read_checkpoint(message).ok(), read_failure(message).ok(), read_heartbeat(message).ok(),
      read_submit(message).ok(),     read_status(message).ok(),  read_letter(message).ok(),
      read_partners(message).ok()};
  (void)ok;
}

std::vector<link::Message> one_of_each() {
  return {token_message(sample_token(), link::Lane::kBulk),
          credit_message({8, 17}),
          hello_message({"host", 1}),
          assign_message(sample_assign()),
          signal_message(Kind::kHeld, {1, 2, "loader/r0"}),
          progress_message(sample_progress()),
          checkpoint_message({2, 600, "folder"}),
          failure_message(sample_failure()),
          heartbeat_message(Kind::kStopped, {7, kTraffic}),
          submit_message({"runs/r", "{}"}),
          status_message({"running", kTraffic, 1, "c", "r"}),
          letter_message({12, sample_letter()}),
          partners_message(sample_partners())};
}

TEST(Protocol, EveryTruncationIsReadWithoutHarm) {
  for (link::Message message : one_of_each()) {
    const Bytes whole = message.header;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      message.header.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      read_as_everything(message);
      EXPECT_FALSE(size % 8 != 0 && read_signal(message).ok()) << "not whole words: " << size;
    }
  }
}

TEST(Protocol, EveryFlippedBitIsReadWithoutHarm) {
  for (link::Message message : one_of_each()) {
    for (std::size_t bit = 0; bit < message.header.size() * 8; ++bit) {
      const auto mask = static_cast<std::byte>(1 << bit % 8);
      message.header[bit / 8] ^= mask;
      read_as_everything(message);
      message.header[bit / 8] ^= mask;
    }
  }
}

TEST(Protocol, RandomDamageIsReadWithoutHarm) {
  const Random random(3, "protocol damage");
  std::uint64_t row = 0;
  for (const link::Message& good : one_of_each()) {
    for (std::uint64_t round = 0; round < 1000; ++round, ++row) {
      link::Message message = good;
      const std::uint64_t hits = 1 + random.below(8, row, 0);
      for (std::uint64_t i = 1; i <= hits; ++i) {
        const auto at = random.below(message.header.size(), row, 2 * i);
        message.header[at] = static_cast<std::byte>(random.below(256, row, 2 * i + 1));
      }
      read_as_everything(message);
    }
  }
}

TEST(Protocol, RandomBytesAreReadWithoutHarm) {
  const Random random(4, "protocol noise");
  for (std::uint64_t row = 0; row < 2000; ++row) {
    link::Message message;
    message.header.resize(8 * random.below(64, row, 0));
    for (std::size_t i = 0; i < message.header.size(); ++i)
      message.header[i] = static_cast<std::byte>(random.below(256, row, i + 1));
    read_as_everything(message);
  }
}

TEST(Protocol, RefusesAnUnknownDtype) {
  WireToken token = sample_token();
  auto encoded = std::make_shared<Encoded>(*token.token.encoded);
  encoded->dtype = static_cast<ops::DType>(200);
  token.token.encoded = encoded;
  EXPECT_EQ(read_token(token_message(token, link::Lane::kBulk)).error().code, Code::kTensor);
}

TEST(Policies, LetEachRoleSayItsOwnAndNoMore) {
  const auto n = [](Kind kind) { return static_cast<std::uint16_t>(kind); };
  using security::Role;
  EXPECT_TRUE(node_policy().allows(Role::kNode, n(Kind::kToken)));
  EXPECT_TRUE(node_policy().allows(Role::kScheduler, n(Kind::kAssign)));
  EXPECT_FALSE(node_policy().allows(Role::kNode, n(Kind::kAssign)));
  EXPECT_FALSE(node_policy().allows(Role::kScheduler, n(Kind::kToken)));
  EXPECT_FALSE(node_policy().allows(Role::kClient, n(Kind::kToken)));
  EXPECT_TRUE(scheduler_policy().allows(Role::kClient, n(Kind::kSubmit)));
  EXPECT_FALSE(scheduler_policy().allows(Role::kNode, n(Kind::kSubmit)));
  EXPECT_FALSE(scheduler_policy().allows(Role::kClient, n(Kind::kHello)));
  EXPECT_TRUE(client_policy().allows(Role::kScheduler, n(Kind::kStatus)));
  EXPECT_FALSE(client_policy().allows(Role::kNode, n(Kind::kStatus)));
}

TEST(Policies, DenyEveryPairThatIsNotListed) {
  using security::Role;
  using Pair = std::pair<Role, Kind>;
  struct Row {
    const char* receiver;
    security::Policy policy;
    std::set<Pair> allowed;
  };
  const Row rows[] = {
      {"scheduler",
       scheduler_policy(),
       {{Role::kNode, Kind::kHello},
        {Role::kNode, Kind::kReady},
        {Role::kNode, Kind::kProgress},
        {Role::kNode, Kind::kCheckpoint},
        {Role::kNode, Kind::kFailure},
        {Role::kNode, Kind::kHeld},
        {Role::kNode, Kind::kHeartbeat},
        {Role::kNode, Kind::kStopped},
        {Role::kNode, Kind::kRenew},
        {Role::kNode, Kind::kLineResult},
        {Role::kClient, Kind::kSubmit},
        {Role::kClient, Kind::kCancel},
        {Role::kClient, Kind::kTestLine},
        {Role::kClient, Kind::kRenew}}},
      {"node",
       node_policy(),
       {{Role::kNode, Kind::kToken},
        {Role::kNode, Kind::kCredit},
        {Role::kNode, Kind::kPresent},
        {Role::kNode, Kind::kLetter},
        {Role::kScheduler, Kind::kPartners},
        {Role::kScheduler, Kind::kPresent},
        {Role::kScheduler, Kind::kAssign},
        {Role::kScheduler, Kind::kStart},
        {Role::kScheduler, Kind::kHold},
        {Role::kScheduler, Kind::kRelease},
        {Role::kScheduler, Kind::kStop},
        {Role::kScheduler, Kind::kProbeLine},
        {Role::kScheduler, Kind::kIssued},
        {Role::kScheduler, Kind::kRoster}}},
      {"client",
       client_policy(),
       {{Role::kScheduler, Kind::kStatus},
        {Role::kScheduler, Kind::kProgress},
        {Role::kScheduler, Kind::kCheckpoint},
        {Role::kScheduler, Kind::kFailure},
        {Role::kScheduler, Kind::kLineResult},
        {Role::kScheduler, Kind::kIssued},
        {Role::kScheduler, Kind::kRoster},
        {Role::kScheduler, Kind::kPresent}}},
  };
  for (const Row& row : rows) {
    std::size_t found = 0;
    // Every role there can be on the wire, who enrols (0) included, and many more kinds than are.
    for (unsigned role = 0; role < 256; ++role) {
      for (unsigned kind = 0; kind < 1024; ++kind) {
        const Pair pair{static_cast<Role>(role), static_cast<Kind>(kind)};
        const bool allows = row.policy.allows(pair.first, static_cast<std::uint16_t>(kind));
        if (allows != row.allowed.contains(pair)) {
          ADD_FAILURE() << row.receiver << ": role " << role << ", kind " << kind;
        }
        found += allows;
      }
    }
    EXPECT_EQ(found, row.allowed.size());
  }
}

TEST(Protocol, IdentityMessagesRoundTrip) {
  const Issued issued{Bytes(900, std::byte{7}), std::string(1024, 'p')};
  const link::Message message = issued_message(issued);
  expect_kind(message, Kind::kIssued);
  EXPECT_EQ(read_issued(message)->credential, issued.credential);
  EXPECT_EQ(read_issued(message)->policy, issued.policy);
  const link::Message present = present_message(issued.credential);
  expect_kind(present, Kind::kPresent);
  EXPECT_EQ(to_bytes(present.payload.view()), issued.credential);
  const link::Message roster = roster_message("roster");
  expect_kind(roster, Kind::kRoster);
  EXPECT_EQ(as_text(roster.payload.view()), "roster");
}

}  // namespace
}  // namespace reef::node
