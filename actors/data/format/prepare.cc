#include "actors/data/format/prepare.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "actors/data/format/bpe_trainer.h"
#include "actors/data/format/chapters.h"
#include "actors/data/format/mapped_file.h"
#include "actors/data/format/preparing.h"
#include "actors/data/format/sha256.h"
#include "actors/data/format/shard_writer.h"
#include "actors/data/format/staged_folder.h"
#include "actors/data/format/text_encoder.h"
#include "actors/data/format/token_shards.h"
#include "actors/data/format/tokenizer.h"
#include "runtime/base/file.h"

namespace reef::data {
namespace fs = std::filesystem;
namespace {

struct Source {
  fs::path path;
  SourceInfo info;
  std::vector<Chapter> chapters;
};

Status check_options(const PrepareOptions& options) {
  if (!(options.validation_fraction >= 0 && options.validation_fraction <= 0.5)) {
    return Error{Code::kUsage, "validation fraction",
                 std::to_string(options.validation_fraction) + " is not between 0 and 0.5"};
  }
  ATOLL_TRY(check_shard_tokens(options.shard_tokens));
  if (options.output.empty()) return Error{Code::kUsage, "output", "no folder was given"};
  return {};
}

Result<std::vector<Source>> list_folder(const fs::path& folder) {
  std::vector<Source> sources;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
    if (entry->path().extension() != ".txt") continue;
    std::error_code gone;
    if (!entry->is_regular_file(gone)) continue;
    std::string name = entry->path().lexically_relative(folder).generic_string();
    Source& source = sources.emplace_back();
    source.path = entry->path();
    source.info.file = std::move(name);
  }
  if (failure) return Error{Code::kPath, folder.string(), "cannot list: " + failure.message()};
  if (sources.empty()) return Error{Code::kData, folder.string(), "holds no *.txt file"};
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.info.file < b.info.file; });
  return sources;
}

Result<std::vector<Source>> list_sources(const fs::path& input) {
  std::error_code failure;
  const fs::path real = fs::canonical(input, failure);
  if (failure) return Error{Code::kPath, input.string(), "cannot read: " + failure.message()};
  if (fs::is_directory(real, failure)) return list_folder(real);
  std::vector<Source> sources(1);
  sources[0].path = real;
  sources[0].info.file = input.filename().string();
  return sources;
}

Status survey(Source& source, std::uint64_t seed) {
  ATOLL_ASSIGN(const MappedFile file, open_source(source.path));
  source.info.bytes = file.bytes().size();
  source.info.sha256 = sha256(file.bytes());
  source.chapters = find_chapters(as_text(file.bytes()), seed);
  return {};
}

/// Decides which chapters are held out. Without a validation split nothing is.
class Sides {
 public:
  static Result<Sides> choose(const std::vector<Source>& sources, const PrepareOptions& options) {
    std::vector<KeyedSize> chapters;
    for (const Source& source : sources) {
      for (const Chapter& chapter : source.chapters) {
        chapters.push_back({chapter.key, chapter.size()});
      }
    }
    const std::string where = options.input.string();
    if (chapters.empty()) return Error{Code::kData, where, "holds no text"};
    if (options.validation_fraction == 0) return Sides(false, 0);
    const HoldOut held_out = choose_held_out(std::move(chapters), options.validation_fraction);
    if (held_out.distinct < 2) {
      return Error{Code::kData, where,
                   "has one chapter only, so none can be held out; separate chapters by '# ' "
                   "headings or blank lines, or set the validation fraction to 0"};
    }
    return Sides(true, held_out.limit);
  }

  bool held_out(const Chapter& chapter) const { return any_ && chapter.key <= limit_; }

 private:
  Sides(bool any, std::uint64_t limit) : any_(any), limit_(limit) {}
  bool any_;
  std::uint64_t limit_;
};

/// The text of a source that was surveyed before.
Result<MappedFile> reopen(const Source& source) {
  ATOLL_ASSIGN(MappedFile file, open_source(source.path));
  if (file.bytes().size() != source.info.bytes || sha256(file.bytes()) != source.info.sha256) {
    return Error{Code::kData, source.path.string(), "changed while it was read; run again"};
  }
  return file;
}

