#include <cmath>
#include <vector>

#include "ops/reference/kernels.h"

namespace reef::ops::reference {

void matmul(const Call& call) {
  const Product product = call.attributes.product;
  const std::int64_t lda = call.in[0].shape().back();
  const std::int64_t ldb = call.in[1].shape().back();
  const std::int64_t rows = call.out[0].shape().rows();
  const std::int64_t columns = call.out[0].shape().back();
  const std::int64_t inner = product == Product::kTN ? call.in[0].shape().rows() : lda;
  const float* a = call.in[0].data<float>();
  const float* b = call.in[1].data<float>();
  float* c = call.out[0].data<float>();
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      double sum = call.in.size() > 2 ? call.in[2].data<float>()[j] : 0;
      for (std::int64_t k = 0; k < inner; ++k) {
        const double left = product == Product::kTN ? a[k * lda + i] : a[i * lda + k];
        const double right = product == Product::kNT ? b[j * ldb + k] : b[k * ldb + j];
        sum += left * right;
      }
      c[i * columns + j] = static_cast<float>(sum);
    }
  }
}

void column_sum(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  const float* x = call.in[0].data<float>();
  for (std::int64_t j = 0; j < columns; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < call.in[0].shape().rows(); ++i) sum += x[i * columns + j];
    call.out[0].data<float>()[j] = static_cast<float>(sum);
  }
}

void embedding(const Call& call) {
  const std::int64_t length = call.in[0].shape()[1];
  const std::int64_t columns = call.in[1].shape()[1];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const float* wpe = call.in.size() > 2 ? call.in[2].data<float>() : nullptr;
  for (std::int64_t i = 0; i < call.in[0].elements(); ++i) {
    CHECK(tokens[i] >= 0 && tokens[i] < call.in[1].shape()[0]) << "token " << tokens[i];
    for (std::int64_t j = 0; j < columns; ++j) {
      call.out[0].data<float>()[i * columns + j] =
          call.in[1].data<float>()[tokens[i] * columns + j] +
          (wpe == nullptr ? 0 : wpe[i % length * columns + j]);
    }
  }
}

void embedding_grad(const Call& call) {
  const std::int64_t length = call.in[0].shape()[1];
  const std::int64_t columns = call.in[1].shape()[2];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const float* grad = call.in[1].data<float>();
  float* wte = call.out[0].data<float>();
  float* wpe = call.out.size() > 1 ? call.out[1].data<float>() : nullptr;
  std::fill_n(wte, call.out[0].elements(), 0.0f);
  if (wpe != nullptr) std::fill_n(wpe, call.out[1].elements(), 0.0f);
  for (std::int64_t i = 0; i < call.in[0].elements(); ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      wte[tokens[i] * columns + j] += grad[i * columns + j];
      if (wpe != nullptr) wpe[i % length * columns + j] += grad[i * columns + j];
    }
  }
}

void layer_norm(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  for (std::int64_t i = 0; i < call.in[0].shape().rows(); ++i) {
    const float* x = call.in[0].data<float>() + i * columns;
    double mean = 0;
    for (std::int64_t j = 0; j < columns; ++j) mean += x[j];
    mean /= static_cast<double>(columns);
    double variance = 0;
    for (std::int64_t j = 0; j < columns; ++j) variance += (x[j] - mean) * (x[j] - mean);
    variance /= static_cast<double>(columns);
    const double inverse = 1 / std::sqrt(variance + call.attributes.epsilon);
    for (std::int64_t j = 0; j < columns; ++j) {
      call.out[0].data<float>()[i * columns + j] = static_cast<float>(
          (x[j] - mean) * inverse * call.in[1].data<float>()[j] + call.in[2].data<float>()[j]);
    }
    call.out[1].data<float>()[2 * i] = static_cast<float>(mean);
    call.out[1].data<float>()[2 * i + 1] = static_cast<float>(inverse);
  }
}

void layer_norm_grad(const Call& call) {
  const std::int64_t columns = call.in[0].shape().back();
  const float* weight = call.in[1].data<float>();
  std::vector<double> weight_grad(static_cast<std::size_t>(columns));
  std::vector<double> bias_grad(static_cast<std::size_t>(columns));
  for (std::int64_t i = 0; i < call.in[0].shape().rows(); ++i) {
    const float* x = call.in[0].data<float>() + i * columns;
    const float* grad = call.in[3].data<float>() + i * columns;
    const double mean = call.in[2].data<float>()[2 * i];
    const double inverse = call.in[2].data<float>()[2 * i + 1];
    double sum = 0;
    double sum_normal = 0;
    for (std::int64_t j = 0; j < columns; ++j) {
      const double normal = (x[j] - mean) * inverse;
      sum += static_cast<double>(grad[j]) * weight[j];
      sum_normal += static_cast<double>(grad[j]) * weight[j] * normal;
      weight_grad[static_cast<std::size_t>(j)] += grad[j] * normal;
      bias_grad[static_cast<std::size_t>(j)] += grad[j];
    }
    for (std::int64_t j = 0; j < columns; ++j) {
      const double normal = (x[j] - mean) * inverse;
      call.out[0].data<float>()[i * columns + j] = static_cast<float>(
          inverse * (static_cast<double>(grad[j]) * weight[j] -
                     (sum + normal * sum_normal) / static_cast<double>(columns)));
    }
  }
  for (std::int64_t j = 0; j < columns; ++j) {
    call.out[1].data<float>()[j] = static_cast<float>(weight_grad[static_cast<std::size_t>(j)]);
    call.out[2].data<float>()[j] = static_cast<float>(bias_grad[static_cast<std::size_t>(j)]);
  }
}

}  // namespace reef::ops::reference
