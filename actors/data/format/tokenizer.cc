#include "actors/data/format/tokenizer.h"

#include <algorithm>
#include <queue>
#include <tuple>

#include "actors/data/format/pre_tokenizer.h"
#include "runtime/base/check.h"

namespace reef::data {
namespace {

constexpr std::size_t kMaxCachedPieces = 1 << 16;
constexpr std::size_t kMaxCachedBytes = 32;  ///< of a piece

/// A token of a piece that is being merged, in a list.
struct Symbol {
  TokenId id;
  std::int64_t before, after;  ///< -1: none
};

/// A pair that may be merged at a place; the first of the greatest is the one merged first.
struct Candidate {
  std::size_t rank;
  std::int64_t at;
  Pair pair;
  TokenId token;
  bool operator<(const Candidate& other) const {
    return std::tie(other.rank, other.at) < std::tie(rank, at);
  }
};

}  // namespace

Tokenizer Tokenizer::of(std::vector<std::string> tokens, std::vector<Merge> merges) {
  Tokenizer made;
  made.tokens_ = std::move(tokens);
  made.merges_ = std::move(merges);
  for (std::size_t id = 0; id < made.tokens_.size(); ++id) {
    made.ids_[made.tokens_[id]] = static_cast<TokenId>(id);
  }
  made.index();
  return made;
}

void Tokenizer::index() {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto found = ids_.find(std::string(1, static_cast<char>(byte)));
    CHECK(found != ids_.end()) << "no token for byte " << byte;
    byte_ids_[byte] = found->second;
  }
  std::ranges::stable_sort(
      added_, [](const Added& a, const Added& b) { return a.text.size() > b.text.size(); });
  for (const Added& added : added_) begins_added_[static_cast<unsigned char>(added.text[0])] = true;
  for (std::size_t i = 0; i < merges_.size(); ++i) {
    ranks_.try_emplace(merges_[i].pair, Rank{i, merges_[i].token});
  }
}

TokenId Tokenizer::add(const std::string& text) {
  CHECK(!text.empty() && !ids_.contains(text) && !added(text)) << text;
  const auto id = static_cast<TokenId>(tokens_.size());
  tokens_.push_back(text);
  added_.push_back({text, id});
  index();
  return id;
}

std::optional<TokenId> Tokenizer::added(std::string_view text) const {
  const auto found = std::ranges::find(added_, text, &Added::text);
  return found == added_.end() ? std::nullopt : std::optional(found->id);
}

bool Tokenizer::knows(TokenId id) const {
  return id >= 0 && static_cast<std::size_t>(id) < tokens_.size() &&
         !tokens_[static_cast<std::size_t>(id)].empty();
}

const Tokenizer::Added* Tokenizer::added_at(std::string_view text) const {
  if (!begins_added_[static_cast<unsigned char>(text[0])]) return nullptr;
  for (const Added& added : added_) {
    if (text.starts_with(added.text)) return &added;
  }
  return nullptr;
}

void Tokenizer::encode(std::string_view text, std::vector<TokenId>& to, PieceCache* cache) const {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Added* added = added_at(text.substr(at));
    if (added == nullptr) {
      ++at;
      continue;
    }
    encode_plain(text.substr(begin, at - begin), to, cache);
    to.push_back(added->id);
    begin = at += added->text.size();
  }
  encode_plain(text.substr(begin), to, cache);
}

void Tokenizer::encode_plain(std::string_view text, std::vector<TokenId>& to,
                             PieceCache* cache) const {
  if (text.empty()) return;
  std::string spaced;
  if (prefix_space_ && text.front() != ' ') {
    spaced = " " + std::string(text);
    text = spaced;
  }
  if (!cut_) return encode_piece(text, to, cache);
  for_each_piece(text, [&](std::string_view piece) { encode_piece(piece, to, cache); });
}

void Tokenizer::encode_piece(std::string_view piece, std::vector<TokenId>& to,
                             PieceCache* cache) const {
  if (piece.size() == 1) {
    to.push_back(byte_ids_[static_cast<unsigned char>(piece[0])]);
    return;
  }
  if (cache == nullptr || piece.size() > kMaxCachedBytes) return merge(piece, to);
  const auto found = cache->pieces_.find(std::string(piece));
  if (found != cache->pieces_.end()) {
    to.insert(to.end(), found->second.begin(), found->second.end());
    return;
  }
  const std::size_t before = to.size();
  merge(piece, to);
  if (cache->pieces_.size() == kMaxCachedPieces) cache->pieces_.clear();
  cache->pieces_[std::string(piece)].assign(to.begin() + static_cast<std::ptrdiff_t>(before),
                                            to.end());
}

void Tokenizer::merge(std::string_view piece, std::vector<TokenId>& to) const {
  if (ignore_merges_) {
    if (const auto whole = ids_.find(std::string(piece)); whole != ids_.end()) {
      to.push_back(whole->second);
      return;
    }
  }
  std::vector<Symbol> symbols;
  const auto size = static_cast<std::int64_t>(piece.size());
  for (std::int64_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(piece[static_cast<std::size_t>(i)]);
    symbols.push_back({byte_ids_[byte], i - 1, i + 1 < size ? i + 1 : -1});
  }
  const auto symbol = [&symbols](std::int64_t at) -> Symbol& {
    return symbols[static_cast<std::size_t>(at)];
  };
  std::priority_queue<Candidate> candidates;
  const auto offer = [&](std::int64_t at) {
    if (at < 0 || symbol(at).after < 0) return;
    const Pair pair{symbol(at).id, symbol(symbol(at).after).id};
    const auto rank = ranks_.find(pair);
    if (rank != ranks_.end()) candidates.push({rank->second.rank, at, pair, rank->second.token});
  };
  for (std::int64_t i = 0; i < size; ++i) offer(i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbol(best.at);
    // Others may have taken either side of it meanwhile; what was taken has the id -1.
    if (left.id != best.pair.left || left.after < 0) continue;
    Symbol& right = symbol(left.after);
    if (right.id != best.pair.right) continue;
    left.id = best.token;
    right.id = -1;
    left.after = right.after;
    if (left.after >= 0) symbol(left.after).before = best.at;
    offer(best.at);
    offer(left.before);
  }
  for (std::int64_t i = 0; i >= 0; i = symbol(i).after) to.push_back(symbol(i).id);
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  std::string text;
  for (const TokenId id : tokens) {
    if (knows(id)) text += tokens_[static_cast<std::size_t>(id)];
  }
  return text;
}

}  // namespace reef::data
