// What the conformance suite does not see of a UCX link: its bytes, a peer that breaks the rules,
// and rest.

#include <gmock/gmock.h>
#include <sys/resource.h>

#include "runtime/link/ucx/endpoint.h"
#include "runtime/link/ucx/wire.h"
#include "tests/conformance/rig.h"

namespace reef::link::ucx {
namespace {

/// The stream's events as text.
struct Told final : StreamReader::Sink {
  Status announced(std::size_t) override { return {}; }
  void frame(Bytes bytes) override { log.push_back("frame " + std::to_string(bytes.size())); }
  Status granted(std::uint32_t value) override {
    log.push_back("granted " + std::to_string(value));
    return {};
  }
  void ended() override { log.push_back("ended"); }
  std::vector<std::string> log;
};

Bytes framed(std::size_t size) {
  Bytes bytes{static_cast<std::byte>(size >> 8), static_cast<std::byte>(size)};
  bytes.resize(kPrefix + size);
  return bytes;
}

Bytes word(std::uint8_t kind, std::uint32_t value) {
  Bytes bytes;
  append_word(bytes, static_cast<Word>(kind), value);
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

TEST(UcxStream, IsReadWhateverThePieces) {
  const Bytes stream = word(1, 1000) + framed(1) + framed(65535) + word(1, 7) + word(2, 0);
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{3}, std::size_t{8192}, stream.size()}) {
    StreamReader reader;
    Told told;
    for (BytesView rest = stream; !rest.empty();) {
      const std::size_t n = std::min(piece, rest.size());
      ASSERT_TRUE(reader.take(rest.first(n), told).ok());
      rest = rest.subspan(n);
    }
    EXPECT_THAT(told.log, testing::ElementsAre("granted 1000", "frame 1", "frame 65535",
                                               "granted 7", "ended"));
  }
}

TEST(UcxStream, RefusesWhatItDoesNotKnow) {
  const struct {
    int row;
    Bytes stream;
    bool accept;
  } rows[] = {
      {1, framed(100), true},
      {2, framed(101), false},
      {3, word(0, 0), false},
      {4, word(3, 0), false},
      {5, word(2, 1), false},
      {6, word(2, 0), true},
      {7, word(2, 0) + Bytes(1), false},
      {8, word(2, 0) + word(2, 0), false},
  };
  for (const auto& row : rows) {
    StreamReader reader;
    reader.set_limit(100);
    Told told;
    const Status status = reader.take(row.stream, told);
    EXPECT_EQ(status.ok(), row.accept) << row.row;
    if (status.ok()) continue;
    EXPECT_EQ(status.error().code, Code::kProto) << row.row;
  }
}

TEST(UcxHello, RefusesWhatItDoesNotKnow) {
  Bytes stranger = hello(Bytes(10));
  stranger[0] = std::byte{'x'};
  Bytes later = hello(Bytes(10));
  later[kMagic.size()] = std::byte{kVersion + 1};
  const struct {
    int row;
    Bytes frame;
    bool accept;
  } rows[] = {
      {1, Bytes(), false},
      {2, hello({}), false},
      {3, hello(Bytes(1)), true},
      {4, hello(Bytes(kMaxAddress)), true},
      {5, hello(Bytes(kMaxAddress + 1)), false},
      {6, stranger, false},
      {7, later, false},
  };
  for (const auto& row : rows) EXPECT_EQ(read_hello(row.frame).ok(), row.accept) << row.row;
}

/// One end joins by the book; the test plays the other.
class UcxPeer : public testing::Test {
 protected:
  void SetUp() override {
    auto [ours, theirs] = inproc::pair(loop_, loop_);
    life_line_ = std::move(theirs);
    life_line_->start([this](Bytes frame) { meeting_.change([&] { hello_ = std::move(frame); }); },
                      [this](const Error&) { meeting_.change([&] { hung_up_ = true; }); });
    join(loop_, ucx_context("ucx_shm"), std::move(ours),
         system_clock().now() + std::chrono::milliseconds(500),
         [this](Result<std::unique_ptr<Link>> link) {
           meeting_.change([&] { joined_.emplace(std::move(link)); });
         });
    ASSERT_TRUE(wait([this] { return !hello_.empty(); }));
  }
  void TearDown() override {
    loop_.call([this] {
      joined_.reset();
      life_line_.reset();
      if (endpoint_) endpoint_->shut();
    });
  }

