@0xd3b6f0a5c1e84972;
# Headers of the messages between processes. Each message is one of these structs, of the kind that
# runtime/node/protocol.h numbers, followed by a raw payload that is never parsed.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("reef::wire");

struct Round {
  number @0 :UInt64;
  step @1 :UInt64;
  evaluation @2 :UInt32;
  snapshot @3 :Bool;
  last @4 :Bool;
  settling @5 :Bool;
}

# A tensor token of a wire edge. Payload: the encoded tensors.
struct Token {
  job @0 :Text;
  epoch @1 :UInt64;
  edge @2 :UInt32;
  sequence @3 :UInt64;
  slot @4 :UInt32;
  codec @5 :Text;
  dtype @6 :UInt8;
  shapes @7 :List(List(Int64));
  length @8 :UInt64;
  round @9 :Round;
  micro @10 :UInt32;
  empty @11 :Bool;
  scalars @12 :List(Float64);
}

# One slot of a wire edge is free again.
struct Credit {
  epoch @0 :UInt64;
  edge @1 :UInt32;
}

# Node to scheduler: here I am. Name and datacenter stand in the credential.
struct Hello {
  host @0 :Text;
  port @1 :UInt16;
  dialable @2 :UInt8 = 2;  # runtime/base/reach.h; nowhere: host and port mean nothing
  holds @3 :List(UInt64);  # epochs of jobs that it has gone on with out of the scheduler's reach
}

struct Peer {
  name @0 :Text;
  host @1 :Text;
  port @2 :UInt16;
  noiseKey @3 :Data;
  streams @4 :UInt16;  # connections for data that the dialler opens, beside the one for control
  congestion @5 :Text;  # of their sockets; empty: the system's
}

# Scheduler to node: your part of a plan. Payload: the plan (plan.capnp).
struct Assign {
  epoch @0 :UInt64;
  node @1 :UInt32;
  peers @2 :List(Peer);
  runFolder @3 :Text;
}

# From the outer store of one island to that of another. Payload: what it says.
struct Letter {
  meeting @0 :UInt64;
  kind @1 :UInt16;  # the stores' own
  fragment @2 :UInt32;
  number @3 :UInt64;
  tokens @4 :UInt64;
  included @5 :UInt64;
  codec @6 :Text;  # at most 64 bytes
}

struct Partner {
  island @0 :UInt32;
  dials @1 :Bool;  # the receiver of this message does
  peer @2 :Peer;
}

# Scheduler to node: with whom the outer store of a job exchanges letters. Each one takes the place of the last.
struct Partners {
  epoch @0 :UInt64;
  meeting @1 :UInt64;  # what their channels are opened under; never an epoch
  partners @2 :List(Partner);
  islands @3 :List(UInt32);  # that train, beside the receiver's; partners are those of them that one can dial already
  homes @4 :List(Home);      # by the island at which fragments began; none in a school of teachers and students
}

# Where fragments have their home; it moves when that island is lost.
struct Home {
  island @0 :UInt32;
  generation @1 :UInt32;  # 0: it has not moved
}

# Ready, Start, Hold, Stop, Cancel, Renew: a kind and an epoch say it all; Stop of epoch 0 ends the node. Release and Held use `step`.
# Present and Roster: the payload is what is sent.
struct Signal {
  epoch @0 :UInt64;
  step @1 :UInt64;
  actor @2 :Text;
}

struct Progress {
  epoch @0 :UInt64;
  round @1 :Round;
  loss @2 :Float64;
  gradientNorm @3 :Float64;
  learningRate @4 :Float64;
  tokens @5 :UInt64;
  evaluationLoss @6 :Float64;
  evaluated @7 :Bool;
  payloadBytes @8 :UInt64;
  wireBytes @9 :UInt64;
}

struct Checkpoint {
  epoch @0 :UInt64;
  step @1 :UInt64;
  folder @2 :Text;
}

struct Failure {
  epoch @0 :UInt64;
  code @1 :UInt16;
  where @2 :Text;
  what @3 :Text;
}

# Node to scheduler of each job it has a part in, often; also its last word of it.
struct Heartbeat {
  payloadBytes @0 :UInt64;
  wireBytes @1 :UInt64;
  epoch @2 :UInt64;
}

# Client to scheduler. Payload: the job as canonical JSON.
struct Submit {
  runFolder @0 :Text;
}

# Client to scheduler: measure the line between two nodes.
struct TestLine {
  from @0 :Text;
  to @1 :Text;
  streams @2 :List(UInt16);
  congestion @3 :Text;
  seconds @4 :UInt32;
}

# Scheduler to node: measure the line to this peer.
struct ProbeLine {
  ticket @0 :UInt64;
  peer @1 :Peer;
  streams @2 :List(UInt16);
  seconds @3 :UInt32;
}

struct Trial {
  streams @0 :UInt16;
  rate @1 :Float64;  # bits per second
  roundTrip @2 :UInt64;  # nanoseconds, as all times here
  slowest @3 :UInt64;
  loss @4 :Float64;
  echoes @5 :UInt32;
}

# Node to scheduler, scheduler to client: what was measured, or why it could not be.
struct LineResult {
  ticket @0 :UInt64;
  roundTrip @1 :UInt64;
  fastest @2 :UInt64;
  trials @3 :List(Trial);
  error @4 :Failure;
  from @5 :Text;  # datacenters, for the client
  to @6 :Text;
}

# Scheduler to node or client: a credential in the place of one that will expire, and the policy.
struct Issued {
  credential @0 :Data;
  policy @1 :Text;
}

# Scheduler to client.
struct Status {
  state @0 :Text;
  payloadBytes @1 :UInt64;
  wireBytes @2 :UInt64;
  steps @3 :UInt64;
  checkpoint @4 :Text;
  reason @5 :Text;
}