/// Calls visit(text, held out) for each chapter.
template <typename Visit>
Status for_each_chapter(const std::vector<Source>& sources, const Sides& sides,
                        const Visit& visit) {
  for (const Source& source : sources) {
    ATOLL_ASSIGN(const MappedFile file, reopen(source));
    for (const Chapter& chapter : source.chapters) {
      const BytesView text = file.bytes().subspan(chapter.begin, chapter.size());
      ATOLL_TRY(visit(as_text(text), sides.held_out(chapter)));
    }
  }
  return {};
}

/// The tokenizer.json that the folder keeps; empty for bytes.
Result<std::string> tokenizer_text(const TokenizerChoice& choice,
                                   const std::vector<Source>& sources, const Sides& sides) {
  if (choice.kind == TokenizerChoice::Kind::kBytes) return std::string();
  if (choice.kind == TokenizerChoice::Kind::kFile)
    return read_file(choice.file, kMaxTokenizerBytes);
  BpeTrainer trainer;
  ATOLL_TRY(for_each_chapter(sources, sides, [&](std::string_view text, bool held_out) {
    if (!held_out) trainer.add(text);
    return Status();
  }));
  return trainer.train(choice.vocabulary).to_json();
}

/// Shards say in front how many tokens they have, so all text is encoded twice.
struct Counts {
  std::uint64_t train = 0, validation = 0;
};
Result<Counts> count_tokens(const std::vector<Source>& sources, const Sides& sides,
                            TextEncoder& encoder) {
  Counts counts;
  ATOLL_TRY(for_each_chapter(sources, sides, [&](std::string_view text, bool held_out) {
    (held_out ? counts.validation : counts.train) += encoder.encode(text).size();
    return Status();
  }));
  return counts;
}

Result<Manifest> build(const std::vector<Source>& sources, const Sides& sides,
                       const PrepareOptions& options, const TokenizerChoice& choice,
                       Manifest manifest) {
  ATOLL_ASSIGN(const std::string tokenizer, tokenizer_text(choice, sources, sides));
  TextEncoder encoder;
  if (!tokenizer.empty()) {
    const std::string& where = choice.file.empty() ? options.tokenizer : choice.file;
    ATOLL_ASSIGN(Tokenizer parsed, Tokenizer::parse(tokenizer, where));
    ATOLL_ASSIGN(encoder, TextEncoder::of(std::move(parsed), where));
    manifest.tokenizer = kTokenizerName;
    manifest.tokenizer_sha256 = sha256(as_bytes(tokenizer));
  }
  manifest.vocab_size = encoder.vocabulary();
  ATOLL_ASSIGN(const Counts counts, count_tokens(sources, sides, encoder));
  ATOLL_ASSIGN(StagedFolder folder, StagedFolder::create(options.output));
  ShardWriter train(folder.path(), "train", counts.train, manifest.shard_tokens);
  ShardWriter validation(folder.path(), "validation", counts.validation, manifest.shard_tokens);
  ATOLL_TRY(for_each_chapter(sources, sides, [&](std::string_view text, bool held_out) {
    return (held_out ? validation : train).add(encoder.encode(text));
  }));
  manifest.train = train.finish();
  manifest.validation = validation.finish();
  if (!tokenizer.empty()) {
    ATOLL_TRY(write_file(folder.path() / kTokenizerName, as_bytes(tokenizer)));
  }
  ATOLL_TRY(write_file(folder.path() / kManifestName, as_bytes(to_json(manifest))));
  ATOLL_TRY(folder.commit());
  return manifest;
}

}  // namespace

Result<Manifest> prepare(const PrepareOptions& options) {
  ATOLL_TRY(check_options(options));
  ATOLL_ASSIGN(const TokenizerChoice choice, parse_tokenizer_choice(options.tokenizer));
  ATOLL_ASSIGN(std::vector<Source> sources, list_sources(options.input));
  Manifest manifest;
  ATOLL_TRY(describe(choice, options.tokenizer, manifest));
  manifest.seed = options.seed;
  manifest.validation_fraction = options.validation_fraction;
  manifest.shard_tokens = options.shard_tokens;
  for (Source& source : sources) {
    ATOLL_TRY(survey(source, options.seed));
    manifest.sources.push_back(source.info);
  }
  ATOLL_ASSIGN(const Sides sides, Sides::choose(sources, options));
  ATOLL_ASSIGN(const bool done, already_made(options.output, manifest));
  if (done) return read_manifest(options.output);
  return build(sources, sides, options, choice, std::move(manifest));
}

}  // namespace reef::data
