#include "ops/codec/top_k.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "ops/codec/cut.h"
#include "ops/codec/isa/dispatch.h"

namespace reef::codec {
namespace {

constexpr std::size_t kHeader = 3 * sizeof(std::uint32_t);
constexpr std::size_t kLongGap = 255;  ///< a byte of it says: so many, and go on

// Tensors up to this size are searched as they are. Of larger ones a sample is looked at first:
// kRuns runs of kRun neighbours (a line of the cache), spread evenly, each shifted by a hash so
// that no column of a matrix is taken for all.
constexpr std::size_t kSmall = 128 * 1024;
constexpr std::size_t kRuns = 4096;
constexpr std::size_t kRun = 16;

/// Elements added and searched at a time: 8 KiB of both, so that the search finds the sums in the
/// first-level cache.
constexpr std::size_t kStep = 1024;

void make_room(std::size_t count, std::vector<std::uint32_t>& positions, std::vector<float>& kept) {
  if (positions.size() < count) positions.resize(count);
  if (kept.size() < count) kept.resize(count);
}

std::size_t share_of(double fraction, std::size_t elements) {
  const double kept = std::ceil(fraction * static_cast<double>(elements));
  return std::min(elements, static_cast<std::size_t>(kept));
}

bool is_finite(float value) { return magnitude(value) < 0x7F800000u; }

std::size_t most_gap_bytes(std::size_t kept, std::size_t elements) {
  return kept == 0 ? 0 : kept + (elements - kept) / kLongGap;
}

Error refuse(const std::string& what) { return {Code::kDecompress, "codec: top-k", what}; }

struct Header {
  std::uint32_t kept, gap_bytes, encoded_gap_bytes;
};

/// Everything that can be known before a byte is decoded.
Result<Header> read_header(const TopK& codec, BytesView encoded, std::size_t elements) {
  if (encoded.size() < kHeader) return refuse("the encoding ends inside its header");
  if (encoded.size() > max_encoded_size(codec, elements))
    return refuse("the encoding is longer than any of so many elements");
  const Header header{load<std::uint32_t>(encoded.data()), load<std::uint32_t>(encoded.data() + 4),
                      load<std::uint32_t>(encoded.data() + 8)};
  if (header.kept > most_kept(codec, elements)) {
    return refuse(std::to_string(header.kept) + " values; of " + std::to_string(elements) +
                  " elements at most " + std::to_string(most_kept(codec, elements)) + " are kept");
  }
  if (header.gap_bytes < header.kept || header.gap_bytes > most_gap_bytes(header.kept, elements)) {
    return refuse("gaps that cannot lie between that many values");
  }
  if (header.encoded_gap_bytes > encoded.size() - kHeader) {
    return refuse("the encoding ends inside its gaps");
  }
  const std::size_t values = encoded.size() - kHeader - header.encoded_gap_bytes;
  if (values > max_encoded_size(codec.values, header.kept)) {
    return refuse("bytes follow the last value");
  }
  return header;
}

/// A magnitude that k of a chunk reach if as many are not zero, and few others: so that k or a few
/// more of its columns hold such a value. Columns are counted in a bisection, since partitioning
/// their maxima takes as long as all the rest.
std::uint32_t reached_by(std::span<const float> part, std::size_t k) {
  if (k > kColumns / 2 || part.size() < 2 * kColumns) return 1;
  const Kernels& best = kernels();
  std::array<std::uint32_t, kColumns> maxima;
  best.column_maxima(part.data(), part.size() / kColumns, maxima.data());
  std::uint32_t reached = 1, missed = kMagnitudes;  // by k columns
  while (missed - reached > 1) {
    const std::uint32_t middle = reached + (missed - reached) / 2;
    const std::size_t columns = best.count_large(maxima.data(), middle);
    (columns >= k ? reached : missed) = middle;
    if (columns >= k && columns <= k + k / 16) break;
  }
  return reached;
}

}  // namespace

std::size_t most_kept(const TopK& codec, std::size_t elements) {
  if (codec.chunk == 0) return share_of(codec.fraction, elements);
  return elements / codec.chunk * share_of(codec.fraction, codec.chunk) +
         share_of(codec.fraction, elements % codec.chunk);
}

std::size_t max_encoded_size(const TopK& codec, std::size_t elements) {
  const std::size_t kept = most_kept(codec, elements);
  return kHeader + max_encoded_bytes_size(codec.values, most_gap_bytes(kept, elements)) +
         max_encoded_size(codec.values, kept);
}

void TopKCoder::encode(std::span<const float> values, std::span<float> residual, Bytes& out) {
  CHECK_EQ(values.size(), residual.size());
  select(values, residual);
  write(out);
  round_trip(codec_.values, kept());
  for (std::size_t i = 0; i < count_; ++i) {
    float& left = residual[positions_[i]];
    left -= kept_[i];
    if (!is_finite(left)) left = 0;
  }
}

void TopKCoder::encode(std::span<const float> values, Bytes& out) {
  select(values, {});
  write(out);
}

/// Leaves the sum of both in `residual`, if there is one, and its k largest in kept().
void TopKCoder::select(std::span<const float> values, std::span<float> residual) {
  CHECK(values.size() < std::numeric_limits<std::uint32_t>::max()) << "larger than positions are";
  if (codec_.chunk > 0) return select_in_chunks(values, residual);
  const std::size_t k = most_kept(codec_, values.size());
  const std::uint32_t threshold = threshold_of(values, residual, k);
  const bool fits = collect(values, residual, threshold, std::min(values.size(), 4 * k + kSmall));
  if (!fits || (count_ < k && threshold > 1)) {
    collect_exactly(residual.empty() ? values : std::span<const float>(residual), k);
  }
  keep_largest(0, k);
}

/// In one pass: a chunk's sum is searched while it is in the first-level cache.
void TopKCoder::select_in_chunks(std::span<const float> values, std::span<float> residual) {
  const Kernels& best = kernels();
  make_room(most_kept(codec_, values.size()) + std::min(codec_.chunk, values.size()), positions_,
            kept_);
  count_ = 0;
  for (std::size_t at = 0; at < values.size(); at += codec_.chunk) {
    std::span<const float> part = values.subspan(at, std::min(codec_.chunk, values.size() - at));
    if (!residual.empty()) {
      best.add(part.data(), part.size(), residual.data() + at);
      part = residual.subspan(at, part.size());
    }
    append_largest(part, at);
  }
}

/// `part` is a chunk that begins at element `at`.
void TopKCoder::append_largest(std::span<const float> part, std::size_t at) {
  const std::size_t k = share_of(codec_.fraction, part.size());
  const std::size_t first = count_;
  std::uint32_t* const positions = positions_.data() + first;
  count_ += kernels().find_large(part.data(), part.size(), reached_by(part, k), positions);
  for (std::size_t i = first; i < count_; ++i) {
    kept_[i] = part[positions_[i]];
    positions_[i] += static_cast<std::uint32_t>(at);
  }
  keep_largest(first, k);
}

/// A magnitude that a little more than k elements reach, judging by the sample. 1 is the least that
/// is not zero.
std::uint32_t TopKCoder::threshold_of(std::span<const float> values,
                                      std::span<const float> residual, std::size_t k) {
  if (values.size() <= kSmall) return 1;
  const std::size_t stride = values.size() / kRuns;
  magnitudes_.clear();
  for (std::size_t run = 0; run < kRuns; ++run) {
    const std::size_t shift = (run * 2654435761u >> 8) % (stride - kRun + 1);
    const std::size_t first = run * stride + shift;
    for (std::size_t i = first; i < first + kRun; ++i) {
      magnitudes_.push_back(magnitude(residual.empty() ? values[i] : residual[i] + values[i]));
    }
  }
  // Too low costs a few candidates more; too high, and everything has to be searched again. The
  // neighbours of a run resemble each other, hence the wide margin.
  const double expected = double(k) / double(values.size()) * double(magnitudes_.size());
  const double rank = 1.25 * expected + 8 * std::sqrt(expected) + kRun;
  if (rank >= double(magnitudes_.size())) return 1;
  const auto place = magnitudes_.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(magnitudes_.begin(), place, magnitudes_.end(), std::greater<>());
  return std::max<std::uint32_t>(*place, 1);
}

/// Adds all values to the residual, if there is one, and collects the candidates on the way. False
/// when there is no room for them all; the addition is done nevertheless.
bool TopKCoder::collect(std::span<const float> values, std::span<float> residual,
                        std::uint32_t threshold, std::size_t room) {
  const Kernels& best = kernels();
  make_room(room + kStep, positions_, kept_);
  std::size_t found = 0;
  for (std::size_t at = 0; at < values.size(); at += kStep) {
    const std::size_t count = std::min(kStep, values.size() - at);
    const float* x = values.data() + at;
    if (!residual.empty()) {
      best.add(x, count, residual.data() + at);
      x = residual.data() + at;
    }
    if (found > room) continue;
    const std::size_t more = best.find_large(x, count, threshold, positions_.data() + found);
    for (std::size_t i = found; i < found + more; ++i) {
      kept_[i] = x[positions_[i]];
      positions_[i] += static_cast<std::uint32_t>(at);
    }
    found += more;
  }
  count_ = found;
  return found <= room;
}

/// Without a guess, for what the sample misled.
void TopKCoder::collect_exactly(std::span<const float> values, std::size_t k) {
  Cut cut = cut_at(values, k);
  make_room(k, positions_, kept_);
  count_ = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!cut.keeps(values[i])) continue;
    positions_[count_] = static_cast<std::uint32_t>(i);
    kept_[count_++] = values[i];
  }
}

