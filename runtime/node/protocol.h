#pragma once
// The messages between processes, as C++ values. The one place that turns them into Cap'n Proto and
// back; what is read is length-checked and limited before it is looked at, because a peer is
// authenticated but not believed.

#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "runtime/base/reach.h"
#include "runtime/link/channel/channel.h"
#include "runtime/link/probe.h"
#include "runtime/node/events.h"
#include "runtime/node/letter.h"
#include "runtime/register/token.h"
#include "scheduler/job/local_steps.h"
#include "security/policy/policy.h"

namespace reef::node {

/// The numbers are on the wire: never reuse one.
enum class Kind : std::uint16_t {
  kToken = 1,
  kCredit = 2,   // node <-> node
  kPresent = 3,  // node <-> node, scheduler -> all: my credential is now this one
  kLetter = 4,   // node <-> node, of two islands
  kHello = 10,
  kReady = 11,
  kProgress = 12,
  kCheckpoint = 13,
  kFailure = 14,  // node -> scheduler
  kHeld = 15,
  kHeartbeat = 16,
  kStopped = 17,
  kRenew = 18,       // and client -> scheduler: mine will expire
  kLineResult = 19,  // and scheduler -> client
  kAssign = 30,
  kStart = 31,
  kHold = 32,
  kRelease = 33,
  kStop = 34,
  kIssued = 35,  // and scheduler -> client
  kRoster = 36,  // and scheduler -> client
  kProbeLine = 37,
  kPartners = 38,  // scheduler -> node
  kSubmit = 40,
  kCancel = 41,
  kTestLine = 42,  // client -> scheduler
  kStatus = 50,    // scheduler -> client, beside kProgress, kCheckpoint and kFailure
};

/// Who may say what to whom; all else is denied.
security::Policy scheduler_policy();
security::Policy node_policy();
security::Policy client_policy();

/// Jobs with which a node goes on out of the scheduler's reach.
inline constexpr std::size_t kMostHeld = 16;

struct WireToken {
  std::string job;
  std::uint64_t epoch = 0;
  std::uint32_t edge = 0;
  std::uint64_t sequence = 0;
  std::uint32_t slot = 0;
  Token token;  ///< `encoded`, if any, holds the payload
};
struct Credit {
  std::uint64_t epoch = 0;
  std::uint32_t edge = 0;
};
struct Hello {
  std::string host;
  std::uint16_t port = 0;
  Reach dialable = Reach::kAnywhere;
  std::vector<std::uint64_t> holds{};  ///< epochs of jobs that it has gone on with, out of reach
};
struct Peer {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  Bytes noise_key;
  std::uint16_t streams = 1;  ///< for data, beside the one for control
  std::string congestion;     ///< control of their sockets; empty: the system's
  bool operator==(const Peer&) const = default;
};
struct Assign {
  std::uint64_t epoch = 0;
  std::uint32_t node = 0;
  std::vector<Peer> peers;
  std::string run_folder;
  Bytes plan;
};
struct WireLetter {
  std::uint64_t meeting = 0;
  Letter letter;
};
/// A node with the outer store of another island.
struct Partner {
  std::uint32_t island = 0;
  bool dials = false;  ///< we dial it, or else it dials us
  Peer peer;
  bool operator==(const Partner&) const = default;
};
/// With whom the outer store of the job `epoch` on a node exchanges letters, all of them: who is no
/// longer listed is left, and who is listed elsewhere is met anew.
struct Partners {
  std::uint64_t epoch = 0;
  std::uint64_t meeting = 0;  ///< what their channels are opened under; never an epoch
  std::vector<Partner> partners;
  job::Company company{};  ///< of islands; none of teachers and students
};
struct Signal {
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;
  std::string actor;
};
/// Bytes that crossed between processes: before and after encoding, sealing and framing.
struct Traffic {
  std::uint64_t payload_bytes = 0;
  std::uint64_t wire_bytes = 0;
  Traffic& operator+=(const Traffic& other) {
    payload_bytes += other.payload_bytes;
    wire_bytes += other.wire_bytes;
    return *this;
  }
};
/// Of a node's part of a job.
struct Heartbeat {
  std::uint64_t epoch = 0;
  Traffic traffic;
};
struct ProgressReport {
  std::uint64_t epoch = 0;
  Progress progress;
  Traffic traffic;  ///< of the whole job; filled in by the scheduler
};
struct CheckpointReport {
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;
  std::string folder;
};
struct FailureReport {
  std::uint64_t epoch = 0;
  Error error;
};
struct Submit {
  std::string run_folder;
  std::string job;  ///< canonical JSON
};
/// A client's wish to know what the line between two nodes can do.
struct TestLine {
  std::string from, to;
  std::vector<std::uint16_t> streams;  ///< counts to try; 1 to 16 of them
  std::string congestion;
  std::uint32_t seconds = 5;  ///< of load for each count
};
/// The same for the node that is to measure.
struct ProbeLine {
  std::uint64_t ticket = 0;
  Peer peer;  ///< with the congestion control to use
  std::vector<std::uint16_t> streams;
  std::uint32_t seconds = 5;
};
struct LineResult {
  std::uint64_t ticket = 0;
  Result<link::LineReport> report;
  std::string from = {}, to = {};  ///< datacenters, filled in by the scheduler
};
struct JobStatus {
  std::string state;  ///< "waiting", "running", "stopping", "succeeded", "stopped", "failed"
  Traffic traffic;
  std::uint64_t steps = 0;
  std::string checkpoint;
  std::string reason;  ///< why it waits
};

struct Issued {
  Bytes credential;    ///< signed
  std::string policy;  ///< signed; empty for the default
};

/// Builders: the message of each kind, in its lane.
link::Message token_message(const WireToken& token, link::Lane lane);
link::Message credit_message(const Credit& credit);
link::Message hello_message(const Hello& hello);
link::Message assign_message(const Assign& assign);
/// In the bulk lane. Precondition: a codec's name as long as it may be.
link::Message letter_message(WireLetter letter);
link::Message partners_message(const Partners& partners);
link::Message signal_message(Kind kind, const Signal& signal);
link::Message progress_message(const ProgressReport& report);
link::Message checkpoint_message(const CheckpointReport& report);
link::Message failure_message(const FailureReport& report);
link::Message heartbeat_message(Kind kind, const Heartbeat& heartbeat);
link::Message test_line_message(const TestLine& test);
link::Message probe_line_message(const ProbeLine& probe);
link::Message line_result_message(const LineResult& result);
link::Message submit_message(const Submit& submit);
link::Message status_message(const JobStatus& status);
link::Message issued_message(const Issued& issued);
/// The payload of both is signed by the authority, and needs no other form.
link::Message present_message(const Bytes& credential);
link::Message roster_message(const std::string& roster);

/// Readers. kProto for anything malformed.
Result<WireToken> read_token(link::Message message);
Result<Credit> read_credit(const link::Message& message);
/// kProto for a node that is dialled without a port, or holds more than kMostHeld jobs.
Result<Hello> read_hello(const link::Message& message);
Result<Assign> read_assign(const link::Message& message);
/// kProto for a codec's name over kLongestLetterCodec.
Result<WireLetter> read_letter(const link::Message& message);
/// kProto for more than 64 partners, islands or homes, an island twice, a home at one that there is
/// not, or a key of the wrong size.
Result<Partners> read_partners(const link::Message& message);
Result<Signal> read_signal(const link::Message& message);
Result<ProgressReport> read_progress(const link::Message& message);
Result<CheckpointReport> read_checkpoint(const link::Message& message);
Result<FailureReport> read_failure(const link::Message& message);
Result<Heartbeat> read_heartbeat(const link::Message& message);
/// kProto for no count of streams or more than 16, one of 0 or over 64, no or over 600 seconds.
Result<TestLine> read_test_line(const link::Message& message);
Result<ProbeLine> read_probe_line(const link::Message& message);
Result<LineResult> read_line_result(const link::Message& message);
Result<Submit> read_submit(const link::Message& message);
Result<JobStatus> read_status(const link::Message& message);
Result<Issued> read_issued(const link::Message& message);

}  // namespace reef::node
