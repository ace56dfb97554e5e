#include "ops/catalog/catalog.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "ops/catalog/detour.h"
#include "ops/catalog/rules.h"
#include "ops/catalog/table.h"
#include "runtime/base/check.h"

namespace reef::ops {

namespace {

constexpr std::size_t kLayouts = 3;
constexpr std::size_t kKeys = kOpCount * kMaxDevices * kDTypeCount * kLayouts;

std::size_t index_of(const Key& key) {
  std::size_t index = static_cast<std::size_t>(key.op);
  index = index * kMaxDevices + static_cast<std::size_t>(key.device);
  index = index * kDTypeCount + static_cast<std::size_t>(key.dtype);
  return index * kLayouts + static_cast<std::size_t>(key.layout);
}

/// The process's kernels and, for each key that was asked for, how to get to one.
class Catalog {
 public:
  Catalog() : routes_(kKeys) {
    for (const std::span<const Entry> entries : built_in_kernels()) add(entries);
  }

  void add(std::span<const Entry> entries) {
    const std::lock_guard lock(mutex_);
    tables_.push_back(entries);
    for (const Entry& entry : entries) {
      std::vector<const Entry*>& candidates = kernels_[index_of(entry.key)];
      candidates.push_back(&entry);
      const Status fits = check_candidates(candidates);
      CHECK(fits.ok()) << fits.error().text();
    }
    for (auto& route : routes_) route.store(nullptr);
  }

  std::span<const std::span<const Entry>> tables() const { return tables_; }

  /// Null when no kernel serves the key.
  const Route* find(const Key& key) {
    std::atomic<const Route*>& place = routes_[index_of(key)];
    const Route* known = place.load(std::memory_order_acquire);
    return known != nullptr ? known : resolve(key, place);
  }

  const Entry* nearest(const Key& key) const {
    const Entry* nearest = nullptr;
    int most = -1;
    for (const std::span<const Entry> table : tables_) {
      for (const Entry& entry : table) {
        if (entry.key.op != key.op) continue;
        const int alike = 4 * (entry.key.device == key.device) +
                          2 * (entry.key.dtype == key.dtype) + (entry.key.layout == key.layout);
        if (alike > most) {
          most = alike;
          nearest = &entry;
        }
      }
    }
    return nearest;
  }

 private:
  const Route* resolve(const Key& key, std::atomic<const Route*>& place) {
    const std::lock_guard lock(mutex_);
    Route route;
    if (!on_device(key, route) && !through_f32(key, route) && !elsewhere(key, route)) {
      return nullptr;
    }
    owned_.push_back(std::make_unique<const Route>(route));
    place.store(owned_.back().get(), std::memory_order_release);
    return owned_.back().get();
  }

  std::span<const Entry* const> exact(const Key& key) const {
    const auto found = kernels_.find(index_of(key));
    if (found == kernels_.end()) return {};
    return found->second;
  }

  bool on_device(const Key& key, Route& route) const {
    route.candidates = exact(key);
    if (!route.candidates.empty()) return true;
    route.candidates = exact({key.op, key.device, key.dtype, Layout::kStrided});
    if (!route.candidates.empty()) return true;
    // The copy itself cannot be helped by a copy.
    if (key.layout == Layout::kRowMajor || key.op == Op::kCopy) return false;
    route.candidates = exact({key.op, key.device, key.dtype, Layout::kRowMajor});
    route.copy_inputs = !route.candidates.empty();
    return route.copy_inputs;
  }

  bool through_f32(const Key& key, Route& route) const {
    const bool castable = key.dtype == DType::kBF16 || key.dtype == DType::kF16;
    // What the detour is made of cannot take it.
    const bool is_detour = key.op == Op::kCast || key.op == Op::kCopy;
    if (!castable || is_detour || is_update(key.op)) return false;
    route.cast = on_device({key.op, key.device, DType::kF32, Layout::kRowMajor}, route);
    return route.cast;
  }

  bool elsewhere(const Key& key, Route& route) const {
    if (key.device == Device::kReference) return false;
    if (key.device == Device::kCpu) {
      const Key plain{key.op, Device::kReference, key.dtype, key.layout};
      return on_device(plain, route) || through_f32(plain, route);
    }
    const Key host{key.op, Device::kCpu, key.dtype, Layout::kRowMajor};
    Route there;
    route.via_host = on_device(host, there) || through_f32(host, there) || elsewhere(host, there);
    return route.via_host;
  }

