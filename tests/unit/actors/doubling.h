#pragma once
// Several tasks that meet by recursive doubling, without a cluster between them.

#include <functional>
#include <memory>
#include <vector>

#include "rig.h"

namespace reef::actors {

/// Runs the acts of each task in turn: what it offers, then an exchange with the one at distance 1,
/// 2, ... The last act's output of each, or the first failure. `spoil`, if given, sees what task 1
/// sent in act `when`.
inline Result<std::vector<Token>> meet(Rig& rig, const std::vector<std::unique_ptr<Task>>& tasks,
                                       std::vector<Token> kept, std::size_t exchanges,
                                       const std::function<void(Token&)>& spoil = {},
                                       std::size_t when = 0) {
  std::vector<Token> received(tasks.size());
  for (std::size_t act = 0; act <= exchanges; ++act) {
    const bool last = act == exchanges;
    std::vector<Token> next(tasks.size()), sent(tasks.size());
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      std::vector<const Token*> inputs{&kept[t]};
      if (act > 0) inputs.push_back(&received[t]);
      std::vector<Token*> outputs{&next[t]};
      if (!last) outputs.push_back(&sent[t]);
      ATOLL_TRY(rig.run(*tasks[t], act, inputs, outputs));
    }
    if (spoil && act == when) spoil(sent[1]);
    for (std::size_t t = 0; t < tasks.size() && !last; ++t)
      received[t] = sent[t ^ (std::size_t{1} << act)];
    kept = std::move(next);
  }
  return kept;
}

}  // namespace reef::actors
