#include "actors/checkpoint/format/huggingface.h"

#include <gtest/gtest.h>

#include <deque>

#include "actors/checkpoint/format/huggingface_export.h"
#include "actors/checkpoint/format/shard_index.h"
#include "runtime/base/random.h"
#include "tests/unit/scratch_folder.h"

namespace reef::checkpoint {
namespace {

using nlohmann::json;

/// A GPT-2 of one layer: vocabulary 5, context 3, width 4.
class HuggingFace : public ::testing::Test {
 protected:
  HuggingFace() {
    add("wte.weight", {5, 4});
    add("wpe.weight", {3, 4});
    add("ln_f.weight", {4});
    add("ln_f.bias", {4});
    for (const std::string norm : {"h.0.ln_1", "h.0.ln_2"}) {
      add(norm + ".weight", {4});
      add(norm + ".bias", {4});
    }
    add_linear("h.0.attn.c_attn", 4, 12);
    add_linear("h.0.attn.c_proj", 4, 4);
    add_linear("h.0.mlp.c_fc", 4, 16);
    add_linear("h.0.mlp.c_proj", 16, 4);
  }

  void add_linear(const std::string& name, std::uint64_t in, std::uint64_t out) {
    add(name + ".weight", {in, out});
    add(name + ".bias", {out});
  }

  void add(const std::string& name, std::vector<std::uint64_t> shape) {
    const Random random(1, name);
    std::uint64_t size = 1;
    for (const std::uint64_t extent : shape) size *= extent;
    std::vector<float>& values = values_.emplace_back(size);
    for (std::uint64_t i = 0; i < size; ++i) values[i] = random.normal(0, i);
    tensors_.push_back({name, "F32", std::move(shape), std::as_bytes(std::span(values))});
  }

  const TensorView& tensor(std::string_view name) const {
    for (const TensorView& each : tensors_) {
      if (each.name == name) return each;
    }
    ADD_FAILURE() << name;
    return tensors_.front();
  }

  static json config(int heads = 2) {
    return {{"type", "gpt2"}, {"vocab_size", 5}, {"n_positions", 3},
            {"n_embd", 4},    {"n_layer", 1},    {"n_head", heads}};
  }

  Result<Checkpoint> checkpoint(const json& model = config()) {
    ATOLL_ASSIGN(CheckpointWriter writer, CheckpointWriter::begin(folder_ / "checkpoints", 7));
    ATOLL_TRY(writer.add_part(tensors_));
    ATOLL_ASSIGN(const auto path,
                 writer.commit({.step = 7, .job = "j", .seed = 1, .model = model}));
    return Checkpoint::open(path);
  }

  ScratchFolder folder_;
  std::deque<std::vector<float>> values_;  // addresses stay
  std::vector<TensorView> tensors_;
};

TEST_F(HuggingFace, LoadsWhatItExports) {
  TensorView moment = tensor("wte.weight");
  moment.name += ".adam_m";
  tensors_.push_back(moment);
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  const auto model = load_folder(out);
  ASSERT_TRUE(model.ok()) << model.error().text();
  EXPECT_EQ(model->config,
            nn::ModelConfig(nn::GptConfig{
                .vocab_size = 5, .n_positions = 3, .n_embd = 4, .n_layer = 1, .n_head = 2}));
  EXPECT_EQ(model->tensors.size(), tensors_.size() - 1);
  for (const TensorView& read : model->tensors) {
    EXPECT_EQ(to_bytes(read.bytes), to_bytes(tensor(read.name).bytes)) << read.name;
  }
  const json config = json::parse(get(out / "config.json"));
  EXPECT_EQ(config["architectures"], json({"GPT2LMHeadModel"}));
  EXPECT_EQ(config["model_type"], "gpt2");
  EXPECT_EQ(config["activation_function"], "gelu_new");
  EXPECT_EQ(config["tie_word_embeddings"], true);
  EXPECT_EQ(config["n_ctx"], 3);
  EXPECT_TRUE(config["bos_token_id"].is_null() && config["eos_token_id"].is_null());
  EXPECT_EQ(model->files.at(0).metadata().at("format"), "pt");
}

TEST_F(HuggingFace, ReplacesItsOwnFolderOnly) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  put(out / "letter.txt", "mine");
  EXPECT_EQ(export_folder(*checkpoint(), out).error().code, Code::kPath);
  EXPECT_EQ(get(out / "letter.txt"), "mine");