/// Cuts the candidates from `first` on down to the k largest.
void TopKCoder::keep_largest(std::size_t first, std::size_t k) {
  if (count_ - first <= k) return;
  Cut cut = cut_at(kept().subspan(first), k);
  std::size_t end = first;
  for (std::size_t i = first; i < count_; ++i) {
    if (!cut.keeps(kept_[i])) continue;
    positions_[end] = positions_[i];
    kept_[end++] = kept_[i];
  }
  count_ = end;
}

void TopKCoder::write(Bytes& out) {
  gaps_.clear();
  std::size_t next = 0;
  for (const std::uint32_t position : positions()) {
    std::size_t gap = position - next;
    for (; gap >= kLongGap; gap -= kLongGap) gaps_.push_back(std::byte{kLongGap});
    gaps_.push_back(static_cast<std::byte>(gap));
    next = position + 1;
  }
  encode_bytes(codec_.values, gaps_, packed_);
  out.resize(kHeader);
  store(out.data(), static_cast<std::uint32_t>(count_));
  store(out.data() + 4, static_cast<std::uint32_t>(gaps_.size()));
  store(out.data() + 8, static_cast<std::uint32_t>(packed_.size()));
  out.insert(out.end(), packed_.begin(), packed_.end());
  codec::encode(codec_.values, std::span<const float>(kept()), packed_);
  out.insert(out.end(), packed_.begin(), packed_.end());
}

