#include "actors/core/host.h"

#include <algorithm>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/core/placing.h"
#include "scheduler/plan/act_cost.h"

namespace reef::actors {

/// What comes over the wire, as a message; a handle, so that no tensor lies in a mailbox.
struct Arrival {
  plan::EdgeId edge = 0;
  std::uint64_t sequence = 0;
  std::shared_ptr<Token> token;
};

struct Neighbours {
  std::shared_ptr<std::map<plan::ActorId, caf::actor>> actors;
};

}  // namespace reef::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reef::actors::Arrival)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reef::actors::Neighbours)

namespace reef::actors {
namespace {

using token_atom = caf::atom_constant<caf::atom("token")>;
using credit_atom = caf::atom_constant<caf::atom("credit")>;
using started_atom = caf::atom_constant<caf::atom("started")>;
using done_atom = caf::atom_constant<caf::atom("done")>;
using hold_atom = caf::atom_constant<caf::atom("hold")>;
using release_atom = caf::atom_constant<caf::atom("release")>;

/// A task indexes what other processes sent; an index that is not there fails the job, never the
/// process.
template <typename F>
Status guarded(F&& work) {
  try {
    return work();
  } catch (const std::exception& failure) {
    return Error{Code::kProto, "",
                 std::string("a token without its edge's values: ") + failure.what()};
  }
}

/// Everything a firing on the stream touches. Shared with the stream, so that an actor that is
/// stopped while its act runs leaves nothing dangling.
struct Running {
  std::unique_ptr<Task> task;
  Registers registers;
  std::vector<Token*> inputs;
  std::vector<Token*> outputs;
  std::vector<Token*> leaving;  ///< of the outputs, those that leave the device
  Status status;
  Duration keep{};  ///< of the last firing

  /// Runs `work` on the stream with all tensors where they belong (placing.h).
  template <typename F>
  void run(ops::Context& context, F&& work) {
    bring_to_device(context, inputs);
    status = guarded(work);
    if (!status.ok()) return;
    for (Token* token : leaving) bring_to_host(context, *token);
  }
};

class Host final : public caf::event_based_actor {
 public:
  Host(caf::actor_config& config, HostSetup setup, std::unique_ptr<Task> task, Registers registers)
      : caf::event_based_actor(config),
        setup_(std::move(setup)),
        running_(std::make_shared<Running>()),
        fired_(setup_.actor->acts.size(), 0),
        mailbox_bound_(mailbox_bound(*setup_.plan, *setup_.actor)) {
    running_->task = std::move(task);
    running_->registers = std::move(registers);
    for (const auto& act : setup_.actor->acts) {
      for (const Port& input : act.inputs) ends_[input.edge];
      for (const Port& output : act.outputs)
        ends_[output.edge].state.free = edge(output.edge).slots;
    }
    set_default_handler(caf::drop);
    set_exception_handler([this](std::exception_ptr&) -> caf::error {
      fail(Error{Code::kInternal, "", "an exception escaped a handler"});
      return caf::exit_reason::unhandled_exception;
    });
  }

  caf::behavior make_behavior() override {
    return {
        [this](const Neighbours& neighbours) { begin(neighbours); },
        [this](started_atom) { started(); },
        [this](token_atom, plan::EdgeId edge) {
          note_mailbox();
          ends_[edge].state.readable += 1;
          fire();
        },
        [this](credit_atom, plan::EdgeId edge) {
          note_mailbox();
          credited(edge);
        },
        [this](const Arrival& arrival) {
          note_mailbox();
          arrived(arrival);
        },
        [this](done_atom) {
          note_mailbox();
          done();
        },
        [this](hold_atom) {
          when_idle([this] { setup_.events->held(setup_.actor->name, task().hold()); });
        },
        [this](release_atom, std::uint64_t step) {
          when_idle([this, step] { task().release(step); });
        },
    };
  }

 private:
  /// Neighbours hold each other: without this a crew would keep itself alive.
  void on_exit() override { neighbours_.clear(); }

  /// One end of an edge. An actor may hold both ends of one (a stash); `written` and `read` number
  /// its tokens.
  struct End {
    EdgeState state;
    std::uint64_t written = 0;
    std::uint64_t read = 0;
  };

  const plan::Edge& edge(plan::EdgeId id) const { return setup_.plan->edges[id]; }
  Register& ring(plan::EdgeId id) { return *running_->registers.at(id); }
  Task& task() { return *running_->task; }

