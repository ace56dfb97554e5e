#include "actors/data/format/prepare_pairs.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/data_order.h"
#include "actors/data/format/mapped_file.h"
#include "actors/data/format/preparing.h"
#include "actors/data/format/sha256.h"
#include "actors/data/format/shard_writer.h"
#include "actors/data/format/staged_folder.h"
#include "actors/data/format/text_encoder.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"

namespace reef::data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint32_t kMarks = 2;  ///< separator and end
constexpr std::uint32_t kLeastVocabulary = 256 + kMarks;

/// A file of lines.
struct Side {
  fs::path path;
  SourceInfo info;
  MappedFile file;
  std::vector<std::string_view> lines;
};

/// A split in both languages, equally many lines.
struct Sides {
  Side from, to;
};

Error at_line(const Side& side, std::size_t line, const std::string& what) {
  return {Code::kData, side.path.string() + ":" + std::to_string(line + 1), what};
}

Result<Side> open_side(const fs::path& folder, const std::string& name) {
  const fs::path path = folder / name;
  ATOLL_ASSIGN(MappedFile file, open_source(path));
  Side side{path, {name, file.bytes().size(), sha256(file.bytes())}, std::move(file), {}};
  for (std::string_view text = as_text(side.file.bytes()); !text.empty();) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    side.lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view line = side.lines.back();
    if (first_bad_utf8(line) < line.size()) {
      return at_line(side, side.lines.size() - 1, "is not text in UTF-8");
    }
    for (const std::string_view mark : {kSeparator, kEnd}) {
      if (line.find(mark) == line.npos) continue;
      return at_line(side, side.lines.size() - 1,
                     "holds " + std::string(mark) + ", which marks the parts of pairs");
    }
  }
  return side;
}

Result<Sides> open_sides(const PairOptions& options, const std::string& split) {
  ATOLL_ASSIGN(Side from, open_side(options.input, split + "." + options.from));
  ATOLL_ASSIGN(Side to, open_side(options.input, split + "." + options.to));
  if (from.lines.size() != to.lines.size()) {
    return Error{Code::kData, from.path.string(),
                 "has " + std::to_string(from.lines.size()) + " lines, " + to.path.string() +
                     " has " + std::to_string(to.lines.size()) + "; line i translates line i"};
  }
  return Sides{std::move(from), std::move(to)};
}

Status check(const PairOptions& options, const TokenizerChoice& choice) {
  using Kind = TokenizerChoice::Kind;
  ATOLL_TRY(check_shard_tokens(options.shard_tokens));
  if (options.output.empty()) return Error{Code::kUsage, "output", "no folder was given"};
  if (options.window < 4 || options.window > kMaxWindow) {
    return Error{Code::kUsage, "--window",
                 std::to_string(options.window) + " is not between 4 and 1048576"};
  }
  if (options.from.empty() || options.to.empty() || options.from == options.to) {
    return Error{Code::kUsage, "--pairs",
                 "takes the endings of two languages' files, such as en-es for train.en and "
                 "train.es"};
  }
  const bool too_few = choice.kind == Kind::kTrain && choice.vocabulary < kLeastVocabulary;
  if (choice.kind == Kind::kBytes || too_few) {
    return Error{Code::kUsage, "--tokenizer " + options.tokenizer,
                 "pairs need tokens that are no bytes to mark their parts; take train:4096 or a "
                 "tokenizer.json"};
  }
  return {};
}

/// Learnt from both languages, or given.
Result<Tokenizer> tokenizer_for(const TokenizerChoice& choice, const Sides& train) {
  if (choice.kind == TokenizerChoice::Kind::kFile) return Tokenizer::read(choice.file);
  BpeTrainer trainer;
  for (const Side* side : {&train.from, &train.to}) {
    for (const std::string_view line : side->lines) trainer.add(line);
  }
  Tokenizer tokenizer = trainer.train(choice.vocabulary - kMarks);
  for (const std::string_view mark : {kSeparator, kEnd}) tokenizer.add(std::string(mark));
  return tokenizer;
}

Result<PairForm> form_of(const Tokenizer& tokenizer, const PairOptions& options) {
  const auto separator = tokenizer.added(kSeparator), end = tokenizer.added(kEnd);
  if (separator && end) return PairForm{options.window, *separator, *end};
  return Error{Code::kData, options.tokenizer,
               "has no added tokens <|sep|> and <|end|>, which mark the parts of pairs; "
               "--tokenizer train:4096 makes a tokenizer that has them"};
}

/// Samples into windows that hold them whole: each into the fullest of some open windows that has
/// room for it.
class Packer {
 public:
  Packer(const PairForm& form, TextEncoder& encoder) : form_(form), encoder_(encoder) {}

  void add(std::string_view from, std::string_view to) {
    sample_.clear();
    append(from, form_.separator);
    append(to, form_.end);
    if (from.empty() || to.empty() || sample_.size() > form_.window) {
      ++left_out_;
      return;
    }
    Window& window = window_for(sample_.size());
    window.insert(window.end(), sample_.begin(), sample_.end());
  }

  std::uint64_t left_out() const { return left_out_; }
  /// Whole windows and the target of the last token; nothing without a pair.
  std::vector<std::uint16_t> finish() {
    while (!open_.empty()) close_fullest();
    if (!tokens_.empty()) tokens_.push_back(static_cast<std::uint16_t>(form_.end));
    return std::move(tokens_);
  }

