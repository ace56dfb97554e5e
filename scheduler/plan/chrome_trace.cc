#include "scheduler/plan/chrome_trace.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "scheduler/plan/names.h"

namespace reef::plan {
namespace {

constexpr int kCompute = 0, kIo = 1;  ///< threads of a node
constexpr double kMicroseconds = 1e6;

std::string quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

ChromeTrace::ChromeTrace(const Plan& plan, std::ostream& out) : plan_(plan), out_(out) {
  out_ << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    name("process_name", i, kCompute, plan.nodes[i].name);
    name("thread_name", i, kCompute, "compute");
    name("thread_name", i, kIo, "io");
  }
}

void ChromeTrace::begin_event() { out_ << (std::exchange(first_, false) ? "\n" : ",\n"); }

void ChromeTrace::name(const char* what, std::size_t process, int thread, const std::string& text) {
  begin_event();
  out_ << "{\"ph\":\"M\",\"name\":\"" << what << "\",\"pid\":" << process << ",\"tid\":" << thread
       << ",\"args\":{\"name\":" << quoted(text) << "}}";
}

void ChromeTrace::add(const Span& span) {
  const bool line = span.on == Span::On::kLine;
  const std::size_t process = line ? plan_.nodes.size() : span.place;
  const std::uint32_t thread = line ? span.place : span.on == Span::On::kCompute ? kCompute : kIo;
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "\"pid\":%zu,\"tid\":%u,\"ts\":%.3f,\"dur\":%.3f", process,
                thread, span.start * kMicroseconds, span.seconds * kMicroseconds);
  begin_event();
  out_ << "{\"ph\":\"X\",\"name\":" << quoted(line ? span.actor->name : span.act->name)
       << ",\"cat\":" << quoted(line ? "line" : kind_name(span.actor->kind)) << ',' << numbers
       << ",\"args\":{\"actor\":" << quoted(span.actor->name)
       << ",\"round\":" << span.firing / span.act->firings
       << ",\"firing\":" << span.firing % span.act->firings << "}}";
}

void ChromeTrace::finish(const Forecast& forecast) {
  const std::size_t process = plan_.nodes.size();
  if (!forecast.lines.empty()) name("process_name", process, 0, "lines");
  for (std::size_t i = 0; i < forecast.lines.size(); ++i) {
    name("thread_name", process, static_cast<int>(i),
         forecast.lines[i].from + " -> " + forecast.lines[i].to);
  }
  out_ << "\n]}\n";
}

}  // namespace reef::plan
