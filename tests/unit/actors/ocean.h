#pragma once
// Islands that exchange letters over channels which a test can cut, and the scheduler that tells
// them of each other.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "actors/store/local_steps/exchange.h"
#include "ops/nn/config.h"
#include "ops/nn/stage.h"
#include "runtime/base/clock.h"
#include "scheduler/service/homes.h"

namespace reef::actors {

using Values = std::vector<float>;

inline nn::ModelSpec small_model() {
  nn::GptConfig gpt;
  gpt.vocab_size = 16;
  gpt.n_positions = 8;
  gpt.n_embd = 8;
  gpt.n_layer = 2;
  gpt.n_head = 2;
  return nn::model_spec(gpt, nn::Precision::kF32, nn::Recompute::kNone, 8);
}

/// Islands that train a model, each of which pulls all weights towards a number of its own, and the
/// scheduler that tells them of each other.
class Ocean {
 public:
  Ocean(std::uint32_t islands, job::LocalSteps local)
      : local_(std::move(local)), fragments_(small_model(), local_.fragments), homes_(islands) {
    for (std::uint32_t i = 0; i < islands; ++i) names_.push_back("island-" + std::to_string(i));
    for (std::uint32_t i = 0; i < islands; ++i) start(i, 0, 0);
    for (std::uint32_t i = 0; i < islands; ++i) connect(i, true);
  }

  /// As the scheduler sees it: its homes move.
  void lose(std::uint32_t i) {
    islands_[i].lost = true;
    std::set<std::uint32_t> left;
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (!islands_[other].lost && islands_[other].knows) left.insert(other);
    }
    homes_.lose(i, left);
    introduce();
  }

