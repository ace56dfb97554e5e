// atoll: one binary, one subcommand for each thing that people and services do.

#include <iostream>

#include "runtime/app/commands/commands.h"

int main(int argc, char** argv) {
  CLI::App app("Atoll trains one model across several datacenters.", "atoll");
  app.set_version_flag("--version", ATOLL_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done, 1 failed, 2 usage or bad input, 4 authentication,\n"
      "130 stopped by the user.\n"
      "Start here: atoll run configs/jobs/quickstart.yaml");
  reef::app::Action action;
  reef::app::add_run(app, action);
  reef::app::add_plan(app, action);
  reef::app::add_simulate(app, action);
  reef::app::add_data(app, action);
  reef::app::add_generate(app, action);
  reef::app::add_evaluate(app, action);
  reef::app::add_export(app, action);
  reef::app::add_scheduler(app, action);
  reef::app::add_node(app, action);
  reef::app::add_link(app, action);
  reef::app::add_keys(app, action);
  reef::app::add_token(app, action);
  reef::app::add_enrol(app, action);
  reef::app::add_audit(app, action);
  reef::app::add_bench(app, action);
  reef::app::add_topology(app, action);
  reef::app::add_tune(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::cerr << "E_USAGE: " << error.what() << "; try 'atoll --help'\n";
    return 2;
  }
  const reef::Result<int> result = action();
  if (result.ok()) return *result;
  std::cerr << result.error().text() << '\n';
  return reef::exit_status(result.error().code);
}
