// The files in which a process keeps who it is, and the authority's.

#include "runtime/node/identity.h"
#include "tests/fuzz/cluster.h"

using namespace reef;

namespace {

void check_key(const std::filesystem::path& path) {
  const auto key = security::NodeKey::load(path);
  if (!key.ok())
    return fuzz::check_refusal(key.error(), {Code::kData, Code::kPath, Code::kKeyPerm});
  const auto again = fuzz::folder() / "again.key";
  CHECK(key->save(again).ok());
  const auto back = security::NodeKey::load(again);
  CHECK(back.ok() && back->identity_key() == key->identity_key() &&
        back->noise_key() == key->noise_key());
}

void check_authority(BytesView content) {
  const auto authority = security::Authority::load(fuzz::put("authority.key", content));
  if (!authority.ok())
    return fuzz::check_refusal(authority.error(), {Code::kData, Code::kPath, Code::kKeyPerm});
  CHECK(authority->cluster() == security::cluster_id_of(authority->public_key()));
}

}  // namespace

/// `piece node.key | piece credential | piece authority.pub | scheduler.pub`, or an authority's
/// file after an odd byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.below(2) != 0) return check_authority(input.rest()), 0;
  check_key(fuzz::put("node.key", input.piece()));
  const BytesView credential = input.piece();
  fuzz::put("credential", credential);
  fuzz::put("authority.pub", input.piece());
  fuzz::put("scheduler.pub", input.rest());
  const auto identity = node::load_identity(fuzz::folder());
  if (!identity.ok()) {
    fuzz::check_refusal(identity.error(),
                        {Code::kData, Code::kPath, Code::kKeyPerm, Code::kRefused});
    return 0;
  }
  CHECK(identity->local.credential == to_bytes(credential));
  const auto own = security::parse_credential(credential).value();
  CHECK(own.noise_key == identity->local.key->noise_key());
  CHECK_EQ(own.name, identity->name);
  CHECK(own.cluster == identity->local.cluster);
  return 0;
}
