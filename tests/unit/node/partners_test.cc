// The channels to partners, of which the other end is made by hand.

#include "runtime/node/partners.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "member.h"
#include "tests/conformance/rig.h"

namespace reef::node {
namespace {
using namespace std::chrono_literals;
using link::secure::Purpose;

constexpr std::uint64_t kMeeting = 7;
constexpr std::size_t kLargest = std::size_t{1} << 20;

Letter letter(std::uint64_t number, std::size_t size = 100) {
  Letter letter;
  letter.number = number;
  letter.payload.assign(size, static_cast<std::byte>(number));
  return letter;
}

/// The other end of one channel.
class Hand {
 public:
  Hand(link::Loop& loop, Identity identity) : loop_(loop), identity_(std::move(identity)) {}
  ~Hand() {
    loop_.call([this] { channel_.reset(); });
  }

  void dial(std::uint16_t port, const security::PublicKey& key, std::uint64_t meeting = kMeeting) {
    loop_.call([&] {
      link::connect_streams(loop_, "127.0.0.1", port, identity_.local, {key, security::Role::kNode},
                            {.purpose = Purpose::kLetters, .epoch = meeting, .data = 2},
                            loop_.clock().now() + 10s, [this](auto streams) {
                              EXPECT_TRUE(streams.ok()) << streams.error().text();
                              if (streams.ok()) take(std::move(*streams));
                            });
    });
    EXPECT_TRUE(meeting_.wait([this] { return channel_ != nullptr; }, nullptr));
  }
  void take(link::Streams streams) {
    auto channel = link::Channel::create(std::move(streams));
    meeting_.change([&] { channel_ = std::move(channel); });
  }
  void listen() {
    channel_->start(
        [this](link::Message message) {
          meeting_.change([&] { heard_.push_back(std::move(message)); });
        },
        [this](const Error&) { meeting_.change([&] { closed_ = true; }); });
  }
  void send(link::Message message) {
    channel_->send(std::move(message), kNoDeadline, [](const Status&) {});
  }
  bool hears(Kind kind, const Bytes& payload) {
    return meeting_.wait(
        [&] {
          return std::ranges::any_of(heard_, [&](const link::Message& message) {
            return message.kind == static_cast<std::uint16_t>(kind) &&
                   to_bytes(message.payload.view()) == payload;
          });
        },
        nullptr);
  }
  bool is_closed() {
    return meeting_.wait([this] { return closed_; }, nullptr);
  }
  bool heard_nothing() {
    return meeting_.read<bool>([this] { return heard_.empty(); });
  }

 private:
  link::Loop& loop_;
  const Identity identity_;
  link::Meeting meeting_;
  std::unique_ptr<link::Channel> channel_;
  std::vector<link::Message> heard_;
  bool closed_ = false;
};

class PartnersOfANode : public testing::Test {
 protected:
  void SetUp() override {
    loop_.call([this] {
      partners_ = std::make_unique<PartnerChannels>(
          PartnerSite{loop_, own_, sessions_, lost_after_, kLargest},
          PartnerChannels::Callbacks{
              [this](std::uint32_t island, Letter in) {
                meeting_.change([&] { letters_.emplace_back(island, in.number); });
              },
              [this](std::uint32_t island, bool present) {
                meeting_.change([&] { changes_.emplace_back(island, present); });
              }});
    });
    listener_ = listen(own_, gatherer_, port_);
  }
  void TearDown() override {
    listener_.reset();
    loop_.call([this] { partners_.reset(); });
    door_.reset();
    loop_.stop();
  }