  /// With the weights that everybody began with.
  void start(std::uint32_t i, std::uint32_t begun, std::uint64_t first_step) {
    islands_.resize(names_.size());
    Island& island = islands_[i];
    island = {};
    island.knows = begun == 0;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f)
      island.weights.emplace_back(fragments_.elements(f), 0.0f);
    island.exchange = std::make_unique<Exchange>(
        local_, job::Island{i, names_, begun, first_step}, fragments_, island.weights,
        [this, i](std::uint32_t to, node::Letter letter) {
          if (!islands_[i].connected || !islands_[to].connected) return false;
          // No larger than a snapshot, so that any channel of the job has room for it.
          const std::size_t most = 2 * sizeof(float) * fragments_.elements(letter.fragment);
          EXPECT_LE(letter.payload.size(), most + names_.size() * kMostTellings * kToldHeader);
          islands_[i].free = std::max(islands_[i].free, now_) + letter_takes_;
          islands_[to].under_way.push_back(
              {islands_[i].free, {i, std::nullopt, std::move(letter)}});
          return true;
        },
        now_);
    island.step = first_step;
    if (begun > 0) introduce();
  }

  /// To all others that are connected. A cut loses what is under way.
  void connect(std::uint32_t i, bool present) {
    islands_[i].connected = present;
    if (!present) islands_[i].post.clear(), islands_[i].under_way.clear();
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (other == i || !islands_[other].connected) continue;
      if (!present) {
        std::erase_if(islands_[other].post, [i](const auto& event) { return event.island == i; });
        std::erase_if(islands_[other].under_way,
                      [i](const auto& one) { return one.second.island == i; });
      }
      islands_[other].post.push_back({i, present, {}});
      islands_[i].post.push_back({other, present, {}});
    }
  }

  /// One training step of an island: each weight goes a tenth of the way to `target`.
  void step(std::uint32_t i, float target) {
    Island& island = islands_[i];
    island.step += 1;
    for (Values& fragment : island.weights) {
      for (float& weight : fragment) weight += 0.1f * (target - weight);
    }
    island.exchange->trained(64, island.step);
    if (const auto f = job::fragment_due(local_, island.step))
      island.exchange->tell(*f, island.weights[*f], false, now_);
    meet(i);
  }

  /// So many steps of all, whose numbers are `apart`.
  void step_all(int steps, float first, float apart = 0) {
    for (int step = 0; step < steps; ++step) {
      for (std::uint32_t i = 0; i < islands_.size(); ++i)
        this->step(i, first + apart * static_cast<float>(i));
    }
  }

  /// As the store does once a round.
  void meet(std::uint32_t i) {
    Island& island = islands_[i];
    while (!island.under_way.empty() && island.under_way.front().first <= now_) {
      island.post.push_back(std::move(island.under_way.front().second));
      island.under_way.pop_front();
    }
    island.exchange->handle(
        {std::make_move_iterator(island.post.begin()), std::make_move_iterator(island.post.end())},
        now_);
    island.post.clear();
    island.exchange->update(now_);
    if (island.exchange->caught_up()) island.knows = true;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f) {
      if (!island.exchange->corrects(f)) continue;
      const auto correction = island.exchange->correction(f);
      for (std::size_t k = 0; k < correction.size(); ++k) island.weights[f][k] += correction[k];
    }
  }

  void finish(std::uint32_t i) {
    Island& island = islands_[i];
    for (std::uint32_t f = 0; f < fragments_.count(); ++f)
      island.exchange->tell(f, island.weights[f], true, now_);
  }
  bool others_know(std::uint32_t i) const {
    for (std::uint32_t other = 0; other < islands_.size(); ++other) {
      if (other != i && islands_[other].knows) return true;
    }
    return false;
  }
  bool caught_up(std::uint32_t i) const { return islands_[i].exchange->caught_up(); }
  bool nobody_knows(std::uint32_t i) const { return islands_[i].exchange->nobody_knows(); }
  bool finished(std::uint32_t i) const { return islands_[i].exchange->finished(now_); }

  void pass(Duration time) { now_ += time; }
  Time now() const { return now_; }
  Lead& lead(std::uint32_t i) { return islands_[i].exchange->lead(); }
  /// On the line of each island to the others, one letter after the other.
  void letters_take(Duration time) { letter_takes_ = time; }
  void hurry(std::uint32_t i) { islands_[i].exchange->hurry(); }
  std::uint32_t pace(std::uint32_t i) const { return islands_[i].exchange->longest_pace(); }
  const std::vector<Values>& weights(std::uint32_t i) const { return islands_[i].weights; }
  std::size_t letters_for(std::uint32_t i) const {
    return islands_[i].post.size() + islands_[i].under_way.size();
  }

  double mean(std::uint32_t i) const {
    double sum = 0, count = 0;
    for (const Values& fragment : islands_[i].weights) {
      for (const float weight : fragment) sum += weight, ++count;
    }
    return sum / count;
  }
  double distance(std::uint32_t a, std::uint32_t b) const {
    double most = 0;
    for (std::uint32_t f = 0; f < fragments_.count(); ++f) {
      for (std::size_t k = 0; k < fragments_.elements(f); ++k) {
        most =
            std::max<double>(most, std::abs(islands_[a].weights[f][k] - islands_[b].weights[f][k]));
      }
    }
    return most;
  }

 private:
  struct Island {
    std::vector<Values> weights;
    std::unique_ptr<Exchange> exchange;
    std::vector<Post::Event> post;
    std::deque<std::pair<Time, Post::Event>> under_way;
    Time free{};  ///< its line
    std::uint64_t step = 0;
    bool connected = false;
    bool lost = false;   ///< as the scheduler has it
    bool knows = false;  ///< what training has made
  };

  void introduce() {
    for (std::uint32_t i = 0; i < islands_.size(); ++i) {
      job::Company company{{}, homes_.places()};
      for (std::uint32_t other = 0; other < islands_.size(); ++other) {
        if (other != i && !islands_[other].lost) company.islands.insert(other);
      }
      if (islands_[i].lost) continue;
      const Status set = islands_[i].exchange->set_company(company, now_);
      EXPECT_TRUE(set.ok()) << set.error().text();
    }
  }

  const job::LocalSteps local_;
  const Fragments fragments_;
  service::Homes homes_;
  std::vector<std::string> names_;
  std::vector<Island> islands_;
  Time now_ = Time{} + std::chrono::hours(1);
  Duration letter_takes_{};
};

inline job::LocalSteps exact(std::uint64_t inner_steps, std::uint32_t fragments) {
  job::LocalSteps local;
  local.inner_steps = inner_steps;
  local.fragments = fragments;
  local.codec = "none";
  local.outer_learning_rate = 1;
  local.outer_momentum = 0;
  local.outage = {};
  return local;
}

/// All tell their last, but those that have already, and come to their end.
inline void settle(Ocean& ocean, const std::vector<std::uint32_t>& islands,
                   const std::vector<std::uint32_t>& through = {}) {
  for (const std::uint32_t i : islands) {
    if (std::ranges::count(through, i) == 0) ocean.finish(i);
  }
  for (int round = 0; round < 40; ++round) {
    for (const std::uint32_t i : islands) ocean.meet(i);
  }
  for (const std::uint32_t i : islands) EXPECT_TRUE(ocean.finished(i)) << i;
}

}  // namespace reef::actors