  std::mutex mutex_;
  std::vector<std::span<const Entry>> tables_;
  std::unordered_map<std::size_t, std::vector<const Entry*>> kernels_;
  std::vector<std::atomic<const Route*>> routes_;
  std::vector<std::unique_ptr<const Route>> owned_;  ///< also those that add() made stale
};

Catalog& catalog() {
  static Catalog* const catalog = new Catalog;  // outlives whatever still computes at exit
  return *catalog;
}

std::atomic<Chooser*> the_chooser{nullptr};
std::atomic<Observer*> the_observer{nullptr};

/// kRowMajor when all lie so, kChannelsLast when the first input does and the rest is either.
Layout layout_of(std::span<const Tensor> in, std::span<const Tensor> out) {
  bool plain = true;
  bool strided = false;
  for (const std::span<const Tensor> tensors : {in, out}) {
    for (const Tensor& tensor : tensors) {
      plain = plain && tensor.is_contiguous();
      strided = strided || tensor.layout() == Layout::kStrided;
    }
  }
  if (plain) return Layout::kRowMajor;
  return !strided && !in.empty() && in[0].layout() == Layout::kChannelsLast ? Layout::kChannelsLast
                                                                            : Layout::kStrided;
}

/// A new output; images that came channels-last leave so.
Tensor allocate(Context& context, const TensorSpec& spec, Layout layout) {
  if (layout != Layout::kChannelsLast || spec.shape.rank() != 4) {
    return Tensor::empty(context.pool(), spec.dtype, spec.shape);
  }
  const Shape& s = spec.shape;
  constexpr std::size_t kBack[] = {0, 3, 1, 2};
  return Tensor::empty(context.pool(), spec.dtype, {s[0], s[2], s[3], s[1]}).permute(kBack);
}

const Route& must_find(const Key& key) {
  const Route* found = catalog().find(key);
  if (found == nullptr) route(key).value();  // ends the process with the reason
  return *found;
}

DType dtype_of(std::span<const Tensor> in, const Attributes& attributes) {
  return in.empty() ? attributes.to : in[0].dtype();
}

void run_update(Context& context, Op op, std::span<const Tensor> in, std::span<Tensor> out,
                const Attributes& attributes) {
  const Status fits = check_update(op, in, out);
  CHECK(fits.ok()) << fits.error().text();
  const Key key{op, context.device(), dtype_of(in, attributes), Layout::kRowMajor};
  execute(must_find(key), {context, in, out, attributes}, op);
}

}  // namespace

std::string Key::text() const {
  return std::string(name_of(op)) + " on " + std::string(name_of(device)) + " for " +
         std::string(name_of(dtype)) + ", " + std::string(name_of(layout));
}

Status check_candidates(std::span<const Entry* const> candidates) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Entry& entry = *candidates[i];
    if (candidates.size() > 1 && entry.name.empty()) {
      return Error{Code::kTensor, entry.key.text(), "a candidate has no name"};
    }
    for (const Entry* other : candidates.first(i)) {
      const std::string both = std::string(other->name) + "' and '" + std::string(entry.name);
      if (other->name == entry.name) {
        return Error{Code::kTensor, entry.key.text(),
                     "two candidates are called '" + std::string(entry.name) + "'"};
      }
      if (other->numeric != entry.numeric) {
        return Error{Code::kTensor, entry.key.text(),
                     "'" + both + "' add in different orders, so they cannot be candidates both"};
      }
    }
  }
  return {};
}

void add_kernels(std::span<const Entry> entries) { catalog().add(entries); }
std::span<const std::span<const Entry>> kernel_tables() { return catalog().tables(); }
void set_chooser(Chooser* chooser) { the_chooser.store(chooser); }
void set_observer(Observer* observer) { the_observer.store(observer); }

Result<Route> route(const Key& key) {
  if (const Route* found = catalog().find(key)) return *found;
  const Entry* nearest = catalog().nearest(key);
  return Error{Code::kTensor, "catalog",
               "no kernel for " + key.text() +
                   (nearest == nullptr ? "; there is none at all"
                                       : "; the nearest is " + nearest->key.text())};
}

void launch(const Route& route, const Call& call) {
  Observer* const observer = the_observer.load(std::memory_order_relaxed);
  if (observer != nullptr) observer->launched(route.candidates[0]->key.op, call);
  Chooser* const chooser = the_chooser.load(std::memory_order_relaxed);
  if (route.candidates.size() > 1 && chooser != nullptr) {
    chooser->run(route.candidates, call);
  } else {
    route.candidates[0]->kernel(call);
  }
  if (observer != nullptr) observer->returned(route.candidates[0]->key.op, call);
}

void run(Context& context, Op op, std::span<const Tensor> in, std::span<Tensor> out,
         const Attributes& attributes) {
  if (is_update(op)) return run_update(context, op, in, out, attributes);
  CHECK_LE(in.size(), kMaxInputs) << name_of(op);
  std::array<const TensorSpec*, kMaxInputs> specs;
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(in[i].defined()) << name_of(op) << ": input " << i << " is undefined";
    specs[i] = &in[i].spec();
  }
  const Result<Signature> inferred = infer(op, Specs{specs.data(), in.size()}, attributes);
  const Signature& signature = inferred.value();
  CHECK_EQ(signature.count, out.size()) << name_of(op);
  const Layout inputs = layout_of(in, {});
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined()) {
      out[i] = allocate(context, signature.outputs[i], inputs);
    } else {
      CHECK(out[i].spec() == signature.outputs[i])
          << name_of(op) << ": output " << i << " is " << out[i].shape().text();
    }
  }
  const Key key{op, context.device(), dtype_of(in, attributes), layout_of(in, out)};
  execute(must_find(key), {context, in, out, attributes}, op);
}

}  // namespace reef::ops
