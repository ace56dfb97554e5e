@0xd2a7b0f4c1e86935;
# The plan as the scheduler sends it to the nodes. Read with limits and validated before use:
# scheduler/plan/encoding.h and scheduler/plan/validate.h.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("reef::schema");

struct Plan {
  job @0 :Text;
  epoch @1 :UInt64;
  descriptor @2 :Text;              # the validated job descriptor, as JSON
  nodes @3 :List(PlanNode);
  actors @4 :List(PlanActor);
  edges @5 :List(PlanEdge);
  replicas @6 :UInt32;
  stages @7 :UInt32;
  leaves @8 :UInt32;
  reproducible @9 :Bool;
  predictedStepSeconds @10 :Float64;
  layout @11 :Text;                 # for people: why the shards stand where they stand
  routes @12 :List(PlanRoute);
  ranks @13 :UInt32 = 1;            # tensor-parallel
  context @14 :UInt32 = 1;          # replicas that share sequences
  microBatches @15 :List(UInt32);   # of a round, by such replicas; empty: equally many
  buckets @16 :List(UInt32);        # first layers of those that do not begin a stage
  sharesWeights @17 :Bool;          # buckets of layers compute in turn, with weights gathered for each
}

struct PlanNode {
  name @0 :Text;
  datacenter @1 :Text;
  memory @2 :UInt64;
  threads @3 :UInt32;
  address @4 :Text;
  dialable @5 :UInt8 = 2;           # runtime/base/reach.h
  ucx @6 :Text;                     # what it offers to its datacenter; empty: nothing
  speed @7 :Float64;                # FLOP/s and bytes/s of its device; 0: not said
  bandwidth @8 :Float64;
  paced @9 :Bool;                   # it waits until a device of this speed would have been done
  deviceKind @10 :Text = "cpu";     # runtime/base/device_name.h
  deviceIndex @11 :UInt32;
}

# How two nodes that share wire edges come together.
struct PlanRoute {
  dialler @0 :UInt32;
  acceptor @1 :UInt32;
  relayed @2 :Bool;
  relay @3 :UInt32;                 # a node that both dial, if relayed
}

struct PlanActor {
  kind @0 :UInt8;
  name @1 :Text;
  node @2 :UInt32;
  replica @3 :UInt32;
  stage @4 :UInt32;
  firstLayer @5 :UInt32;
  lastLayer @6 :UInt32;
  acts @7 :List(PlanAct);
  stateBytes @8 :UInt64;
  rank @9 :UInt32;
}

struct PlanAct {
  name @0 :Text;
  firings @1 :UInt32;
  priority @2 :Int32;
  inputs @3 :List(PlanPort);
  outputs @4 :List(PlanPort);
}

struct PlanPort {
  edge @0 :UInt32;
  group @1 :UInt32;
}

struct PlanEdge {
  name @0 :Text;
  producer @1 :UInt32;
  producerAct @2 :UInt32;
  consumer @3 :UInt32;
  consumerAct @4 :UInt32;
  content @5 :UInt8;
  tokens @6 :UInt32;
  slots @7 :UInt32;
  initial @8 :UInt32;
  bytes @9 :UInt64;
  wire @10 :Bool;
  codec @11 :Text;
  dtype @12 :UInt8;
  ratio @13 :Float64 = 1;            # expected encoded size over raw size
}