Status TopKCoder::decode(BytesView encoded, std::span<float> out) {
  ATOLL_TRY(read(encoded, out.size()));
  std::fill(out.begin(), out.end(), 0.0f);
  for (std::size_t i = 0; i < count_; ++i) out[positions_[i]] = kept_[i];
  return {};
}

Status TopKCoder::decode_add(BytesView encoded, float factor, std::span<float> sum) {
  ATOLL_TRY(read(encoded, sum.size()));
  for (std::size_t i = 0; i < count_; ++i) sum[positions_[i]] += factor * kept_[i];
  return {};
}

/// Leaves what was kept in positions() and kept().
Status TopKCoder::read(BytesView encoded, std::size_t elements) {
  ATOLL_ASSIGN(const Header header, read_header(codec_, encoded, elements));
  encoded = encoded.subspan(kHeader);
  gaps_.resize(header.gap_bytes);
  ATOLL_TRY(decode_bytes(codec_.values, encoded.first(header.encoded_gap_bytes), gaps_));
  make_room(header.kept, positions_, kept_);
  count_ = header.kept;
  ATOLL_TRY(codec::decode(codec_.values, encoded.subspan(header.encoded_gap_bytes), kept()));
  return place(elements);
}

/// From gaps to positions.
Status TopKCoder::place(std::size_t elements) {
  std::size_t position = 0;  // a sum of fewer than 2^32 bytes: no overflow
  std::size_t taken = 0;
  for (const std::byte gap : gaps_) {
    position += static_cast<std::size_t>(gap);
    if (gap == std::byte{kLongGap}) continue;
    if (position >= elements) return refuse("a position behind the last element");
    if (taken == count_) return refuse("more positions than values");
    positions_[taken++] = static_cast<std::uint32_t>(position++);
  }
  if (taken < count_) return refuse("fewer positions than values");
  if (!gaps_.empty() && gaps_.back() == std::byte{kLongGap}) {
    return refuse("a gap that leads to no value");
  }
  return {};
}

}  // namespace reef::codec