  std::unique_ptr<link::tcp::Listener> listen(const Identity& identity,
                                              link::StreamGatherer& gatherer, std::uint16_t& port) {
    auto listener = link::tcp::Listener::listen(
        loop_, "127.0.0.1", 0, [this, &identity, &gatherer](auto plain) {
          link::secure::accept(std::move(plain), identity.local, loop_.clock().now() + 10s,
                               [&gatherer](auto sealed) {
                                 if (sealed.ok()) gatherer.add(std::move(*sealed));
                               });
        });
    EXPECT_TRUE(listener.ok());
    port = (*listener)->port();
    return std::move(*listener);
  }
  Partner partner(std::uint32_t island, const Identity& identity) const {
    return {island,
            false,
            {identity.name, "127.0.0.1", 0, to_bytes(identity.credential.noise_key), 2, ""}};
  }
  void meet(std::vector<Partner> partners, std::uint64_t meeting = kMeeting) {
    loop_.call([&] { partners_->meet({1, meeting, std::move(partners)}); });
  }
  std::unique_ptr<Hand> hand(const Identity& identity) {
    return std::make_unique<Hand>(loop_, identity);
  }
  std::unique_ptr<Hand> hand_that_came(const Identity& identity) {
    auto came = hand(identity);
    came->dial(port_, own_.credential.noise_key);
    came->listen();
    EXPECT_TRUE(came->hears(Kind::kPresent, own_.local.credential));
    return came;
  }
  using Changes = std::vector<std::pair<std::uint32_t, bool>>;
  bool changed(const Changes& to) {
    const bool did = meeting_.wait([&] { return changes_.size() >= to.size(); }, nullptr);
    return did && meeting_.read<Changes>([&] { return changes_; }) == to;
  }
  bool came(const std::vector<std::pair<std::uint32_t, std::uint64_t>>& letters) {
    return meeting_.wait([&] { return letters_ == letters; }, nullptr);
  }

