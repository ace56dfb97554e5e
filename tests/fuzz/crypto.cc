// In place of libsodium's, in the fuzzers alone: the generator, which begins anew with each input
// so that one behaves alike in every run, and the functions of elliptic curves, which answer from
// memory what they have computed before. Nearly all that a handshake costs is what its honest part
// computes again for each input.

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>

#include "tests/fuzz/fuzz.h"

namespace reef::fuzz {
namespace {

using Raw = std::span<const unsigned char>;

/// Of what an honest handshake asks there are a few dozens.
constexpr std::size_t kSlots = 1024;
constexpr std::size_t kLongestQuestion = 512;
constexpr std::size_t kLongestAnswer = 96;

thread_local std::uint64_t drawn = 0;

/// What was asked, and all that was answered. It takes no memory that libFuzzer would hold for a
/// leak of the input that asked first.
struct Entry {
  std::array<unsigned char, kLongestQuestion> question;
  std::size_t size = 0;
  std::array<unsigned char, kLongestAnswer> answer;
  int status = 0;
};

/// compute() fills `answer` and returns a status, of nothing but the pieces. It has a type of its
/// own in each function, and so each function has its own entries.
template <typename Compute>
int remembered(std::initializer_list<Raw> pieces, std::span<unsigned char> answer,
               const Compute& compute) {
  static thread_local std::array<Entry, kSlots> entries;
  std::array<unsigned char, kLongestQuestion> question;
  std::size_t size = 0;
  for (const Raw piece : pieces) {
    if (piece.size() > question.size() - size) return compute();
    std::copy(piece.begin(), piece.end(), question.begin() + size);
    size += piece.size();
  }
  const std::string_view text(reinterpret_cast<const char*>(question.data()), size);
  Entry& entry = entries[std::hash<std::string_view>()(text) % kSlots];
  if (entry.size != size || std::memcmp(entry.question.data(), question.data(), size) != 0) {
    entry.status = compute();
    std::copy(answer.begin(), answer.end(), entry.answer.begin());
    std::memcpy(entry.question.data(), question.data(), size);
    entry.size = size;
  }
  std::copy_n(entry.answer.begin(), answer.size(), answer.begin());
  return entry.status;
}

}  // namespace

void restart_randomness() { drawn = 0; }

}  // namespace reef::fuzz

using reef::fuzz::remembered;

extern "C" {

// A secret in guarded pages costs a dozen system calls, and the sanitizer guards the heap as well.
void* sodium_malloc(std::size_t size) { return std::malloc(size); }
void sodium_free(void* secret) { std::free(secret); }

void randombytes_buf(void* out, std::size_t size) {
  auto* bytes = static_cast<unsigned char*>(out);
  for (std::size_t i = 0; i < size; ++i) {
    std::uint64_t mixed = ++reef::fuzz::drawn * 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93u;
    bytes[i] = static_cast<unsigned char>(mixed >> 56);
  }
}

int crypto_scalarmult(unsigned char* q, const unsigned char* n, const unsigned char* p) {
  return remembered({{n, 32}, {p, 32}}, {q, 32},
                    [=] { return crypto_scalarmult_curve25519(q, n, p); });
}

int crypto_scalarmult_base(unsigned char* q, const unsigned char* n) {
  return remembered({{n, 32}}, {q, 32}, [=] { return crypto_scalarmult_curve25519_base(q, n); });
}

int crypto_sign_seed_keypair(unsigned char* pk, unsigned char* sk, const unsigned char* seed) {
  std::array<unsigned char, reef::fuzz::kLongestAnswer> both;
  const int status = remembered({{seed, 32}}, both, [&] {
    return crypto_sign_ed25519_seed_keypair(both.data(), both.data() + 32, seed);
  });
  std::memcpy(pk, both.data(), 32);
  std::memcpy(sk, both.data() + 32, 64);
  return status;
}

int crypto_sign_detached(unsigned char* sig, unsigned long long* size, const unsigned char* m,
                         unsigned long long length, const unsigned char* sk) {
  if (size != nullptr) *size = 64;
  return remembered({{sk, 64}, {m, length}}, {sig, 64},
                    [=] { return crypto_sign_ed25519_detached(sig, nullptr, m, length, sk); });
}

int crypto_sign_verify_detached(const unsigned char* sig, const unsigned char* m,
                                unsigned long long length, const unsigned char* pk) {
  return remembered({{sig, 64}, {pk, 32}, {m, length}}, {},
                    [=] { return crypto_sign_ed25519_verify_detached(sig, m, length, pk); });
}

}  // extern "C"
