#pragma once
// For tests that need ops but no device: one thread, its own memory.

#include "ops/tensor/context.h"

namespace reef {

class LoneContext final : public ops::Context {
 public:
  ops::Pool& pool() override { return pool_; }
  void parallel_for(std::size_t tasks, ops::TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }

 private:
  ops::Pool pool_;
};

}  // namespace reef
