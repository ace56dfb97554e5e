#include "runtime/register/register.h"

namespace reef {

Status Register::check_fits(const Token& token) const {
  std::uint64_t bytes = 0;
  for (const ops::Tensor& tensor : token.tensors) bytes += tensor.size_bytes();
  if (bytes <= capacity_) return {};
  return Error{
      Code::kTensor, name_,
      "a token of " + std::to_string(bytes) + " bytes in slots of " + std::to_string(capacity_)};
}

}  // namespace reef
