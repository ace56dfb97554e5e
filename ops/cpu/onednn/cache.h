#pragma once
// Primitives, kept by what they were made for: making one takes 100 us.

#include <map>
#include <memory>
#include <mutex>

#include "ops/cpu/onednn/stream.h"

namespace reef::ops::cpu::onednn {

/// Thread: any number at once; one primitive is made at a time.
template <typename Key, typename Primitive>
class Cache {
 public:
  /// What make(key), a shared_ptr, gave when it was first asked for; null, too, is remembered, and
  /// stands for what oneDNN refuses.
  template <typename Make>
  std::shared_ptr<const Primitive> find(const Key& key, const Make& make) {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    if (known_.size() >= kMost) known_.clear();
    std::shared_ptr<const Primitive> primitive;
    try {
      compute_alone();
      primitive = make(key);
    } catch (const dnnl::error&) {
      // Not implemented for this processor: the caller has another way.
    }
    known_.emplace(key, primitive);
    return primitive;
  }

 private:
  /// Shapes of a run are few; a stream of ever new ones must not fill the memory.
  static constexpr std::size_t kMost = 1024;

  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Primitive>> known_;
};

}  // namespace reef::ops::cpu::onednn