  link::Loop loop_;
  const security::Authority authority_ = security::Authority::generate();
  const Identity own_ = member(authority_, "east-0", "east");
  const Identity west_ = member(authority_, "west-0", "west");
  std::atomic<std::uint64_t> ahead_{0};  ///< the sessions' clock, in seconds
  Sessions sessions_{loop_, authority_.public_key(), security::ClusterPolicy{},
                     [this] { return link::secure::system_unix_now() + ahead_; }};
  Duration lost_after_ = 20s;
  std::unique_ptr<PartnerChannels> partners_;
  link::StreamGatherer gatherer_{
      loop_, [this](link::Streams streams) { partners_->accepted(std::move(streams)); }};
  std::unique_ptr<link::tcp::Listener> listener_, door_;
  std::uint16_t port_ = 0;
  link::Meeting meeting_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> letters_;  ///< island and number
  Changes changes_;
};

TEST_F(PartnersOfANode, ExchangeLettersWithWhoeverIsExpected) {
  EXPECT_FALSE(partners_->send(3, letter(1)));
  meet({partner(3, west_)});
  EXPECT_FALSE(partners_->send(3, letter(1)));
  const auto hand = hand_that_came(west_);
  ASSERT_TRUE(changed({{3, true}}));
  EXPECT_FALSE(partners_->send(4, letter(1)));
  EXPECT_TRUE(partners_->send(3, letter(2)));
  EXPECT_TRUE(hand->hears(Kind::kLetter, letter(2).payload));
  for (std::uint64_t number = 5; number < 8; ++number)
    hand->send(letter_message({kMeeting, letter(number)}));
  EXPECT_TRUE(came({{3, 5}, {3, 6}, {3, 7}}));
}

TEST_F(PartnersOfANode, RefuseEverybodyElse) {
  Partner dialled = partner(4, member(authority_, "south-0", "south"));
  dialled.dials = true;
  dialled.peer.port = 9;
  meet({partner(3, west_), dialled});
  const Key key = west_.local.key;
  const Identity strangers[] = {
      member(authority_, "west-0", "west"),                             // the name with another key
      member(authority_, "west-1", "west", security::Role::kNode, key)  // the key, another name
  };
  for (const Identity& stranger : strangers) {
    const auto refused = hand(stranger);
    refused->dial(port_, own_.credential.noise_key);
    refused->listen();
    EXPECT_TRUE(refused->is_closed());
    EXPECT_TRUE(refused->heard_nothing());
  }
  const auto elsewhere = hand(west_);
  elsewhere->dial(port_, own_.credential.noise_key, kMeeting + 1);
  elsewhere->listen();
  EXPECT_TRUE(elsewhere->is_closed());
  EXPECT_TRUE(elsewhere->heard_nothing());
  const auto right = hand_that_came(west_);
  EXPECT_TRUE(changed({{3, true}}));
}

TEST_F(PartnersOfANode, DoNotLetADialledOneComeByItself) {
  Partner dialled = partner(3, west_);
  dialled.dials = true;
  dialled.peer.port = 9;  // nobody is there
  meet({dialled});
  const auto hand = this->hand(west_);
  hand->dial(port_, own_.credential.noise_key);
  hand->listen();
  EXPECT_TRUE(hand->is_closed());
  EXPECT_TRUE(hand->heard_nothing());
}

TEST_F(PartnersOfANode, CloseTheChannelOfOneThatBreaksTheProtocol) {
  link::Message garbage = letter_message({kMeeting, letter(1)});
  garbage.header.assign(garbage.header.size(), std::byte{0xff});
  const link::Message wrong[] = {letter_message({kMeeting + 1, letter(1)}),
                                 credit_message({kMeeting, 0}),
                                 signal_message(Kind::kStop, {kMeeting, 0, ""}), garbage};
  meet({partner(3, west_), partner(4, member(authority_, "south-0", "south"))});
  Changes expected;
  for (const link::Message& message : wrong) {
    const auto hand = hand_that_came(west_);
    hand->send(message);
    EXPECT_TRUE(hand->is_closed());
    expected.insert(expected.end(), {{3, true}, {3, false}});
    EXPECT_TRUE(changed(expected));
  }
  EXPECT_TRUE(came({}));
}

TEST_F(PartnersOfANode, TakeANewChannelInThePlaceOfTheOld) {
  meet({partner(3, west_)});
  const auto old = hand_that_came(west_);
  const auto fresh = hand_that_came(west_);
  EXPECT_TRUE(old->is_closed());
  EXPECT_TRUE(changed({{3, true}, {3, false}, {3, true}}));
  EXPECT_TRUE(partners_->send(3, letter(9)));
  EXPECT_TRUE(fresh->hears(Kind::kLetter, letter(9).payload));
}

TEST_F(PartnersOfANode, LeaveWhoeverIsNoLongerListed) {
  const Identity south = member(authority_, "south-0", "south");
  meet({partner(3, west_), partner(4, south)});
  const auto west = hand_that_came(west_);
  ASSERT_TRUE(changed({{3, true}}));
  const auto southern = hand_that_came(south);
  ASSERT_TRUE(changed({{3, true}, {4, true}}));
  meet({partner(4, south)});
  EXPECT_TRUE(west->is_closed());
  EXPECT_TRUE(changed({{3, true}, {4, true}, {3, false}}));
  EXPECT_FALSE(partners_->send(3, letter(1)));
  EXPECT_TRUE(partners_->send(4, letter(2)));
  EXPECT_TRUE(southern->hears(Kind::kLetter, letter(2).payload));
  meet({partner(4, south)}, kMeeting + 1);
  EXPECT_TRUE(southern->is_closed());
}

TEST_F(PartnersOfANode, GiveUpOneThatReadsTooSlowly) {
  meet({partner(3, west_)});
  const auto hand = this->hand(west_);  // reads nothing
  hand->dial(port_, own_.credential.noise_key);
  ASSERT_TRUE(changed({{3, true}}));
  // What the system's buffers hold comes on top of what we do.
  std::size_t taken = 0;
  while (taken < 1000 && partners_->send(3, letter(1, kLargest / 2))) ++taken;
  EXPECT_GE(taken, 3u);
  EXPECT_LT(taken, 1000u);
  EXPECT_FALSE(partners_->send(3, letter(1, 0)));
  EXPECT_TRUE(changed({{3, true}, {3, false}}));
}

TEST_F(PartnersOfANode, DoNotTakeALetterThatNoPartnerWould) {
  meet({partner(3, west_)});
  const auto hand = hand_that_came(west_);
  ASSERT_TRUE(changed({{3, true}}));
  EXPECT_TRUE(partners_->send(3, letter(1, kLargest)));
  EXPECT_FALSE(partners_->send(3, letter(2, kLargest + 1)));
  EXPECT_TRUE(changed({{3, true}, {3, false}}));
}

TEST_F(PartnersOfANode, StayForThoseThatShowARenewedCredential) {
  const Key key = new_key();
  const auto south = [&](std::uint64_t seconds) {
    return member(authority_, "south-0", "south", security::Role::kNode, key, seconds);
  };
  meet({partner(3, west_), partner(4, south(3600))});
  const auto lapsed = hand_that_came(west_);
  ASSERT_TRUE(changed({{3, true}}));
  const auto renewed = hand_that_came(south(3600));
  renewed->send(present_message(south(1000000).local.credential));
  renewed->send(letter_message({kMeeting, letter(1)}));
  EXPECT_TRUE(came({{4, 1}}));
  ahead_ = 100000;
  EXPECT_TRUE(lapsed->is_closed());
  EXPECT_TRUE(changed({{3, true}, {4, true}, {3, false}}));
  renewed->send(letter_message({kMeeting, letter(2)}));
  EXPECT_TRUE(came({{4, 1}, {4, 2}}));
  const Bytes ours = to_bytes(as_bytes("what we were issued"));
  loop_.call([&] { partners_->present(ours); });
  EXPECT_TRUE(renewed->hears(Kind::kPresent, ours));
}

/// Whom this node dials.
class DialledPartner : public PartnersOfANode {
 protected:
  void SetUp() override {
    PartnersOfANode::SetUp();
    door_ = listen(west_, behind_door_, door_port_);
  }
  Partner at_door(std::uint32_t island, const Identity& identity) const {
    Partner dialled = partner(island, identity);
    dialled.dials = true;
    dialled.peer.port = door_port_;
    return dialled;
  }
  std::unique_ptr<Hand> next() {
    EXPECT_TRUE(at_door_.wait([this] { return !waiting_.empty(); }, nullptr));
    auto next = hand(west_);
    at_door_.change([&] {
      next->take(std::move(waiting_.front()));
      waiting_.erase(waiting_.begin());
    });
    return next;
  }