 private:
  using Window = std::vector<std::uint16_t>;
  /// More of them leave less room empty, and keep pairs longer from their place in the order.
  static constexpr std::size_t kOpen = 64;

  void append(std::string_view text, std::int32_t mark) {
    const auto tokens = encoder_.encode(text);
    sample_.insert(sample_.end(), tokens.begin(), tokens.end());
    sample_.push_back(static_cast<std::uint16_t>(mark));
  }

  Window& window_for(std::size_t size) {
    Window* best = nullptr;
    for (Window& window : open_) {
      const bool fits = window.size() + size <= form_.window;
      if (fits && (best == nullptr || window.size() > best->size())) best = &window;
    }
    if (best != nullptr) return *best;
    if (open_.size() == kOpen) close_fullest();
    return open_.emplace_back();
  }

  void close_fullest() {
    const auto fullest = std::ranges::max_element(open_, {}, &Window::size);
    fullest->resize(form_.window, static_cast<std::uint16_t>(form_.end));
    tokens_.insert(tokens_.end(), fullest->begin(), fullest->end());
    open_.erase(fullest);
  }

  PairForm form_;
  TextEncoder& encoder_;
  std::vector<std::uint16_t> sample_;
  std::vector<Window> open_;
  std::vector<std::uint16_t> tokens_;
  std::uint64_t left_out_ = 0;
};

/// In an order that the seed and the number of pairs decide.
Result<std::vector<std::uint16_t>> pack(const Sides& sides, std::uint64_t seed, Packer& packer) {
  const std::size_t count = sides.from.lines.size();
  if (count > 0) {
    ATOLL_ASSIGN(const DataOrder order, DataOrder::make(seed, count + 1, 1, 1));
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t pair = order.permute(0, i);
      packer.add(sides.from.lines[pair], sides.to.lines[pair]);
    }
  }
  std::vector<std::uint16_t> tokens = packer.finish();
  if (!tokens.empty()) return tokens;
  return Error{Code::kData, sides.from.path.string(),
               "has no pair that fits; both lines must have text, and both together less than "
               "--window tokens"};
}

Result<Split> write_split(const fs::path& folder, const std::string& name, const Sides& sides,
                          const PairOptions& options, TextEncoder& encoder, PairInfo& pairs) {
  Packer packer(pairs.form, encoder);
  ATOLL_ASSIGN(const auto tokens, pack(sides, options.seed, packer));
  pairs.left_out += packer.left_out();
  ShardWriter writer(folder, name, tokens.size(), options.shard_tokens);
  ATOLL_TRY(writer.add(tokens));
  return writer.finish();
}

Result<Manifest> build(const PairOptions& options, const TokenizerChoice& choice,
                       const Sides& train, const Sides& validation, Manifest manifest) {
  ATOLL_ASSIGN(Tokenizer tokenizer, tokenizer_for(choice, train));
  ATOLL_ASSIGN(manifest.pairs->form, form_of(tokenizer, options));
  std::string text = tokenizer.to_json();
  if (choice.kind == TokenizerChoice::Kind::kFile) {
    ATOLL_ASSIGN(text, read_file(choice.file, kMaxTokenizerBytes));
  }
  manifest.tokenizer = kTokenizerName;
  manifest.tokenizer_sha256 = sha256(as_bytes(text));
  ATOLL_ASSIGN(TextEncoder encoder, TextEncoder::of(std::move(tokenizer), options.tokenizer));
  manifest.vocab_size = encoder.vocabulary();
  ATOLL_ASSIGN(StagedFolder folder, StagedFolder::create(options.output));
  ATOLL_ASSIGN(manifest.train,
               write_split(folder.path(), "train", train, options, encoder, *manifest.pairs));
  ATOLL_ASSIGN(manifest.validation, write_split(folder.path(), "validation", validation, options,
                                                encoder, *manifest.pairs));
  ATOLL_TRY(write_file(folder.path() / kTokenizerName, as_bytes(text)));
  ATOLL_TRY(write_file(folder.path() / kManifestName, as_bytes(to_json(manifest))));
  ATOLL_TRY(folder.commit());
  return manifest;
}

}  // namespace

Result<Manifest> prepare_pairs(const PairOptions& options) {
  ATOLL_ASSIGN(const TokenizerChoice choice, parse_tokenizer_choice(options.tokenizer));
  ATOLL_TRY(check(options, choice));
  ATOLL_ASSIGN(const Sides train, open_sides(options, "train"));
  ATOLL_ASSIGN(const Sides validation, open_sides(options, "validation"));
  Manifest manifest;
  ATOLL_TRY(describe(choice, options.tokenizer, manifest));
  manifest.seed = options.seed;
  manifest.shard_tokens = options.shard_tokens;
  manifest.pairs = PairInfo{options.from, options.to, {options.window, 0, 0}, 0};
  for (const Side* side : {&train.from, &train.to, &validation.from, &validation.to}) {
    manifest.sources.push_back(side->info);
  }
  ATOLL_ASSIGN(const bool done, already_made(options.output, manifest));
  if (done) return read_manifest(options.output);
  return build(options, choice, train, validation, std::move(manifest));
}

}  // namespace reef::data
