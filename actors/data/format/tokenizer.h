#pragma once
// A byte-level byte-pair tokenizer (Sennrich et al. 2016, arXiv 1508.07909, on bytes as GPT-2 has
// it): a text is cut into pieces (pre_tokenizer.h), and in each piece the pair of neighbours that
// was merged first in training is merged first. In files it is Hugging Face's tokenizer.json.
//
// Every byte is a token, so any text can be encoded and comes back as it was.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/base/error.h"

namespace reef::data {

using TokenId = std::int32_t;

inline constexpr std::string_view kTokenizerName = "tokenizer.json";
inline constexpr std::size_t kMaxTokenizerBytes = 32 << 20;
inline constexpr TokenId kMaxTokens = 1 << 18;  ///< ids are below
inline constexpr std::size_t kMaxAddedTokens = 1024;

/// Two tokens that become one.
struct Pair {
  TokenId left, right;
  bool operator==(const Pair&) const = default;
  auto operator<=>(const Pair&) const = default;
};
struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    return std::hash<std::uint64_t>()(static_cast<std::uint64_t>(pair.left) << 32 |
                                      static_cast<std::uint32_t>(pair.right));
  }
};
struct Merge {
  Pair pair;
  TokenId token;  ///< what the pair becomes
  bool operator==(const Merge&) const = default;
};

/// What pieces became that came before, for who encodes much text. Thread: one. Memory: some ten
/// MiB at most.
class PieceCache {
 private:
  friend class Tokenizer;
  std::unordered_map<std::string, std::vector<TokenId>> pieces_;
};

/// Thread: any, it does not change.
class Tokenizer {
 public:
  /// Reads tokenizer.json: a BPE model behind a ByteLevel pre-tokenizer, with added tokens. kData
  /// naming `where` and the part of it that is malformed, missing or not supported.
  static Result<Tokenizer> parse(std::string_view json, std::string_view where);
  static Result<Tokenizer> read(const std::filesystem::path& file);
  /// Of a training: the bytes of each token by id, every single byte among them, and the merges in
  /// their order.
  static Tokenizer of(std::vector<std::string> tokens, std::vector<Merge> merges);

  /// Makes `text` a token of its own wherever it is found, and gives it the next id. Precondition:
  /// it is none yet.
  TokenId add(const std::string& text);
  /// The id of an added token.
  std::optional<TokenId> added(std::string_view text) const;

  /// Appends the tokens of `text`. Time: n log n, also for a text that is one piece.
  void encode(std::string_view text, std::vector<TokenId>& to, PieceCache* cache = nullptr) const;
  /// Bytes: a token may end within a character. Ids that do not exist are left out.
  std::string decode(std::span<const TokenId> tokens) const;

  /// One more than the greatest id.
  std::uint32_t vocabulary() const { return static_cast<std::uint32_t>(tokens_.size()); }
  /// Whether there is a token of this id.
  bool knows(TokenId id) const;
  const std::vector<Merge>& merges() const { return merges_; }
  /// What parse() reads and `tokenizers` loads.
  std::string to_json() const;

 private:
  friend class TokenizerReader;
  /// A text that stands for a token of its own wherever it is found.
  struct Added {
    std::string text;
    TokenId id = 0;
  };
  struct Rank {
    std::size_t rank;
    TokenId token;
  };

  void index();
  void encode_plain(std::string_view text, std::vector<TokenId>& to, PieceCache* cache) const;
  void encode_piece(std::string_view piece, std::vector<TokenId>& to, PieceCache* cache) const;
  void merge(std::string_view piece, std::vector<TokenId>& to) const;
  const Added* added_at(std::string_view text) const;

  std::vector<std::string> tokens_;               ///< bytes by id; empty: no such token
  std::unordered_map<std::string, TokenId> ids_;  ///< of the model: without added tokens
  std::vector<Merge> merges_;
  std::vector<Added> added_;    ///< the longest first
  bool prefix_space_ = false;   ///< what does not begin with a space gets one
  bool cut_ = true;             ///< into pieces
  bool ignore_merges_ = false;  ///< a piece that is a token is that token
  // By index():
  std::array<TokenId, 256> byte_ids_{};
  std::array<bool, 256> begins_added_{};
  std::unordered_map<Pair, Rank, PairHash> ranks_;
};

}  // namespace reef::data