  std::uint16_t door_port_ = 0;
  link::Meeting at_door_;
  std::vector<link::Streams> waiting_;
  link::StreamGatherer behind_door_{
      loop_, [this](link::Streams streams) {
        at_door_.change([&] { waiting_.push_back(std::move(streams)); });
      }};
};

TEST_F(DialledPartner, IsThereOnceItHasAnswered) {
  meet({at_door(3, west_)});
  const auto silent = next();
  EXPECT_FALSE(partners_->send(3, letter(1)));
  silent->listen();
  silent->send(present_message(west_.local.credential));
  EXPECT_TRUE(changed({{3, true}}));
  EXPECT_TRUE(partners_->send(3, letter(2)));
  EXPECT_TRUE(silent->hears(Kind::kLetter, letter(2).payload));
}

TEST_F(DialledPartner, IsDialledAgainWhateverHappens) {
  meet({at_door(3, west_)});
  for (int i = 0; i < 3; ++i) next().reset();  // turned away before a word
  const auto answering = next();
  answering->send(letter_message({kMeeting, letter(1)}));
  EXPECT_TRUE(came({{3, 1}}));
  EXPECT_TRUE(changed({{3, true}}));
}

TEST_F(DialledPartner, HasTheKeyAndTheNameOrIsNotThere) {
  Identity other_name = west_;
  other_name.name = "west-1";
  meet({at_door(3, other_name), at_door(4, member(authority_, "west-0", "west"))});
  const auto turned_away = next();
  turned_away->listen();
  EXPECT_TRUE(turned_away->is_closed());
  EXPECT_TRUE(turned_away->heard_nothing());
  const auto again = next();  // so it was not taken
  EXPECT_TRUE(changed({}));
  EXPECT_GT(west_.local.counters->garbage + west_.local.counters->lost, 0u);
}

/// With a short time to be silent.
class SilentPartner : public PartnersOfANode {
 protected:
  SilentPartner() { lost_after_ = 300ms; }
};

TEST_F(SilentPartner, IsLost) {
  meet({partner(3, west_)});
  Identity mute = west_;
  mute.local.ping_every = mute.local.lost_after = {};
  const auto hand = hand_that_came(mute);
  EXPECT_TRUE(changed({{3, true}, {3, false}}));
}

TEST_F(SilentPartner, IsHeardOfAsOftenAsAPeer) {
  meet({partner(3, west_)});
  Identity patient = west_;
  patient.local.lost_after = 300ms;  // as long as we say something in between
  patient.local.ping_every = 75ms;
  const auto hand = hand_that_came(patient);
  const Time until = system_clock().now() + 1s;
  EXPECT_TRUE(changed({{3, true}}));
  std::promise<void> later;
  loop_.at(until, [&later] { later.set_value(); });
  later.get_future().wait();
  hand->send(letter_message({kMeeting, letter(1)}));
  EXPECT_TRUE(came({{3, 1}}));
  EXPECT_TRUE(changed({{3, true}}));
}

}  // namespace
}  // namespace reef::node