  bool wait(const std::function<bool()>& condition) { return meeting_.wait(condition, nullptr); }
  void say(const Bytes& frame) { life_line_->send(frame, kNoDeadline, nullptr); }
  Code refused() {
    EXPECT_TRUE(wait([this] { return joined_.has_value() && hung_up_; }));
    return joined_->ok() ? Code::kInternal : joined_->error().code;
  }
  /// Joins as a peer should, up to its first grant.
  void connect() {
    loop_.call([this] {
      auto endpoint = Endpoint::open(loop_, ucx_context("ucx_shm"));
      ASSERT_TRUE(endpoint.ok()) << endpoint.error().text();
      endpoint_ = std::move(*endpoint);
      say(hello(endpoint_->address().value()));
      ASSERT_TRUE(endpoint_->connect(read_hello(hello_).value(), [] {}).ok());
    });
  }
  /// `bytes` lives until it has left.
  void stream(const Bytes& bytes) {
    loop_.call([&] {
      const BytesView piece(bytes);
      endpoint_->send({&piece, 1});
    });
  }

  Loop loop_;
  Meeting meeting_;
  Bytes hello_;
  bool hung_up_ = false;
  std::optional<Result<std::unique_ptr<Link>>> joined_;
  std::unique_ptr<Link> life_line_;
  std::shared_ptr<Endpoint> endpoint_;
};

TEST_F(UcxPeer, IsRefusedForAHelloThatIsNone) {
  say(Bytes(100));
  EXPECT_EQ(refused(), Code::kProto);
}

TEST_F(UcxPeer, IsGivenUpWhenItSaysNothing) { EXPECT_EQ(refused(), Code::kTimedOut); }

TEST_F(UcxPeer, IsLostWithItsLifeLine) {
  life_line_->close();
  EXPECT_EQ(refused(), Code::kPeerLost);
}

TEST_F(UcxPeer, IsRefusedWhenItGrantsWhatNobodyHas) {
  const Bytes grant = word(1, kWindow + 1);
  connect();
  stream(grant);
  EXPECT_EQ(refused(), Code::kProto);
}

TEST_F(UcxPeer, MayNotSendMoreThanItWasGranted) {
  Bytes flood = word(1, kWindow);
  while (flood.size() < 2 * kWindow) flood = std::move(flood) + framed(60'000);
  connect();
  stream(flood);
  ASSERT_TRUE(wait([this] { return joined_.has_value(); }));
  ASSERT_TRUE(joined_->ok()) << joined_->error().text();
  // Nobody reads, so nothing more was granted.
  std::vector<Error> closed;
  (**joined_)->executor().call([this] { (**joined_)->set_reading(false); });
  (**joined_)->start([](const Bytes&) {},
                     [&](Error why) { meeting_.change([&] { closed.push_back(why); }); });
  ASSERT_TRUE(wait([&] { return closed.size() == 1; }));
  EXPECT_EQ(closed[0].code, Code::kProto) << closed[0].text();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

TEST(UcxRest, CostsNoProcessorTime) {
  for (const std::string name : {"ucx_shm", "ucx_tcp"}) {
    Seen left, right;
    Rig rig(name);
    rig.start(*rig.a, left);
    rig.start(*rig.b, right);
    for (std::size_t i = 0; i < 100; ++i) rig.a->send(Bytes(60'000), kNoDeadline, nullptr);
    ASSERT_TRUE(rig.wait([&] { return right.frames.size() == 100; }));
    const auto pass = [&rig](Duration time) {
      bool passed = false;
      rig.a->executor().at(system_clock().now() + time,
                           [&] { rig.meeting.change([&] { passed = true; }); });
      return rig.wait([&] { return passed; });
    };
    ASSERT_TRUE(pass(std::chrono::milliseconds(50)));  // what has just moved is still polled for
    const double before = cpu_seconds();
    ASSERT_TRUE(pass(std::chrono::seconds(1)));
    EXPECT_LT(cpu_seconds() - before, 0.01) << name;
    // And it wakes up again.
    rig.b->send(Bytes(1), kNoDeadline, nullptr);
    ASSERT_TRUE(rig.wait([&] { return left.frames.size() == 1; })) << name;
  }
}

}  // namespace
}  // namespace reef::link::ucx
