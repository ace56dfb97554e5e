#include "actors/model/in_flight.h"

#include <string>

namespace reef::actors {

Status InFlight::begin(const Token& input) {
  if (input.micro != expected_) {
    return Error{Code::kProto, "input",
                 "micro-batch " + std::to_string(input.micro) + " out of order"};
  }
  if (input.micro != 0 && input.round != round_)
    return Error{Code::kProto, "input", "micro-batches of different rounds"};
  round_ = input.round;
  expected_ = (expected_ + 1) % micro_batches_;
  return {};
}

std::unique_ptr<ops::Tape> InFlight::take_tape() {
  std::unique_ptr<ops::Tape> tape = std::move(tapes_.front());
  tapes_.pop_front();
  return tape;
}

InFlight::Later InFlight::take_later() {
  Later later = std::move(later_.front());
  later_.pop_front();
  return later;
}

void InFlight::add_leaf(ops::Context& context, std::vector<ops::Tensor> leaf) {
  if (leaves_ == 0) sums_.emplace_back();
  sums_.back().add(context, std::move(leaf));
  leaves_ = (leaves_ + 1) % leaves_of_sum_;
}

std::vector<ops::Tensor> InFlight::take_sum(ops::Context& context) {
  std::vector<ops::Tensor> sum = sums_.front().take(context);
  sums_.pop_front();
  return sum;
}

}  // namespace reef::actors
