#include "scheduler/plan/print_choice.h"

#include <cstdio>
#include <ostream>
#include <string>

#include "runtime/base/units.h"
#include "scheduler/plan/names.h"
#include "scheduler/plan/print.h"
#include "scheduler/plan/teaching.h"

namespace reef::plan {
namespace {

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f s", seconds);
  return text;
}

void print_forecast(const Choice& choice, std::ostream& out) {
  out << "\nforecast of a step\n";
  for (std::size_t i = 0; i < choice.forecast.nodes.size(); ++i) {
    const NodeUse& use = choice.forecast.nodes[i];
    out << "  node " << choice.plan.nodes[i].name << ": computes " << percent(use.compute)
        << ", bubble " << percent(use.bubble) << ", memory " << format_size(use.memory) << '\n';
  }
  for (const LineUse& use : choice.forecast.lines) {
    out << "  line " << use.from << " to " << use.to << ": "
        << format_size(static_cast<std::uint64_t>(use.bytes)) << ", busy " << percent(use.busy)
        << '\n';
  }
}

void print_outer(const Choice& choice, std::ostream& out) {
  const job::LocalSteps local = *job::job_from_json(choice.plan.descriptor)->local_steps;
  out << "\nforecast of local steps\n  each of " << local.fragments << " fragments is told every "
      << local.inner_steps << " steps\n";
  for (const OuterForecast::Way& way : choice.outer->ways) {
    out << "  line to " << way.to << ": " << format_size(static_cast<std::uint64_t>(way.bytes))
        << " each way in these, busy " << percent(way.busy) << "; an update takes "
        << fixed(way.delay, 1) << " steps there and back\n";
  }
  out << "  tokens a second: " << fixed(choice.outer->utilisation, 3)
      << " of those on lines without limits\n";
  if (choice.outer->inner_steps > static_cast<double>(local.inner_steps)) {
    out << "  too much for a line: every " << fixed(choice.outer->inner_steps, 0)
        << " steps will come of it; raise inner_steps, or use a smaller codec\n";
  }
}

void print_runners_up(const Choice& choice, std::ostream& out) {
  if (choice.runners_up.empty()) return;
  out << "\nrunners-up\n";
  for (const RunnerUp& other : choice.runners_up) {
    out << "  " << other.layout << ": ";
    if (other.step_seconds > 0) out << seconds_text(other.step_seconds) << ", ";
    out << other.traffic << "; " << other.why << '\n';
  }
}

/// Names come from descriptors: 1 to 63 of a-z, 0-9 and -; those of actors and edges are made of
/// them. Nothing in them needs an escape.
void print_actors(const Plan& plan, NodeIndex node, std::ostream& out) {
  out << "  subgraph cluster_" << node << " {\n    label=\"" << plan.nodes[node].name << "\";\n";
  for (const Actor& actor : plan.actors) {
    if (actor.node != node) continue;
    out << "    a" << actor.id << " [label=\"" << actor.name << "\\n"
        << kind_name(actor.kind) << "\"];\n";
  }
  out << "  }\n";
}

}  // namespace

void print_choice(const Choice& choice, std::ostream& out) {
  print_plan(choice.plan, out);
  if (teaches(choice.plan)) return;  // it takes no step that could be forecast
  print_forecast(choice, out);
  if (choice.outer) print_outer(choice, out);
  print_runners_up(choice, out);
}

void print_modes(const Choice& choice, const std::vector<topology::Line>& lines,
                 std::ostream& out) {
  if (choice.modes.empty()) return;
  out << "datacenters   mode auto, by the time to the loss of lock-step without codecs\n";
  for (const topology::Line& line : lines) {
    if (line.from == line.to) continue;
    out << "  line " << line.from << " to " << line.to << ": " << format_rate(line.rate) << ", "
        << format_duration(line.round_trip) << " there and back, " << topology::data_streams(line)
        << " streams\n";
  }
  for (const Mode& mode : choice.modes) {
    out << (&mode == &choice.modes.front() ? "  taken  " : "         ") << mode.what;
    if (mode.tokens_per_second > 0) {
      out << ": " << fixed(mode.tokens_per_second, 0) << " tokens/s, "
          << fixed(100 * mode.extra_tokens, 1) << " % more text, " << fixed(mode.seconds, 0)
          << " s";
    }
    out << (mode.why.empty() ? "" : "; " + mode.why) << '\n';
  }
  out << '\n';
}

void print_dot(const Plan& plan, std::ostream& out) {
  out << "digraph plan {\n  rankdir=LR;\n  node [shape=box];\n";
  for (NodeIndex node = 0; node < plan.nodes.size(); ++node) print_actors(plan, node, out);
  for (const Edge& edge : plan.edges) {
    out << "  a" << edge.producer << " -> a" << edge.consumer << " [label=\"" << edge.name << "\\n"
        << edge.slots << " x " << format_size(edge.bytes) << "\""
        << (edge.wire ? ", penwidth=3" : "") << "];\n";
  }
  out << "}\n";
}

}  // namespace reef::plan
