#pragma once
// A register: the bounded ring of slots behind one edge of the plan. It exists so that memory is a
// sum known before launch and so that credit is the only back-pressure: a producer without a free
// slot does not run.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/error.h"
#include "runtime/register/token.h"

namespace reef {

/// Thread: producer and consumer may be different threads, but a slot has one owner at a time: the
/// producer until its token message is sent, the consumer until its credit message is. Those
/// messages order the accesses. Order: token n lives in slot n modulo `slots`; tokens are read in
/// the order in which they were written. Memory: a slot holds handles to at most `capacity` bytes
/// of tensors.
class Register {
 public:
  Register(std::string name, std::uint32_t slots, std::uint64_t capacity)
      : name_(std::move(name)), capacity_(capacity), ring_(slots) {
    CHECK(slots > 0) << name_;
  }
  Register(const Register&) = delete;
  Register& operator=(const Register&) = delete;

  const std::string& name() const { return name_; }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(ring_.size()); }

  /// The slot of token `sequence`, to be filled by the producer or read by the consumer.
  Token& slot(std::uint64_t sequence) { return ring_[sequence % ring_.size()]; }
  /// The consumer is done: drops the handles, so that their storage returns to the pool.
  void clear(std::uint64_t sequence) { slot(sequence) = Token{}; }

  /// kTensor when the token's tensors exceed the planned capacity.
  Status check_fits(const Token& token) const;

 private:
  std::string name_;
  std::uint64_t capacity_;
  std::vector<Token> ring_;
};

}  // namespace reef
