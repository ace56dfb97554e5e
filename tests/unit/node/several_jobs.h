#pragma once
// Nodes of two datacenters, played by hand, and a user who submits jobs to them.

#include "service_rig.h"

namespace reef::service {

/// Two nodes in each of two datacenters, each of which a job can have for itself.
class SeveralJobs : public ServiceTest {
 protected:
  SeveralJobs() { topology_ = sample_topology(4); }
  void SetUp() override {
    ServiceTest::SetUp();
    for (const topology::Node& node : topology_.nodes)
      nodes_[node.name] = node_named(node.name, Reach::kAnywhere);
    user_ = client();
  }
  void submit(const std::string& name, const std::string& datacenter) {
    job::Job job = sample_job(1, 2);
    job.name = name;
    job.datacenters = {datacenter};
    user_->send(node::submit_message({"runs/" + name, job::job_to_json(job)}));
  }
  /// Of the newest job in which the node has a part, once it is this one.
  std::uint64_t epoch_of(const std::string& node, const std::string& job) {
    std::uint64_t epoch = 0;
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kAssign);
      if (!message) return false;
      const plan::Plan plan = plan::decode(node::read_assign(*message)->plan).value();
      epoch = plan.epoch;
      return plan.job == job;
    })) << node
        << " has no part in " << job;
    return epoch;
  }
  /// As a node does that was told to.
  void stop(const std::string& node, std::uint64_t epoch) {
    EXPECT_TRUE(within([&] {
      const auto message = nodes_.at(node)->expect(node::Kind::kStop);
      return message && node::read_signal(*message)->epoch == epoch;
    }));
    nodes_.at(node)->send(node::heartbeat_message(node::Kind::kStopped, {epoch, {}}));
  }
  std::string reason_of(const std::string& job) {
    const auto jobs = store_->jobs();
    for (const JobRecord& record : *jobs) {
      if (record.name == job) return record.state + ": " + record.reason;
    }
    return "";
  }

  std::map<std::string, std::unique_ptr<Dialler>> nodes_;
  std::unique_ptr<Dialler> user_;
};

}  // namespace reef::service
