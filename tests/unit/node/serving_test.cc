// A real node under a real scheduler, with a crew that only counts.

#include "runtime/node/node.h"
#include "service_rig.h"

namespace reef::service {
namespace {

/// What the crews of a test share.
struct Crews {
  std::atomic<int> begun{0}, ending{0}, ended{0};
  std::promise<void> go;  ///< a crew's last act ends then
  std::shared_future<void> last_act = go.get_future().share();
};

class CountingCrew final : public node::Crew {
 public:
  CountingCrew(Crews& crews, const node::CrewSetup& setup) : crews_(crews), setup_(setup) {}
  /// In its last act it still has something to say.
  ~CountingCrew() override {
    ++crews_.ending;
    crews_.last_act.wait();
    setup_.events.failed("layers/r0/s0", Error{Code::kData, "", "too late"});
    setup_.events.checkpoint_written(1, setup_.plan.job);
    ++crews_.ended;
  }
  /// The first job fails at once.
  void begin() override {
    if (++crews_.begun == 1)
      setup_.events.failed("layers/r0/s0", Error{Code::kData, "", "ends early"});
  }
  void arrived(plan::EdgeId, std::uint64_t, Token) override {}
  void credited(plan::EdgeId) override {}
  void hold() override {}
  void release(std::uint64_t) override {}
  void letter(std::uint32_t, node::Letter) override {}
  void island_changed(std::uint32_t, bool) override {}
  void company(job::Company) override {}

 private:
  Crews& crews_;
  node::CrewSetup setup_;
};

class ServingNode : public ServiceTest {
 protected:
  ServingNode() { topology_ = sample_topology(1); }
  void SetUp() override {
    ServiceTest::SetUp();
    node_ = std::make_unique<node::Node>(
        enrolled("node-0"), node::NodeOptions{"127.0.0.1", port_},
        [this](const node::CrewSetup& setup) -> Result<std::unique_ptr<node::Crew>> {
          return std::unique_ptr<node::Crew>(std::make_unique<CountingCrew>(crews_, setup));
        });
    outcome_ = std::async(std::launch::async, [this] { return node_->run(); });
    user_ = client();
  }
  void TearDown() override {
    node_.reset();
    ServiceTest::TearDown();
  }
  void submit() {
    user_->send(node::submit_message({"runs/x", job::job_to_json(sample_job(1, 1))}));
  }

  Crews crews_;
  std::unique_ptr<node::Node> node_;
  std::future<Status> outcome_;
  std::unique_ptr<Dialler> user_;
};

TEST_F(ServingNode, BeginsTheNextJobOnceTheLastActOfOneIsOver) {
  submit();
  EXPECT_TRUE(within([this] { return crews_.ending == 1; }));
  submit();
  EXPECT_TRUE(within([this] {
    const auto jobs = store_->jobs();
    return jobs->size() == 2 && jobs->at(1).reason == "job sample has its nodes";
  }));
  EXPECT_EQ(crews_.begun, 1);
  crews_.go.set_value();
  EXPECT_TRUE(within([this] { return crews_.begun == 2; }));
  EXPECT_EQ(crews_.ended, 1);
  const auto jobs = store_->jobs();
  EXPECT_NE(jobs->at(0).reason.find("ends early"), std::string::npos);
  service_->shutdown();  // tells the node to end, too
  EXPECT_TRUE(outcome_.get().ok());
}

TEST_F(ServingNode, WaitsForTheLastActBeforeItGoesItself) {
  submit();
  EXPECT_TRUE(within([this] { return crews_.ending == 1; }));
  service_.reset();
  EXPECT_FALSE(outcome_.get().ok());
  std::thread late([this] {
    std::this_thread::sleep_for(50ms);
    crews_.go.set_value();
  });
  node_.reset();
  EXPECT_EQ(crews_.ended, 1);
  late.join();
}

}  // namespace
}  // namespace reef::service
