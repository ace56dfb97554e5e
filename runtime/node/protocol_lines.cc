// The messages by which a line is measured.

#include <algorithm>

#include "runtime/link/secure/wire.h"
#include "runtime/node/protocol_parts.h"

namespace reef::node {
namespace {

constexpr std::size_t kMostTrials = 16;
constexpr std::uint32_t kLongestTrial = 600;               // seconds
constexpr std::uint64_t kLongestTime = 3'600'000'000'000;  // an hour, in nanoseconds

void put(capnp::List<std::uint16_t>::Builder to, const std::vector<std::uint16_t>& streams) {
  for (unsigned i = 0; i < streams.size(); ++i) to.set(i, streams[i]);
}

Result<std::vector<std::uint16_t>> get(capnp::List<std::uint16_t>::Reader from,
                                       std::uint32_t seconds) {
  const Error wrong{Code::kProto, "message", "a test of a line beyond its limits"};
  if (from.size() == 0 || from.size() > kMostTrials) return wrong;
  if (seconds == 0 || seconds > kLongestTrial) return wrong;
  std::vector<std::uint16_t> streams;
  for (const std::uint16_t count : from) {
    if (count == 0 || count >= link::secure::kMaxStreams) return wrong;
    streams.push_back(count);
  }
  return streams;
}

std::uint64_t nanoseconds(Duration time) { return static_cast<std::uint64_t>(time.count()); }
Duration duration(std::uint64_t nanoseconds) {
  return Duration(static_cast<Duration::rep>(std::min(nanoseconds, kLongestTime)));
}

void put(wire::Trial::Builder to, const link::Trial& trial) {
  to.setStreams(trial.streams);
  to.setRate(trial.rate);
  to.setRoundTrip(nanoseconds(trial.round_trip));
  to.setSlowest(nanoseconds(trial.slowest));
  to.setLoss(trial.loss);
  to.setEchoes(static_cast<std::uint32_t>(trial.echoes));
}

Result<link::Trial> get(wire::Trial::Reader from) {
  const bool rate = from.getRate() >= 0 && from.getRate() <= link::kFastestLine;
  const bool loss = from.getLoss() >= 0 && from.getLoss() <= 1;
  const bool streams = from.getStreams() > 0 && from.getStreams() < link::secure::kMaxStreams;
  if (!rate || !loss || !streams) {
    return Error{Code::kProto, "message", "a measurement that cannot be"};
  }
  return link::Trial{from.getStreams(),           from.getRate(), duration(from.getRoundTrip()),
                     duration(from.getSlowest()), from.getLoss(), from.getEchoes()};
}

}  // namespace

link::Message test_line_message(const TestLine& test) {
  return build<wire::TestLine>(
      Kind::kTestLine, link::Lane::kControl, [&](wire::TestLine::Builder to) {
        to.setFrom(test.from);
        to.setTo(test.to);
        put(to.initStreams(static_cast<unsigned>(test.streams.size())), test.streams);
        to.setCongestion(test.congestion);
        to.setSeconds(test.seconds);
      });
}

Result<TestLine> read_test_line(const link::Message& message) {
  return parse<wire::TestLine, TestLine>(
      message, [](wire::TestLine::Reader from) -> Result<TestLine> {
        ATOLL_ASSIGN(auto streams, get(from.getStreams(), from.getSeconds()));
        return TestLine{text(from.getFrom()), text(from.getTo()), std::move(streams),
                        text(from.getCongestion()), from.getSeconds()};
      });
}

link::Message probe_line_message(const ProbeLine& probe) {
  return build<wire::ProbeLine>(
      Kind::kProbeLine, link::Lane::kControl, [&](wire::ProbeLine::Builder to) {
        to.setTicket(probe.ticket);
        put(to.initPeer(), probe.peer);
        put(to.initStreams(static_cast<unsigned>(probe.streams.size())), probe.streams);
        to.setSeconds(probe.seconds);
      });
}

Result<ProbeLine> read_probe_line(const link::Message& message) {
  return parse<wire::ProbeLine, ProbeLine>(
      message, [](wire::ProbeLine::Reader from) -> Result<ProbeLine> {
        ATOLL_ASSIGN(auto streams, get(from.getStreams(), from.getSeconds()));
        ATOLL_ASSIGN(auto peer, get(from.getPeer()));
        return ProbeLine{from.getTicket(), std::move(peer), std::move(streams), from.getSeconds()};
      });
}

link::Message line_result_message(const LineResult& result) {
  return build<wire::LineResult>(
      Kind::kLineResult, link::Lane::kControl, [&](wire::LineResult::Builder to) {
        to.setTicket(result.ticket);
        to.setFrom(result.from);
        to.setTo(result.to);
        if (!result.report.ok()) return put(to.initError(), {0, result.report.error()});
        const link::LineReport& report = *result.report;
        to.setRoundTrip(nanoseconds(report.round_trip));
        to.setFastest(nanoseconds(report.fastest));
        auto trials = to.initTrials(static_cast<unsigned>(report.trials.size()));
        for (unsigned i = 0; i < report.trials.size(); ++i) put(trials[i], report.trials[i]);
      });
}

Result<LineResult> read_line_result(const link::Message& message) {
  return parse<wire::LineResult, LineResult>(
      message, [](wire::LineResult::Reader from) -> Result<LineResult> {
        if (from.hasError()) {
          ATOLL_ASSIGN(FailureReport failure, get(from.getError()));
          return LineResult{from.getTicket(), std::move(failure.error), text(from.getFrom()),
                            text(from.getTo())};
        }
        link::LineReport report{duration(from.getRoundTrip()), duration(from.getFastest()), {}};
        for (const auto trial : from.getTrials()) {
          ATOLL_ASSIGN(report.trials.emplace_back(), get(trial));
        }
        if (report.trials.empty()) return Error{Code::kProto, "message", "nothing was measured"};
        return LineResult{from.getTicket(), std::move(report), text(from.getFrom()),
                          text(from.getTo())};
      });
}

}  // namespace reef::node
