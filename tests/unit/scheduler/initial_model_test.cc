#include <nlohmann/json.hpp>

#include "samples.h"
#include "tests/unit/scratch_folder.h"

namespace reef {
namespace {

using nlohmann::json;

class InitialModel : public testing::Test {
 protected:
  InitialModel() {
    std::filesystem::create_directory(folder_ / "data");
    config({{"model_type", "llama"},
            {"vocab_size", 300},
            {"hidden_size", 64},
            {"num_attention_heads", 4},
            {"rms_norm_eps", 1e-5},
            {"torch_dtype", "bfloat16"}});
  }
  void config(const json& content) { put(folder_ / "model" / "config.json", content.dump()); }

  Result<job::Job> read(const std::string& model) {
    std::string yaml = sample_yaml();
    const std::string from = "{type: gpt2, n_head: 6}", data = "data/bible";
    yaml.replace(yaml.find(from), from.size(), model);
    yaml.replace(yaml.find(data), data.size(), (folder_ / "data").string());
    put(folder_ / "job.yaml", yaml);
    return job::read_job((folder_ / "job.yaml").string());
  }
  std::string from() const { return "from: " + (folder_ / "model").string(); }

  ScratchFolder folder_;
};

TEST_F(InitialModel, SaysAllThatTheDescriptorDoesNot) {
  const auto job = read("{" + from() + "}");
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(
      job->model,
      nn::ModelConfig(nn::LlamaConfig{
          .vocab_size = 300, .hidden_size = 64, .num_attention_heads = 4, .rms_norm_eps = 1e-5f}));
  EXPECT_EQ(job->model_from, (folder_ / "model").string());
  // The plan carries all of it, so that nodes need not read the folder to parse it.
  std::filesystem::remove(folder_ / "model" / "config.json");
  const auto again = job::job_from_json(job::job_to_json(*job));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*again, *job);
}

TEST_F(InitialModel, MustAgreeWithTheDescriptor) {
  EXPECT_TRUE(read("{type: llama, " + from() + ", hidden_size: 64, rms_norm_eps: 1e-5}").ok());
  const auto other = read("{type: llama, " + from() + ", hidden_size: 128}");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::kJobValue);
  EXPECT_NE(other.error().text().find("spec.model.hidden_size: is 128, but the model in"),
            std::string::npos)
      << other.error().text();
  EXPECT_EQ(read("{type: gpt2, " + from() + "}").error().code, Code::kJobValue);
  EXPECT_EQ(read("{" + from() + ", n_embd: 64}").error().code, Code::kJobField);
}

TEST_F(InitialModel, LeavesDropoutToTheDescriptor) {
  config({{"model_type", "gpt2"}, {"attn_pdrop", 0.1}, {"resid_pdrop", 0.1}});
  const auto job = read("{" + from() + ", attn_pdrop: 0}");
  ASSERT_TRUE(job.ok()) << job.error().text();
  EXPECT_EQ(std::get<nn::GptConfig>(job->model).attn_pdrop, 0);
  EXPECT_EQ(std::get<nn::GptConfig>(job->model).resid_pdrop, 0.1f);
}

TEST_F(InitialModel, MustBeOneThatIsSupported) {
  config({{"model_type", "llama"}, {"attention_bias", true}});
  const auto job = read("{" + from() + "}");
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.error().code, Code::kCheckpoint);
  EXPECT_EQ(read("{from: nowhere}").error().code, Code::kPath);
  EXPECT_EQ(read("{from: 3, type: gpt2}").error().code, Code::kJobField);
  EXPECT_EQ(read("[1]").error().code, Code::kJobField);
}

}  // namespace
}  // namespace reef
