#include "runtime/app/progress_line.h"

#include <fmt/format.h>

#include <cstdio>

#include "runtime/base/units.h"

namespace reef::app {
namespace {

constexpr Duration kRedrawEvery = std::chrono::milliseconds(100);
constexpr Duration kPrintEvery = std::chrono::seconds(5);

}  // namespace

ProgressLine::ProgressLine(const std::string& label, std::uint64_t steps, bool terminal, bool quiet)
    : front_(label.empty() ? "" : label + ": "),
      steps_(steps),
      terminal_(terminal),
      quiet_(quiet) {}

void ProgressLine::update(const node::ProgressReport& report, Time now) {
  if (started_ == Time{}) {
    started_ = now;  // the first step warms caches up and is not counted into the speed
    first_step_ = report.progress.round.step;
  } else {
    tokens_ += report.progress.tokens;
  }
  if (report.progress.round.training()) loss_ = report.progress.loss;
  if (report.progress.evaluated) validation_loss_ = report.progress.evaluation_loss;
  const bool must =
      report.progress.evaluated || report.progress.round.step == 1 || report.progress.round.last;
  if (quiet_ || (!must && now - printed_ < (terminal_ ? kRedrawEvery : kPrintEvery))) return;
  printed_ = now;
  const std::string text = line(report);
  if (terminal_) {
    std::fprintf(stderr, "\r%s\033[K", text.c_str());
    drawn_ = true;
    if (report.progress.evaluated) finish();
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

std::string ProgressLine::line(const node::ProgressReport& report) const {
  const std::uint64_t step = report.progress.round.step;
  const double elapsed = seconds(printed_ - started_);
  std::string text = fmt::format("{}step {}/{}  loss {:.3f}", front_, step, steps_, loss_);
  if (validation_loss_) text += fmt::format("  val {:.3f}", *validation_loss_);
  if (elapsed > 0 && step > first_step_) {
    text += fmt::format("  {:.0f} tok/s", static_cast<double>(tokens_) / elapsed);
    const double per_step = elapsed / static_cast<double>(step - first_step_);
    const auto left = std::chrono::duration<double>(per_step * static_cast<double>(steps_ - step));
    text += "  ETA " + format_duration(std::chrono::duration_cast<Duration>(left));
  }
  if (report.traffic.payload_bytes > 0) {
    text += fmt::format("  wire {} raw -> {} sent", format_size(report.traffic.payload_bytes),
                        format_size(report.traffic.wire_bytes));
  }
  return text;
}

void ProgressLine::note(const std::string& text) {
  if (quiet_) return;
  finish();
  std::fprintf(stderr, "%s%s\n", front_.c_str(), text.c_str());
}

void ProgressLine::finish() {
  if (drawn_) std::fputc('\n', stderr);
  drawn_ = false;
}

}  // namespace reef::app