  void begin(const Neighbours& neighbours) {
    neighbours_ = *neighbours.actors;
    for (const auto& act : setup_.actor->acts) {
      for (const Port& output : act.outputs) {
        for (std::uint32_t i = 0; i < edge(output.edge).initial; ++i) {
          initial_.push_back(output.edge);
          write(output.edge, &ring(output.edge).slot(i));
        }
      }
    }
    busy_ = true;
    setup_.stream->submit(
        0,
        [running = running_](ops::Context& context) {
          running->run(context, [&] { return running->task->start(context, running->outputs); });
        },
        [self = caf::actor_cast<caf::actor>(this)] { caf::anon_send(self, started_atom::value); });
  }

  void started() {
    busy_ = false;
    if (!running_->status.ok()) return fail(running_->status.error());
    for (const plan::EdgeId id : initial_) {
      ends_[id].state.free -= 1;
      publish(id);
    }
    began_ = true;
    fire();
  }

  /// Starts the act of the highest priority that may fire. One at a time: an actor's state has one
  /// user.
  void fire() {
    if (busy_ || !began_ || failed_) return;
    const auto& acts = setup_.actor->acts;
    std::size_t best = acts.size();
    for (std::size_t i = 0; i < acts.size(); ++i) {
      const bool fits = may_fire(acts[i].inputs, acts[i].outputs, fired_[i],
                                 [this](plan::EdgeId id) { return ends_[id].state; });
      if (fits && (best == acts.size() || acts[i].priority > acts[best].priority)) best = i;
    }
    if (best == acts.size() || !task().willing()) return;
    submit(best);
  }

  void submit(std::size_t index) {
    const plan::Act& act = setup_.actor->acts[index];
    const std::uint64_t number = fired_[index];
    if (setup_.trace) setup_.trace(*setup_.actor, index, number);
    running_->inputs.clear();
    running_->outputs.clear();
    running_->leaving.clear();
    for (const Port& input : act.inputs) {
      End& end = ends_[input.edge];
      if (takes_token(input, number)) end.state.readable -= 1;
      running_->inputs.push_back(&ring(input.edge).slot(end.read));
    }
    for (const Port& output : act.outputs) {
      End& end = ends_[output.edge];
      const bool makes = makes_token(output, number);
      if (makes) end.state.free -= 1;
      write(output.edge, makes ? &ring(output.edge).slot(end.written) : nullptr);
    }
    busy_ = true;
    act_ = index;
    setup_.stream->submit(
        act.priority,
        [running = running_, index, number](ops::Context& context) {
          const std::vector<const Token*> inputs(running->inputs.begin(), running->inputs.end());
          Firing firing{index, number, inputs, running->outputs, context};
          running->run(context, [&] { return running->task->run(firing); });
          running->keep = firing.keep;
        },
        [self = caf::actor_cast<caf::actor>(this)] { caf::anon_send(self, done_atom::value); },
        pace_of(index));
  }

  /// One more output of the firing that is being prepared; null where it makes no token.
  void write(plan::EdgeId id, Token* token) {
    running_->outputs.push_back(token);
    const plan::ActorKind taker = setup_.plan->actors[edge(id).consumer].kind;
    if (token != nullptr && !plan::computes(taker)) running_->leaving.push_back(token);
  }

  /// What comes empty is passed on without work, on any device; the first input says so.
  Duration pace_of(std::size_t act) const {
    const bool passes = !running_->inputs.empty() && running_->inputs.front()->empty;
    return setup_.pace.empty() || passes ? Duration::zero() : setup_.pace[act];
  }

  void done() {
    if (const Duration keep = std::exchange(running_->keep, {}); keep > Duration{})
      return delayed_send(this, keep, done_atom::value);
    busy_ = false;
    if (!running_->status.ok()) return fail(running_->status.error());
    const plan::Act& act = setup_.actor->acts[act_];
    const std::uint64_t number = fired_[act_]++;
    for (const Port& output : act.outputs) {
      if (makes_token(output, number)) publish(output.edge);
      if (failed_) return;
    }
    for (const Port& input : act.inputs) {
      if (returns_slot(input, number)) give_back(input.edge);
    }
    if (deferred_) std::exchange(deferred_, nullptr)();
    fire();
  }

