#include "runtime/node/protocol.h"

#include "runtime/node/protocol_parts.h"

namespace reef::node {

security::Policy scheduler_policy() {
  const auto n = [](Kind kind) { return static_cast<std::uint16_t>(kind); };
  security::Policy policy;
  policy.allow(security::Role::kNode,
               {n(Kind::kHello), n(Kind::kReady), n(Kind::kProgress), n(Kind::kCheckpoint),
                n(Kind::kFailure), n(Kind::kHeld), n(Kind::kHeartbeat), n(Kind::kStopped),
                n(Kind::kRenew), n(Kind::kLineResult)});
  policy.allow(security::Role::kClient,
               {n(Kind::kSubmit), n(Kind::kCancel), n(Kind::kTestLine), n(Kind::kRenew)});
  return policy;
}

security::Policy node_policy() {
  const auto n = [](Kind kind) { return static_cast<std::uint16_t>(kind); };
  security::Policy policy;
  policy.allow(security::Role::kNode,
               {n(Kind::kToken), n(Kind::kCredit), n(Kind::kPresent), n(Kind::kLetter)});
  policy.allow(security::Role::kScheduler,
               {n(Kind::kAssign), n(Kind::kStart), n(Kind::kHold), n(Kind::kRelease),
                n(Kind::kStop), n(Kind::kProbeLine), n(Kind::kIssued), n(Kind::kRoster),
                n(Kind::kPresent), n(Kind::kPartners)});
  return policy;
}

security::Policy client_policy() {
  const auto n = [](Kind kind) { return static_cast<std::uint16_t>(kind); };
  security::Policy policy;
  policy.allow(security::Role::kScheduler,
               {n(Kind::kStatus), n(Kind::kProgress), n(Kind::kCheckpoint), n(Kind::kFailure),
                n(Kind::kLineResult), n(Kind::kIssued), n(Kind::kRoster), n(Kind::kPresent)});
  return policy;
}

link::Message token_message(const WireToken& value, link::Lane lane) {
  const Token& token = value.token;
  auto message = build<wire::Token>(Kind::kToken, lane, [&](wire::Token::Builder to) {
    to.setJob(value.job);
    to.setEpoch(value.epoch);
    to.setEdge(value.edge);
    to.setSequence(value.sequence);
    to.setSlot(value.slot);
    put(to.initRound(), token.round);
    to.setMicro(token.micro);
    to.setEmpty(token.empty);
    auto scalars = to.initScalars(static_cast<unsigned>(token.scalars.size()));
    for (unsigned i = 0; i < token.scalars.size(); ++i) scalars.set(i, token.scalars[i]);
    if (token.encoded == nullptr) return;
    to.setCodec(token.encoded->codec);
    to.setDtype(static_cast<std::uint8_t>(token.encoded->dtype));
    to.setLength(token.encoded->raw_bytes);
    auto shapes = to.initShapes(static_cast<unsigned>(token.encoded->shapes.size()));
    for (unsigned i = 0; i < token.encoded->shapes.size(); ++i) {
      const auto& shape = token.encoded->shapes[i];
      auto extents = shapes.init(i, static_cast<unsigned>(shape.size()));
      for (unsigned k = 0; k < shape.size(); ++k) extents.set(k, shape[k]);
    }
  });
  if (token.encoded != nullptr)
    message.payload = link::Payload(token.encoded, token.encoded->payload);
  message.epoch = value.epoch;
  return message;
}

Result<WireToken> read_token(link::Message message) {
  return parse<wire::Token, WireToken>(message, [&](wire::Token::Reader from) -> Result<WireToken> {
    WireToken value;
    value.job = text(from.getJob());
    value.epoch = from.getEpoch();
    value.edge = from.getEdge();
    value.sequence = from.getSequence();
    value.slot = from.getSlot();
    value.token.round = get(from.getRound());
    value.token.micro = from.getMicro();
    value.token.empty = from.getEmpty();
    for (const double scalar : from.getScalars()) value.token.scalars.push_back(scalar);
    if (from.getShapes().size() == 0) return value;
    if (from.getDtype() > static_cast<std::uint8_t>(ops::DType::kU8)) {
      return Error{Code::kTensor, "message", "unknown dtype"};
    }
    auto encoded = std::make_shared<Encoded>();
    encoded->codec = text(from.getCodec());
    encoded->dtype = static_cast<ops::DType>(from.getDtype());
    encoded->raw_bytes = from.getLength();
    for (const auto shape : from.getShapes()) {
      auto& extents = encoded->shapes.emplace_back();
      for (const std::int64_t extent : shape) extents.push_back(extent);
    }
    encoded->payload = to_bytes(message.payload.view());
    value.token.encoded = std::move(encoded);
    return value;
  });
}

link::Message credit_message(const Credit& credit) {
  return build<wire::Credit>(Kind::kCredit, link::Lane::kControl, [&](wire::Credit::Builder to) {
    to.setEpoch(credit.epoch);
    to.setEdge(credit.edge);
  });
}

Result<Credit> read_credit(const link::Message& message) {
  return parse<wire::Credit, Credit>(message, [](wire::Credit::Reader from) -> Result<Credit> {
    return Credit{from.getEpoch(), from.getEdge()};
  });
}

link::Message hello_message(const Hello& hello) {
  return build<wire::Hello>(Kind::kHello, link::Lane::kControl, [&](wire::Hello::Builder to) {
    to.setHost(hello.host);
    to.setPort(hello.port);
    to.setDialable(static_cast<std::uint8_t>(hello.dialable));
    auto holds = to.initHolds(static_cast<unsigned>(hello.holds.size()));
    for (unsigned i = 0; i < hello.holds.size(); ++i) holds.set(i, hello.holds[i]);
  });
}

Result<Hello> read_hello(const link::Message& message) {
  return parse<wire::Hello, Hello>(message, [](wire::Hello::Reader from) -> Result<Hello> {
    if (from.getDialable() > static_cast<std::uint8_t>(Reach::kAnywhere))
      return Error{Code::kProto, "message", "dialable from nowhere known"};
    Hello hello{text(from.getHost()), from.getPort(), static_cast<Reach>(from.getDialable())};
    if (from.getHolds().size() > kMostHeld)
      return Error{Code::kProto, "message", "more jobs than a node holds"};
    for (const std::uint64_t epoch : from.getHolds()) hello.holds.push_back(epoch);
    if (hello.dialable != Reach::kNowhere && hello.port == 0)
      return Error{Code::kProto, "message", "dialable without a port"};
    return hello;
  });
}

link::Message assign_message(const Assign& assign) {
  auto message =
      build<wire::Assign>(Kind::kAssign, link::Lane::kControl, [&](wire::Assign::Builder to) {
        to.setEpoch(assign.epoch);
        to.setNode(assign.node);
        to.setRunFolder(assign.run_folder);
        auto peers = to.initPeers(static_cast<unsigned>(assign.peers.size()));
        for (unsigned i = 0; i < assign.peers.size(); ++i) put(peers[i], assign.peers[i]);
      });
  message.payload = link::Payload(assign.plan);
  return message;
}

Result<Assign> read_assign(const link::Message& message) {
  return parse<wire::Assign, Assign>(message, [&](wire::Assign::Reader from) -> Result<Assign> {
    Assign assign{from.getEpoch(),
                  from.getNode(),
                  {},
                  text(from.getRunFolder()),
                  to_bytes(message.payload.view())};
    for (const auto peer : from.getPeers()) {
      ATOLL_ASSIGN(assign.peers.emplace_back(), get(peer));
    }
    return assign;
  });
}

link::Message signal_message(Kind kind, const Signal& signal) {
  return build<wire::Signal>(kind, link::Lane::kControl, [&](wire::Signal::Builder to) {
    to.setEpoch(signal.epoch);
    to.setStep(signal.step);
    to.setActor(signal.actor);
  });
}

Result<Signal> read_signal(const link::Message& message) {
  return parse<wire::Signal, Signal>(message, [](wire::Signal::Reader from) -> Result<Signal> {
    return Signal{from.getEpoch(), from.getStep(), text(from.getActor())};
  });
}

link::Message progress_message(const ProgressReport& report) {
  return build<wire::Progress>(Kind::kProgress, link::Lane::kControl,
                               [&](wire::Progress::Builder to) {
                                 const Progress& progress = report.progress;
                                 to.setEpoch(report.epoch);
                                 put(to.initRound(), progress.round);
                                 to.setLoss(progress.loss);
                                 to.setGradientNorm(progress.gradient_norm);
                                 to.setLearningRate(progress.learning_rate);
                                 to.setTokens(progress.tokens);
                                 to.setEvaluationLoss(progress.evaluation_loss);
                                 to.setEvaluated(progress.evaluated);
                                 to.setPayloadBytes(report.traffic.payload_bytes);
                                 to.setWireBytes(report.traffic.wire_bytes);
                               });
}

Result<ProgressReport> read_progress(const link::Message& message) {
  return parse<wire::Progress,
               ProgressReport>(message, [](wire::Progress::Reader from) -> Result<ProgressReport> {
    const Progress progress{get(from.getRound()),   from.getLoss(),   from.getGradientNorm(),
                            from.getLearningRate(), from.getTokens(), from.getEvaluationLoss(),
                            from.getEvaluated()};
    return ProgressReport{from.getEpoch(), progress, {from.getPayloadBytes(), from.getWireBytes()}};
  });
}

link::Message checkpoint_message(const CheckpointReport& report) {
  return build<wire::Checkpoint>(Kind::kCheckpoint, link::Lane::kControl,
                                 [&](wire::Checkpoint::Builder to) {
                                   to.setEpoch(report.epoch);
                                   to.setStep(report.step);
                                   to.setFolder(report.folder);
                                 });
}

Result<CheckpointReport> read_checkpoint(const link::Message& message) {
  return parse<wire::Checkpoint, CheckpointReport>(
      message, [](wire::Checkpoint::Reader from) -> Result<CheckpointReport> {
        return CheckpointReport{from.getEpoch(), from.getStep(), text(from.getFolder())};
      });
}

link::Message failure_message(const FailureReport& report) {
  return build<wire::Failure>(Kind::kFailure, link::Lane::kControl,
                              [&](wire::Failure::Builder to) { put(to, report); });
}

Result<FailureReport> read_failure(const link::Message& message) {
  return parse<wire::Failure, FailureReport>(message,
                                             [](wire::Failure::Reader from) { return get(from); });
}

link::Message heartbeat_message(Kind kind, const Heartbeat& heartbeat) {
  return build<wire::Heartbeat>(kind, link::Lane::kControl, [&](wire::Heartbeat::Builder to) {
    to.setEpoch(heartbeat.epoch);
    to.setPayloadBytes(heartbeat.traffic.payload_bytes);
    to.setWireBytes(heartbeat.traffic.wire_bytes);
  });
}

Result<Heartbeat> read_heartbeat(const link::Message& message) {
  return parse<wire::Heartbeat, Heartbeat>(
      message, [](wire::Heartbeat::Reader from) -> Result<Heartbeat> {
        return Heartbeat{from.getEpoch(), {from.getPayloadBytes(), from.getWireBytes()}};
      });
}

link::Message submit_message(const Submit& submit) {
  auto message =
      build<wire::Submit>(Kind::kSubmit, link::Lane::kControl,
                          [&](wire::Submit::Builder to) { to.setRunFolder(submit.run_folder); });
  message.payload = link::Payload(to_bytes(as_bytes(submit.job)));
  return message;
}

Result<Submit> read_submit(const link::Message& message) {
  return parse<wire::Submit, Submit>(message, [&](wire::Submit::Reader from) -> Result<Submit> {
    return Submit{text(from.getRunFolder()), std::string(as_text(message.payload.view()))};
  });
}

link::Message status_message(const JobStatus& status) {
  return build<wire::Status>(Kind::kStatus, link::Lane::kControl, [&](wire::Status::Builder to) {
    to.setState(status.state);
    to.setPayloadBytes(status.traffic.payload_bytes);
    to.setWireBytes(status.traffic.wire_bytes);
    to.setSteps(status.steps);
    to.setCheckpoint(status.checkpoint);
    to.setReason(status.reason);
  });
}

Result<JobStatus> read_status(const link::Message& message) {
  return parse<wire::Status, JobStatus>(
      message, [](wire::Status::Reader from) -> Result<JobStatus> {
        return JobStatus{text(from.getState()),
                         {from.getPayloadBytes(), from.getWireBytes()},
                         from.getSteps(),
                         text(from.getCheckpoint()),
                         text(from.getReason())};
      });
}

link::Message issued_message(const Issued& issued) {
  return build<wire::Issued>(Kind::kIssued, link::Lane::kControl, [&](wire::Issued::Builder to) {
    to.setCredential(
        {reinterpret_cast<const kj::byte*>(issued.credential.data()), issued.credential.size()});
    to.setPolicy(issued.policy);
  });
}

Result<Issued> read_issued(const link::Message& message) {
  return parse<wire::Issued, Issued>(message, [](wire::Issued::Reader from) -> Result<Issued> {
    return Issued{bytes(from.getCredential()), text(from.getPolicy())};
  });
}

link::Message present_message(const Bytes& credential) {
  auto message = signal_message(Kind::kPresent, {});
  message.payload = link::Payload(credential);
  return message;
}

link::Message roster_message(const std::string& roster) {
  auto message = signal_message(Kind::kRoster, {});
  message.payload = link::Payload(to_bytes(as_bytes(roster)));
  return message;
}

}  // namespace reef::node
