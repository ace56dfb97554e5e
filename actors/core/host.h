#pragma once
// The one CAF actor of Atoll: it hosts a task, keeps the credit of its edges, and fires acts on a
// stream by the pure rule of runtime/base/firing.h. All of CAF's message handling for training
// stands in host.cc.
//
//   token(edge)   the producer wrote a slot           -> one more readable
//   credit(edge)  the consumer gave a slot back       -> one more free
//   done()        the stream finished the firing      -> publish outputs, return inputs, try again

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "actors/core/mailboxes.h"
#include "actors/core/task.h"
#include "runtime/base/clock.h"
#include "runtime/device/stream.h"
#include "runtime/node/events.h"
#include "runtime/register/register.h"
#include "scheduler/plan/plan.h"

namespace reef::actors {

/// Called before each firing, for traces: actor, act, number.
using Trace = std::function<void(const plan::Actor&, std::size_t act, std::uint64_t firing)>;

/// What a host needs. Everything outlives the actor.
struct HostSetup {
  const plan::Plan* plan = nullptr;
  const plan::Actor* actor = nullptr;
  device::Stream* stream = nullptr;
  node::Events* events = nullptr;
  node::Wire* wire = nullptr;      ///< for kSend and kReceive
  Trace trace;                     ///< may be empty
  std::vector<Duration> pace;      ///< of each act on a paced device; else empty
  Mailboxes* mailboxes = nullptr;  ///< is told when this host's was fuller than before; may be null
};

using Registers = std::map<plan::EdgeId, std::shared_ptr<Register>>;

/// Spawns the host of one planned actor. It waits for begin().
caf::actor spawn_host(caf::actor_system& system, HostSetup setup, std::unique_ptr<Task> task,
                      Registers registers);

/// Tells a host its neighbours (local ones by actor id) and lets it begin.
void begin(const caf::actor& host, std::map<plan::ActorId, caf::actor> neighbours);
/// Token `sequence` of wire edge `edge` came in for the kReceive actor `host`.
void arrived(const caf::actor& host, plan::EdgeId edge, std::uint64_t sequence, Token token);
/// Credit for wire edge `edge` came back to the kSend actor `host`.
void credited(const caf::actor& host, plan::EdgeId edge);
/// Asks a loader to take no new round; answered through Events::held.
void hold(const caf::actor& host);
/// Lets a held loader go on up to training step `step`.
void release(const caf::actor& host, std::uint64_t step);
/// Ends the actor; what its stream still runs is finished, its outcome dropped.
void stop(const caf::actor& host);

}  // namespace reef::actors
