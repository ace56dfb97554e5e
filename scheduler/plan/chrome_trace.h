#pragma once
// Spans of virtual time as a Chrome trace, which chrome://tracing and ui.perfetto.dev open: a
// process for each node with its compute and io streams as threads, and one more process for all
// lines.

#include <iosfwd>

#include "scheduler/plan/simulate.h"

namespace reef::plan {

/// Writes as it hears, so that no trace need fit into memory.
class ChromeTrace {
 public:
  /// Both outlive the trace.
  ChromeTrace(const Plan& plan, std::ostream& out);

  void add(const Span& span);
  /// Names the lines and ends the document. Nothing may be added after.
  void finish(const Forecast& forecast);

 private:
  void name(const char* what, std::size_t process, int thread, const std::string& text);
  void begin_event();

  const Plan& plan_;
  std::ostream& out_;
  bool first_ = true;
};

}  // namespace reef::plan