  const auto foreign = folder_ / "foreign";
  ASSERT_TRUE(write_safetensors(foreign / "model.safetensors", tensors_).ok());
  const std::string before = get(foreign / "model.safetensors");
  EXPECT_EQ(export_folder(*checkpoint(), foreign).error().code, Code::kPath);
  EXPECT_EQ(get(foreign / "model.safetensors"), before);

  put(folder_ / "file", "x");
  EXPECT_EQ(export_folder(*checkpoint(), folder_ / "file").error().code, Code::kPath);
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_TRUE(export_folder(*checkpoint(), folder_ / "empty").ok());
}

TEST_F(HuggingFace, CutsWhatIsLargerThanAFile) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out, {.shard_bytes = 300, .tokenizer = {}}).ok());
  const auto index = parse_shard_index(get(out / kIndexFile), "index");
  ASSERT_TRUE(index.ok()) << index.error().text();
  const std::vector<std::string> files = index->files();
  EXPECT_GT(files.size(), 2u);
  EXPECT_EQ(files.front(), "model-00001-of-0000" + std::to_string(files.size()) + ".safetensors");
  std::uint64_t total = 0;
  for (const TensorView& each : tensors_) total += each.bytes.size();
  EXPECT_EQ(index->total_size, total);
  for (const std::string& name : files) {
    const auto file = SafetensorsFile::open(out, name);
    std::uint64_t bytes = 0;
    for (const TensorView& each : file->tensors()) bytes += each.bytes.size();
    EXPECT_TRUE(bytes <= 300 || file->tensors().size() == 1) << name;
  }
  const auto model = load_folder(out);
  ASSERT_TRUE(model.ok()) << model.error().text();
  EXPECT_EQ(model->files.size(), files.size());
  for (const TensorView& each : tensors_) {
    EXPECT_EQ(to_bytes(model->find(each.name)->bytes), to_bytes(each.bytes)) << each.name;
  }
  // Of our own making, too: replaced by a single file.
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  EXPECT_FALSE(std::filesystem::exists(out / kIndexFile));
}

TEST_F(HuggingFace, BelievesNoIndex) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out, {.shard_bytes = 300, .tokenizer = {}}).ok());
  const ShardIndex good = *parse_shard_index(get(out / kIndexFile), "index");
  const auto refuses = [&](const ShardIndex& index) {
    put(out / kIndexFile, to_json(index));
    const auto model = load_folder(out);
    EXPECT_FALSE(model.ok()) << to_json(index);
    return model.ok() ? Code::kInternal : model.error().code;
  };
  ShardIndex bad = good;
  bad.file_of["wte.weight"] = bad.file_of["h.0.attn.c_attn.bias"];
  EXPECT_EQ(refuses(bad), Code::kCheckpoint);
  bad = good;
  bad.file_of["another"] = bad.file_of["wte.weight"];
  EXPECT_EQ(refuses(bad), Code::kCheckpoint);
  bad = good;
  bad.file_of.erase("wte.weight");
  EXPECT_EQ(refuses(bad), Code::kCheckpoint);
  bad = good;
  bad.file_of["wte.weight"] = "absent.safetensors";
  EXPECT_EQ(refuses(bad), Code::kPath);
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map": {}})", R"({"weight_map": {"a": 1}})",
        R"({"weight_map": {"a": "../b.safetensors"}})", R"({"weight_map": {"a": "b.bin"}})",
        R"({"weight_map": {"a": "b/c.safetensors"}})"}) {
    EXPECT_EQ(parse_shard_index(text, "index").error().code, Code::kCheckpoint) << text;
  }
  std::string many = R"({"weight_map": {)";
  for (std::size_t i = 0; i <= kMaxShards; ++i) {
    many += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\": \"" + std::to_string(i) +
            ".safetensors\"";
  }
  EXPECT_FALSE(parse_shard_index(many + "}}", "index").ok());
}

