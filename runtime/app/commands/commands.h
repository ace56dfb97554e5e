#pragma once
// The subcommands of `atoll`. Each adds its options to the command line and, when chosen, runs.

#include <CLI/CLI.hpp>
#include <functional>

#include "runtime/base/error.h"

namespace reef::app {

/// What the chosen subcommand will do; returns the process's exit status.
using Action = std::function<Result<int>()>;

void add_run(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_simulate(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_scheduler(CLI::App& app, Action& action);
void add_node(CLI::App& app, Action& action);
void add_link(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_topology_lines(CLI::App& topology, Action& action);
void add_topology(CLI::App& app, Action& action);
void add_tune(CLI::App& app, Action& action);
void add_keys(CLI::App& app, Action& action);
void add_token(CLI::App& app, Action& action);
void add_enrol(CLI::App& app, Action& action);
void add_audit(CLI::App& app, Action& action);

}  // namespace reef::app
