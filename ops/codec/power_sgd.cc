#include "ops/codec/power_sgd.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/codec/isa/dispatch.h"
#include "runtime/base/random.h"

namespace reef::codec {
namespace {

/// A column this much shorter than it was before the others were taken out of it was a sum of them.
constexpr double kDependent = 1e-5;

bool is_finite(float value) {
  return (std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFu) < 0x7F800000u;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

/// Makes `column` orthogonal to the `before` columns in front of it and 1 long; or 0, if it depends
/// on them.
void orthonormalise(float* columns, std::size_t before, std::size_t rows) {
  const std::span<float> column(columns + before * rows, rows);
  const double length = std::sqrt(dot(column, column));
  for (std::size_t c = 0; c < before; ++c) {
    const std::span<const float> other(columns + c * rows, rows);
    const double along = dot(column, other);
    for (std::size_t i = 0; i < rows; ++i) {
      column[i] = static_cast<float>(double(column[i]) - along * double(other[i]));
    }
  }
  const double left = std::sqrt(dot(column, column));
  // Not "left <= ...": a NaN must stay one.
  const double scale = left <= kDependent * length ? 0.0 : 1.0 / left;
  for (float& value : column) value = static_cast<float>(double(value) * scale);
}

}  // namespace

bool is_thin(const PowerSgd& codec, const Matrix& part) {
  return codec.rank * (part.rows + part.columns) < part.elements();
}

double factor_share(const PowerSgd& codec, std::span<const Matrix> parts) {
  double travel = 0, all = 0;
  for (const Matrix& part : parts) {
    const auto whole = static_cast<double>(part.elements());
    all += whole;
    travel += is_thin(codec, part)
                  ? static_cast<double>(codec.rank) * static_cast<double>(part.rows + part.columns)
                  : whole;
  }
  return all > 0 ? travel / all : 1;
}

PowerSgdCoder::PowerSgdCoder(PowerSgd codec, std::vector<Matrix> parts)
    : codec_(codec), parts_(std::move(parts)) {
  for (const Matrix& part : parts_) {
    elements_ += part.elements();
    const bool thin = is_thin(codec_, part);
    factor_elements_ += thin ? codec_.rank * (part.rows + part.columns) : part.elements();
    warm_elements_ += thin ? codec_.rank * part.columns : 0;
  }
}

void PowerSgdCoder::draw(const Matrix& part, std::size_t index, std::span<float> warm) const {
  const Random random(0, "codec/powersgd");
  for (std::size_t i = 0; i < codec_.rank * part.columns; ++i) warm[i] = random.normal(index, i);
}

Feedback PowerSgdCoder::begin() const {
  Feedback feedback;
  feedback.residual.resize(elements_);
  feedback.warm.resize(warm_elements_);
  std::span<float> warm = feedback.warm;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!is_thin(codec_, parts_[i])) continue;
    draw(parts_[i], i, warm);
    warm = warm.subspan(codec_.rank * parts_[i].columns);
  }
  return feedback;
}

void PowerSgdCoder::factorise(const Matrix& part, const float* matrix, float* warm,
                              float* factors) {
  const Kernels& best = kernels();
  float* const left = factors;
  float* const right = factors + codec_.rank * part.rows;
  for (std::size_t c = 0; c < codec_.rank; ++c) {
    best.times(matrix, part.rows, part.columns, warm + c * part.columns, left + c * part.rows);
    orthonormalise(left, c, part.rows);
  }
  for (std::size_t c = 0; c < codec_.rank; ++c) {
    best.transposed_times(matrix, part.rows, part.columns, left + c * part.rows,
                          right + c * part.columns);
  }
  std::copy_n(right, codec_.rank * part.columns, warm);
}

void PowerSgdCoder::encode(std::span<const float> values, Feedback& feedback, Bytes& out) {
  CHECK_EQ(values.size(), elements_);
  CHECK_EQ(feedback.residual.size(), elements_);
  CHECK_EQ(feedback.warm.size(), warm_elements_);
  kernels().add(values.data(), elements_, feedback.residual.data());
  factors_.resize(factor_elements_);
  const float* matrix = feedback.residual.data();
  float* factors = factors_.data();
  std::span<float> warm = feedback.warm;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Matrix& part = parts_[i];
    if (!is_thin(codec_, part)) {
      factors = std::copy_n(matrix, part.elements(), factors);
    } else {
      const auto own = warm.first(codec_.rank * part.columns);
      factorise(part, matrix, own.data(), factors);
      // A matrix of zeros, or one that is not finite, leaves nothing to go on from.
      const bool lost = !std::all_of(own.begin(), own.end(), is_finite) ||
                        std::all_of(own.begin(), own.end(), [](float x) { return x == 0; });
      if (lost) draw(part, i, own);
      factors += codec_.rank * (part.rows + part.columns);
      warm = warm.subspan(own.size());
    }
    matrix += part.elements();
  }
  codec::encode(codec_.factors, factors_, out);
  round_trip(codec_.factors, factors_);
  seen_.resize(elements_);
  multiply(factors_, seen_);
  for (std::size_t i = 0; i < elements_; ++i) {
    const float left = feedback.residual[i] - seen_[i];
    feedback.residual[i] = is_finite(left) ? left : 0;
  }
}

void PowerSgdCoder::multiply(std::span<const float> factors, std::span<float> out) const {
  const float* from = factors.data();
  float* to = out.data();
  for (const Matrix& part : parts_) {
    if (is_thin(codec_, part)) {
      std::fill_n(to, part.elements(), 0.0f);
      for (std::size_t c = 0; c < codec_.rank; ++c) {
        kernels().add_outer(from + c * part.rows, part.rows,
                            from + codec_.rank * part.rows + c * part.columns, part.columns, to);
      }
      from += codec_.rank * (part.rows + part.columns);
    } else {
      std::copy_n(from, part.elements(), to);
      from += part.elements();
    }
    to += part.elements();
  }
}

Status PowerSgdCoder::decode(BytesView encoded, std::span<float> out) {
  CHECK_EQ(out.size(), elements_);
  if (encoded.size() > max_encoded_size()) {
    return Error{Code::kDecompress, "codec: PowerSGD", "longer than any encoding of these parts"};
  }
  factors_.resize(factor_elements_);
  ATOLL_TRY(codec::decode(codec_.factors, encoded, std::span(factors_)));
  multiply(factors_, out);
  return {};
}

}  // namespace reef::codec