TEST_F(HuggingFace, ReadsThreeDtypes) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  // 1.5 in each of them.
  const std::uint16_t brain[] = {0x3fc0, 0x3fc0, 0x3fc0, 0x3fc0};
  const std::uint16_t half[] = {0x3e00, 0x3e00, 0x3e00, 0x3e00};
  for (TensorView& each : tensors_) {
    if (each.name == "ln_f.weight")
      each.dtype = "BF16", each.bytes = std::as_bytes(std::span(brain));
    if (each.name == "ln_f.bias") each.dtype = "F16", each.bytes = std::as_bytes(std::span(half));
  }
  ASSERT_TRUE(write_safetensors(out / "model.safetensors", tensors_).ok());
  const auto model = load_folder(out);
  ASSERT_TRUE(model.ok()) << model.error().text();
  for (const char* name : {"ln_f.weight", "ln_f.bias"}) {
    std::vector<float> values(4);
    read_f32(*model->find(name), values);
    EXPECT_EQ(values, std::vector<float>(4, 1.5f)) << name;
  }
  for (TensorView& each : tensors_) {
    if (each.name == "ln_f.bias") each.dtype = "I16";
  }
  ASSERT_TRUE(write_safetensors(out / "model.safetensors", tensors_).ok());
  EXPECT_EQ(load_folder(out).error().code, Code::kCheckpoint);
}

TEST_F(HuggingFace, ExportsOnlyAWholeGpt2) {
  EXPECT_EQ(export_folder(*checkpoint(json::object()), folder_ / "hf").error().code,
            Code::kCheckpoint);
  EXPECT_FALSE(export_folder(*checkpoint(config(3)), folder_ / "hf").ok());
  EXPECT_TRUE(export_folder(*checkpoint(config(4)), folder_ / "hf4").ok());
  const auto all = tensors_;
  tensors_.pop_back();
  EXPECT_FALSE(export_folder(*checkpoint(), folder_ / "hf").ok());
  tensors_ = all;
  add("extra", {1});
  EXPECT_FALSE(export_folder(*checkpoint(), folder_ / "hf").ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "hf"));
}

TEST_F(HuggingFace, LoadsPrefixedNamesMasksAndATiedHead) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  std::vector<TensorView> foreign = tensors_;
  for (TensorView& each : foreign) each.name = "transformer." + each.name;
  const Bytes mask(9);
  foreign.push_back({"transformer.h.0.attn.bias", "BOOL", {1, 1, 3, 3}, mask});
  TensorView head = tensor("wte.weight");
  head.name = "lm_head.weight";
  foreign.push_back(head);
  ASSERT_TRUE(write_safetensors(out / "model.safetensors", foreign).ok());
  const auto model = load_folder(out);
  ASSERT_TRUE(model.ok()) << model.error().text();
  EXPECT_EQ(model->tensors.size(), tensors_.size());

  std::vector<float> other(20);
  foreign.back().bytes = std::as_bytes(std::span(other));
  ASSERT_TRUE(write_safetensors(out / "model.safetensors", foreign).ok());
  EXPECT_EQ(load_folder(out).error().code, Code::kCheckpoint);
}

TEST_F(HuggingFace, RefusesBadFolders) {
  const auto out = folder_ / "hf";
  ASSERT_TRUE(export_folder(*checkpoint(), out).ok());
  const json good = json::parse(get(out / "config.json"));
  const auto with = [&good](const char* field, json value) {
    json config = good;
    config[field] = std::move(value);
    return config.dump();
  };
  const std::string rows[] = {
      "",
      "[]",
      "{}",
      with("model_type", "mistral"),
      with("activation_function", "relu"),
      with("tie_word_embeddings", false),
      with("n_layer", 2),
      with("n_layer", 1'000'000'000),
      with("n_layer", -1),
      with("n_embd", 0),
      with("n_embd", 8),
      with("n_embd", 1.5),
      with("n_head", 3),
      with("vocab_size", 6),
      with("vocab_size", ~0ull),
      with("layer_norm_epsilon", "small"),
  };
  for (const std::string& config : rows) {
    put(out / "config.json", config);
    const auto model = load_folder(out);
    ASSERT_FALSE(model.ok()) << config;
    EXPECT_EQ(model.error().code, Code::kCheckpoint) << config;
  }
  put(out / "config.json", good.dump());
  ASSERT_TRUE(load_folder(out).ok());
  std::filesystem::remove(out / "model.safetensors");
  EXPECT_EQ(load_folder(out).error().code, Code::kPath);
  put(out / "model.safetensors.index.json", "{}");
  EXPECT_EQ(load_folder(out).error().code, Code::kCheckpoint);
  EXPECT_EQ(load_folder(folder_ / "absent").error().code, Code::kPath);
}

}  // namespace
}  // namespace reef::checkpoint
