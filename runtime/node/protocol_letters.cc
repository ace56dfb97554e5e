// The messages by which islands that train by local steps meet.

#include <set>

#include "runtime/base/check.h"
#include "runtime/node/protocol_parts.h"
#include "security/identity/keys.h"

namespace reef::node {
namespace {

constexpr std::size_t kMostPartners = 64;  // what fits a header with room to spare

Result<Partner> get(wire::Partner::Reader from) {
  ATOLL_ASSIGN(Peer peer, node::get(from.getPeer()));
  if (peer.noise_key.size() != security::kKeySize)
    return Error{Code::kProto, "message", "a partner with a key of the wrong size"};
  return Partner{from.getIsland(), from.getDials(), std::move(peer)};
}

Result<job::Company> get_company(wire::Partners::Reader from) {
  const auto homes = from.getHomes();
  if (from.getIslands().size() > kMostPartners || homes.size() > kMostPartners)
    return Error{Code::kProto, "message", "more islands than there can be"};
  job::Company company;
  for (const std::uint32_t island : from.getIslands()) company.islands.insert(island);
  for (const auto home : homes) {
    if (home.getIsland() >= homes.size())
      return Error{Code::kProto, "message", "a home at an island that there is not"};
    company.homes.push_back({home.getIsland(), home.getGeneration()});
  }
  return company;
}

}  // namespace

link::Message letter_message(WireLetter out) {
  Letter& letter = out.letter;
  CHECK(letter.codec.size() <= kLongestLetterCodec) << letter.codec;
  auto message =
      build<wire::Letter>(Kind::kLetter, link::Lane::kBulk, [&](wire::Letter::Builder to) {
        to.setMeeting(out.meeting);
        to.setKind(letter.kind);
        to.setFragment(letter.fragment);
        to.setNumber(letter.number);
        to.setTokens(letter.tokens);
        to.setIncluded(letter.included);
        to.setCodec(letter.codec);
      });
  message.payload = link::Payload(std::move(letter.payload));
  message.epoch = out.meeting;
  return message;
}

Result<WireLetter> read_letter(const link::Message& message) {
  return parse<wire::Letter, WireLetter>(
      message, [&](wire::Letter::Reader from) -> Result<WireLetter> {
        if (from.getCodec().size() > kLongestLetterCodec)
          return Error{Code::kProto, "message", "a letter whose codec's name is too long"};
        return WireLetter{
            from.getMeeting(),
            {from.getKind(), from.getFragment(), from.getNumber(), from.getTokens(),
             from.getIncluded(), text(from.getCodec()), to_bytes(message.payload.view())}};
      });
}

link::Message partners_message(const Partners& partners) {
  return build<wire::Partners>(
      Kind::kPartners, link::Lane::kControl, [&](wire::Partners::Builder to) {
        to.setEpoch(partners.epoch);
        to.setMeeting(partners.meeting);
        auto list = to.initPartners(static_cast<unsigned>(partners.partners.size()));
        for (unsigned i = 0; i < partners.partners.size(); ++i) {
          const Partner& partner = partners.partners[i];
          list[i].setIsland(partner.island);
          list[i].setDials(partner.dials);
          put(list[i].initPeer(), partner.peer);
        }
        const job::Company& company = partners.company;
        auto islands = to.initIslands(static_cast<unsigned>(company.islands.size()));
        unsigned at = 0;
        for (const std::uint32_t island : company.islands) islands.set(at++, island);
        auto homes = to.initHomes(static_cast<unsigned>(company.homes.size()));
        for (unsigned i = 0; i < company.homes.size(); ++i) {
          homes[i].setIsland(company.homes[i].island);
          homes[i].setGeneration(company.homes[i].generation);
        }
      });
}

Result<Partners> read_partners(const link::Message& message) {
  return parse<wire::Partners, Partners>(
      message, [](wire::Partners::Reader from) -> Result<Partners> {
        if (from.getPartners().size() > kMostPartners)
          return Error{Code::kProto, "message", "more partners than there can be"};
        Partners partners{from.getEpoch(), from.getMeeting(), {}};
        ATOLL_ASSIGN(partners.company, get_company(from));
        std::set<std::uint32_t> islands;
        for (const auto partner : from.getPartners()) {
          if (!islands.insert(partner.getIsland()).second)
            return Error{Code::kProto, "message", "one island twice among the partners"};
          ATOLL_ASSIGN(partners.partners.emplace_back(), get(partner));
        }
        return partners;
      });
}

}  // namespace reef::node