  /// The slot just written goes to the edge's consumer.
  void publish(plan::EdgeId id) {
    End& end = ends_[id];
    Register& slots = ring(id);
    if (Status fits = slots.check_fits(slots.slot(end.written)); !fits.ok())
      return fail(fits.error());
    const std::uint64_t sequence = end.written++;
    if (edge(id).wire) {
      setup_.wire->send_token(id, sequence, slots.slot(sequence));
      slots.clear(sequence);
    } else if (edge(id).consumer == setup_.actor->id) {
      end.state.readable += 1;
    } else {
      caf::anon_send(neighbours_.at(edge(id).consumer), token_atom::value, id);
    }
  }

  /// The slot just read goes back to the edge's producer.
  void give_back(plan::EdgeId id) {
    End& end = ends_[id];
    ring(id).clear(end.read++);
    if (edge(id).wire) {
      setup_.wire->send_credit(id);
    } else if (edge(id).producer == setup_.actor->id) {
      end.state.free += 1;
    } else {
      caf::anon_send(neighbours_.at(edge(id).producer), credit_atom::value, id);
    }
  }

  void credited(plan::EdgeId id) {
    EdgeState& state = ends_[id].state;
    // A peer can send credit; it must not be able to conjure slots.
    if (state.free >= edge(id).slots)
      return fail(Error{Code::kProto, edge(id).name, "more credit than slots"});
    state.free += 1;
    fire();
  }

  void arrived(const Arrival& arrival) {
    End& end = ends_[arrival.edge];
    const bool in_order = arrival.sequence == end.written;
    if (!in_order || end.written - end.read >= edge(arrival.edge).slots) {
      return fail(Error{
          Code::kProto, edge(arrival.edge).name,
          "token " + std::to_string(arrival.sequence) + " out of order or beyond the credit"});
    }
    ring(arrival.edge).slot(end.written++) = std::move(*arrival.token);
    end.state.readable += 1;
    fire();
  }

  /// With the message that is being handled. Only a peer that has no credit can overfill it.
  void note_mailbox() {
    const std::size_t waiting = mailbox().size() + 1;
    if (waiting <= most_waiting_) return;
    most_waiting_ = waiting;
    if (setup_.mailboxes != nullptr)
      setup_.mailboxes->note(setup_.actor->name, waiting, mailbox_bound_);
    if (waiting > mailbox_bound_)
      fail(Error{Code::kProto, "", "more messages than its edges have slots"});
  }

  template <typename F>
  void when_idle(F action) {
    if (busy_) {
      deferred_ = [this, action] {
        action();
        fire();
      };
      return;
    }
    action();
    fire();
  }

  void fail(const Error& error) {
    if (std::exchange(failed_, true)) return;
    setup_.events->failed(setup_.actor->name, error);
  }

  HostSetup setup_;
  std::shared_ptr<Running> running_;
  std::vector<std::uint64_t> fired_;  ///< per act
  const std::size_t mailbox_bound_;
  std::size_t most_waiting_ = 0;
  std::map<plan::EdgeId, End> ends_;
  std::map<plan::ActorId, caf::actor> neighbours_;
  std::vector<plan::EdgeId> initial_;
  std::function<void()> deferred_;
  std::size_t act_ = 0;
  bool busy_ = false;
  bool began_ = false;
  bool failed_ = false;
};

}  // namespace

caf::actor spawn_host(caf::actor_system& system, HostSetup setup, std::unique_ptr<Task> task,
                      Registers registers) {
  return system.spawn<Host>(std::move(setup), std::move(task), std::move(registers));
}

void begin(const caf::actor& host, std::map<plan::ActorId, caf::actor> neighbours) {
  caf::anon_send(
      host,
      Neighbours{std::make_shared<std::map<plan::ActorId, caf::actor>>(std::move(neighbours))});
}

void arrived(const caf::actor& host, plan::EdgeId edge, std::uint64_t sequence, Token token) {
  caf::anon_send(host, Arrival{edge, sequence, std::make_shared<Token>(std::move(token))});
}

void credited(const caf::actor& host, plan::EdgeId edge) {
  caf::anon_send(host, credit_atom::value, edge);
}
void hold(const caf::actor& host) { caf::anon_send(host, hold_atom::value); }
void release(const caf::actor& host, std::uint64_t step) {
  caf::anon_send(host, release_atom::value, step);
}
void stop(const caf::actor& host) { caf::anon_send_exit(host, caf::exit_reason::user_shutdown); }

}  // namespace reef::actors
