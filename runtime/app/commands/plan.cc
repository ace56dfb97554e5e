#include <iostream>

#include "runtime/app/commands/commands.h"
#include "runtime/app/job_run.h"
#include "runtime/app/measured.h"
#include "scheduler/plan/islands.h"
#include "scheduler/plan/print_choice.h"
#include "scheduler/plan/print_json.h"

namespace reef::app {

void add_plan(CLI::App& app, Action& action) {
  struct Options {
    std::string job;
    std::string format = "text";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("plan", "Show how a job would be placed and prove that it cannot lock up");
  command->add_option("job", options->job, "Job descriptor (YAML)")->required();
  command
      ->add_option("--format", options->format,
                   "text, json, or dot (actors and edges, for Graphviz)")
      ->check(CLI::IsMember({"text", "json", "dot"}));
  command->callback([options, &action] {
    action = [options]() -> Result<int> {
      ATOLL_ASSIGN(const auto job, job::read_job(options->job));
      ATOLL_ASSIGN(const auto topology,
                   read_measured_topology(job.topology, job.training.precision));
      ATOLL_ASSIGN(const auto choices, plan::choose_plans(job, topology));
      if (options->format == "text") plan::print_modes(choices.front(), topology.lines, std::cout);
      for (const plan::Choice& choice : choices) {
        if (options->format == "json") {
          std::cout << plan::plan_to_json(choice.plan, choice.modes) << '\n';
        } else if (options->format == "dot") {
          plan::print_dot(choice.plan, std::cout);
        } else {
          print_datacenter(choice.plan, std::cout);
          plan::print_choice(choice, std::cout);
        }
      }
      return 0;
    };
  });
}

}  // namespace reef::app
