#include "actors/data/format/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <queue>
#include <vector>

#include "actors/data/format/byte_alphabet.h"
#include "actors/data/format/pre_tokenizer.h"
#include "runtime/base/check.h"

namespace reef::data {
namespace {

/// A distinct piece of the text.
struct Word {
  std::vector<TokenId> tokens;
  std::int64_t count;
};

struct Candidate {
  std::int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : other.pair < pair;
  }
};

class Training {
 public:
  explicit Training(std::vector<Word> words) : words_(std::move(words)) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::vector<TokenId>& tokens = words_[i].tokens;
      for (std::size_t k = 0; k + 1 < tokens.size(); ++k) count({tokens[k], tokens[k + 1]}, i, 1);
    }
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
    changed_.clear();
  }

  /// The most frequent pair, which is taken away; false when none is left.
  bool take(Pair& best) {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(top.pair);
      if (found == pairs_.end() || found->second.count <= 0) continue;
      if (found->second.count != top.count) continue;  // a newer candidate is in the queue
      best = top.pair;
      return true;
    }
    return false;
  }

  /// Makes `token` of every `pair`.
  void merge(const Pair& pair, TokenId token) {
    const std::vector<std::size_t> places = std::move(pairs_.at(pair).words);
    pairs_.erase(pair);
    for (const std::size_t i : places) merge_in(i, pair, token);
    pairs_.erase(pair);  // all of them are merged
    std::ranges::sort(changed_);
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const Pair& each : changed_) {
      const auto found = pairs_.find(each);
      if (found != pairs_.end() && found->second.count > 0)
        queue_.push({found->second.count, each});
    }
    changed_.clear();
  }

 private:
  struct State {
    std::int64_t count = 0;
    std::vector<std::size_t> words;  ///< where it stands, or stood
  };

  void count(const Pair& pair, std::size_t word, int sign) {
    State& state = pairs_[pair];
    state.count += sign * words_[word].count;
    if (sign > 0 && (state.words.empty() || state.words.back() != word))
      state.words.push_back(word);
    changed_.push_back(pair);
  }

  void merge_in(std::size_t index, const Pair& pair, TokenId token) {
    std::vector<TokenId>& tokens = words_[index].tokens;
    std::size_t kept = 0;
    for (std::size_t k = 0; k < tokens.size(); ++k) {
      const bool here =
          k + 1 < tokens.size() && tokens[k] == pair.left && tokens[k + 1] == pair.right;
      if (!here) {
        tokens[kept++] = tokens[k];
        continue;
      }
      if (kept > 0) {
        count({tokens[kept - 1], pair.left}, index, -1);
        count({tokens[kept - 1], token}, index, 1);
      }
      if (k + 2 < tokens.size()) {
        count({pair.right, tokens[k + 2]}, index, -1);
        count({token, tokens[k + 2]}, index, 1);
      }
      tokens[kept++] = token;
      ++k;
    }
    tokens.resize(kept);
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, State, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;  ///< of each pair its count, and perhaps older ones
  std::vector<Pair> changed_;
};

/// The bytes in the order of their characters: the ids that Hugging Face's trainer gives them.
std::vector<std::string> first_tokens() {
  std::array<unsigned, 256> bytes;
  std::iota(bytes.begin(), bytes.end(), 0u);
  std::ranges::sort(bytes, {}, [](unsigned byte) { return byte_alphabet()[byte]; });
  std::vector<std::string> tokens;
  for (const unsigned byte : bytes) tokens.emplace_back(1, static_cast<char>(byte));
  return tokens;
}

}  // namespace

void BpeTrainer::add(std::string_view text) {
  for_each_piece(text, [this](std::string_view piece) { ++pieces_[std::string(piece)]; });
}

Tokenizer BpeTrainer::train(std::uint32_t vocabulary) const {
  std::vector<std::string> tokens = first_tokens();
  CHECK(vocabulary >= tokens.size());
  std::unordered_map<std::string, TokenId> ids;
  for (std::size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = static_cast<TokenId>(i);
  std::vector<Word> words;
  for (const auto& [piece, count] : pieces_) {
    Word& word = words.emplace_back(Word{{}, count});
    for (const char byte : piece) word.tokens.push_back(ids.at(std::string(1, byte)));
  }
  Training training(std::move(words));
  std::vector<Merge> merges;
  Pair best;
  while (tokens.size() < vocabulary && training.take(best)) {
    const std::string text =
        tokens[static_cast<std::size_t>(best.left)] + tokens[static_cast<std::size_t>(best.right)];
    // Two ways may lead to the same bytes: they are one token.
    const auto [known, fresh] = ids.try_emplace(text, static_cast<TokenId>(tokens.size()));
    if (fresh) tokens.push_back(text);
    merges.push_back({best, known->second});
    training.merge(best, known->second);
  }
  return Tokenizer::of(std::move(tokens), std::move(merges));
}

}  // namespace reef::data
