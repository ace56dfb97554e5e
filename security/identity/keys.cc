#include "security/identity/keys.h"

#include <cstring>

#include "runtime/base/file.h"
#include "security/identity/secret_file.h"

namespace reef::security {
namespace {

// A key file: one line that says what it is, then the raw secrets.
constexpr std::string_view kNodeKind = "atoll-node-key-1\n";
constexpr std::string_view kAuthorityKind = "atoll-authority-1\n";
constexpr std::size_t kMaxKeyFile = 4096;

KeyView key_view(const SecretBytes& secret) { return KeyView(secret.data(), kKeySize); }

SecretBytes copy_key(const SecretBytes& from, std::size_t offset) {
  return SecretBytes::copy_of(from.view().subspan(offset, kKeySize));
}

Result<SecretBytes> load_secret(const std::filesystem::path& path, std::string_view kind,
                                std::size_t keys) {
  ATOLL_ASSIGN(SecretBytes content, read_secret_file(path, kMaxKeyFile));
  const bool right = content.size() == kind.size() + keys * kKeySize &&
                     as_text(content.view().first(kind.size())) == kind;
  if (!right) return Error{Code::kData, path, "not such a key"};
  return content;
}

Status save_secret(const std::filesystem::path& path, std::string_view kind,
                   std::initializer_list<const SecretBytes*> keys) {
  SecretBytes content(kind.size() + keys.size() * kKeySize);
  std::byte* to = content.data();
  std::memcpy(to, kind.data(), kind.size());
  to += kind.size();
  for (const SecretBytes* key : keys) {
    std::memcpy(to, key->data(), kKeySize);
    to += kKeySize;
  }
  return write_file(path, content.view(), 0600);
}

}  // namespace

NodeKey::NodeKey(SecretBytes seed, SecretBytes noise_secret)
    : seed_(std::move(seed)),
      noise_secret_(std::move(noise_secret)),
      identity_key_(ed25519_public(key_view(seed_))),
      noise_key_(x25519_public(key_view(noise_secret_))) {}

NodeKey NodeKey::generate() {
  return NodeKey(SecretBytes::random(kKeySize), SecretBytes::random(kKeySize));
}

Result<NodeKey> NodeKey::load(const std::filesystem::path& path) {
  ATOLL_ASSIGN(SecretBytes content, load_secret(path, kNodeKind, 2));
  return NodeKey(copy_key(content, kNodeKind.size()),
                 copy_key(content, kNodeKind.size() + kKeySize));
}

Status NodeKey::save(const std::filesystem::path& path) const {
  return save_secret(path, kNodeKind, {&seed_, &noise_secret_});
}

Signature NodeKey::sign(BytesView message) const { return ed25519_sign(key_view(seed_), message); }

Authority::Authority(SecretBytes seed)
    : seed_(std::move(seed)), public_key_(ed25519_public(key_view(seed_))) {}

Authority Authority::generate() { return Authority(SecretBytes::random(kKeySize)); }

Result<Authority> Authority::load(const std::filesystem::path& path) {
  ATOLL_ASSIGN(SecretBytes content, load_secret(path, kAuthorityKind, 1));
  return Authority(copy_key(content, kAuthorityKind.size()));
}

Status Authority::save(const std::filesystem::path& path) const {
  return save_secret(path, kAuthorityKind, {&seed_});
}

Signature Authority::sign(BytesView message) const {
  return ed25519_sign(key_view(seed_), message);
}

ClusterId Authority::cluster() const { return cluster_id_of(public_key_); }

Result<Bytes> Authority::issue(const Credential& credential) const {
  return sign_credential(credential, key_view(seed_));
}

ClusterId cluster_id_of(const PublicKey& authority) {
  return blake2b_256({as_bytes("atoll cluster"), authority});
}

}  // namespace reef::security
