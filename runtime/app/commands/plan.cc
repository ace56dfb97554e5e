#include <iostream>

#include "runtime/app/commands/commands.h"
#include "runtime/app/measured.h"
#include "scheduler/plan/make_plan.h"
#include "scheduler/plan/print.h"

namespace reef::app {

void add_plan(CLI::App& app, Action& action) {
  struct Options {
    std::string job;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("plan", "Show how a job would be placed and prove that it cannot lock up");
  command->add_option("job", options->job, "Job descriptor (YAML)")->required();
  command->add_flag("--json", options->json, "Print the plan as JSON");
  command->callback([options, &action] {
    action = [options]() -> Result<int> {
      ATOLL_ASSIGN(const auto job, job::read_job(options->job));
      ATOLL_ASSIGN(const auto topology,
                   read_measured_topology(job.topology, job.training.precision));
      ATOLL_ASSIGN(const auto plan, plan::make_plan(job, topology));
      if (options->json) {
        std::cout << plan::plan_to_json(plan) << '\n';
      } else {
        plan::print_plan(plan, std::cout);
      }
      return 0;
    };
  });
}

}  // namespace reef::app
