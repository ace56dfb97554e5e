// What files hold, and tensors.

#include <fstream>
#include <iterator>
#include <vector>

#include "actors/checkpoint/format/safetensors.h"
#include "actors/data/format/manifest.h"
#include "actors/data/format/token_shards.h"
#include "ops/codec/codec.h"
#include "ops/codec/power_sgd.h"
#include "ops/codec/top_k.h"
#include "runtime/base/file.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/plan/make_plan.h"
#include "tests/fuzz/seeds.h"

using namespace reef;
using fuzz::byte;
using fuzz::Output;
using fuzz::seed;

namespace {

constexpr std::string_view kJob =
    "apiVersion: atoll.dev/v1\n"
    "kind: TrainingJob\n"
    "metadata: {name: sample}\n"
    "spec:\n"
    "  topology: topology.yaml\n"
    "  model: {type: gpt2, vocab_size: 256, n_positions: 128, n_embd: 48, n_layer: 2, n_head: 6}\n"
    "  data: {path: data/bible, prefetch: 2, workers: 1}\n"
    "  optimizer: {name: adamw, learningRate: 2e-3, warmupSteps: 5}\n"
    "  training: {steps: 100, seed: 1, leaves: 8, sequencesPerLeaf: 2, context: 128, precision: "
    "bf16}\n"
    "  evaluation: {every: 10, rounds: 4}\n"
    "  checkpoints: {every: 20, keep: 3}\n"
    "  parallelism: {dp: 2, pp: 2, schedule: zero-bubble}\n"
    "  codecs: {activations: bf16+zstd, gradients: bf16+zstd, weights: none+zstd}\n"
    "  peerTimeout: 5s\n";

constexpr std::string_view kTopology =
    "apiVersion: atoll.dev/v1\n"
    "kind: Topology\n"
    "metadata:\n"
    "  name: two\n"
    "spec:\n"
    "  datacenters:\n"
    "    - name: east\n"
    "      nodes: [{name: east-0, memory: 2GiB, threads: 1}]\n"
    "    - name: west\n"
    "      nodes:\n"
    "        - {name: west-0, memory: 2GiB, address: 10.0.0.1}\n"
    "  lines:\n"
    "    - {between: [east, west], rate: 100Mbit/s, roundTrip: 20ms}\n";

void descriptors() {
  const job::Job job = job::parse_job(kJob, "job.yaml").value();
  seed("job", "flow", kJob);
  seed("job", "json", job::job_to_json(job));
  seed("job", "llama",
       fuzz::replaced(
           kJob, "type: gpt2, vocab_size: 256, n_positions: 128, n_embd: 48, n_layer: 2, n_head: 6",
           "type: llama, from: models/small, hidden_size: 48, num_hidden_layers: 2, "
           "num_attention_heads: 6, num_key_value_heads: 2, rope_theta: 1e4, "
           "tie_word_embeddings: true"));
  seed("job", "unknown-field", std::string(kJob) + "  trainig: {steps: 1}\n");
  seed("job", "anchor", "a: &x [*x]\n");
  seed("job", "tag", "a: !!int \"5\"\n--- second\n");
  seed("job", "numbers", "[1e999, -0, .nan, 0x10, 18446744073709551616, \"\\u0000\", 'it''s', ~]");
  seed("topology", "two", kTopology);
  const topology::Topology two = topology::parse_topology(kTopology, "topology.yaml").value();
  seed("plan", "two-stages", plan::encode(plan::make_plan(job, two).value()));
  job::Job shared = job;
  shared.parallelism.zero_stage = 2;
  seed("plan", "shared-out", plan::encode(plan::make_plan(shared, two).value()));
  job::Job unequal = job;
  unequal.parallelism.dp = 2;
  unequal.parallelism.micro_batches = {1, unequal.training.leaves - 1};
  seed("plan", "unequal", plan::encode(plan::make_plan(unequal, two).value()));
  seed("job", "unequal", job::job_to_json(unequal));
  job::Job bucketed = shared;
  bucketed.parallelism.bucket_bytes = 1;
  seed("plan", "buckets", plan::encode(plan::make_plan(bucketed, two).value()));
  seed("job", "buckets", job::job_to_json(bucketed));
  job::Job gathering = bucketed;
  gathering.parallelism.zero_stage = 3;
  gathering.parallelism.schedule = {};
  seed("plan", "in-turn", plan::encode(plan::make_plan(gathering, two).value()));
  seed("job", "in-turn", job::job_to_json(gathering));
  job::Job small = job;
  small.parallelism = {};
  small.codecs = {};
  topology::Topology one = two;
  one.nodes.resize(1);
  seed("plan", "one-node", plan::encode(plan::make_plan(small, one).value()));
  small.parallelism.cp = 4;
  seed("plan", "shared-sequences", plan::encode(plan::make_plan(small, one).value()));
  seed("job", "shared-sequences", job::job_to_json(small));
  int texts = 0;
  for (const char* text : {"250ms", "64MiB", "1.5Gbit/s", "E_PROTO: peer: what", "127.0.0.1:7070",
                           "[::1]:1", "bf16+zstd"})
    seed("text", "text-" + std::to_string(texts++), std::string_view(text));
}

void codecs() {
  std::vector<float> values(300);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) * 0.125f;
  const std::vector<std::uint16_t> halves(200, 0x3F80);
  // The first ten of both targets.
  const char* const names[] = {"none", "bf16", "none+zstd", "bf16+zstd", "fp8",
                               "int8", "int4", "fp8+zstd",  "int8+zstd", "int4+zstd"};
  for (std::uint8_t c = 0; c < std::size(names); ++c) {
    const codec::Codec codec = codec::parse(names[c]).value();
    Bytes encoded;
    codec::encode(codec, values, encoded);
    const auto input = [&](std::uint8_t type, std::size_t count) {
      return Output()
          .number(c)
          .number(type)
          .number(byte(0))
          .number(static_cast<std::uint16_t>(count))
          .rest(encoded);
    };
    seed("codec", std::string(names[c]) + "-fp32", input(0, values.size()));
    // codec, dtype, codec and dtype of the token, one shape of rank 2, its extent, bytes, payload
    seed("receive", std::string(names[c]) + "-fp32",
         Output()
             .number(c)
             .number(byte(0))
             .number(byte(0))
             .number(byte(static_cast<std::size_t>(ops::DType::kF32)))
             .number(byte(1))
             .number(byte(2))
             .number(byte(100))
             .number(byte(3))
             .number(byte(0))
             .number(std::uint16_t{1200})
             .rest(encoded));
    codec::encode(codec, halves, encoded);
    seed("codec", std::string(names[c]) + "-bf16", input(1, halves.size()));
    codec::encode_bytes(codec, as_bytes("integers and other bytes"), encoded);
    seed("codec", std::string(names[c]) + "-bytes", input(2, 24));
  }
  seed("codec", "values",
       Output()
           .number(byte(3))
           .number(byte(0))
           .number(byte(1))
           .number(std::uint16_t{0})
           .rest(as_bytes("some fp32 numbers of any bits..\x80\x7F\xC0\x7F")));
  // One frame of zstd that says 128 Ki zeros, where a few elements were promised.
  const std::vector<float> zeros(codec::kBlockElements);
  Bytes bomb;
  codec::encode(codec::parse("none+zstd").value(), zeros, bomb);
  seed(
      "codec", "bomb",
      Output().number(byte(2)).number(byte(0)).number(byte(0)).number(std::uint16_t{4}).rest(bomb));
  seed("codec", "block",
       Output()
           .number(byte(2))
           .number(byte(0))
           .number(byte(0))
           .number(std::uint16_t{0x8000 + 64})
           .rest(bomb));
}

/// `form u8`, and what the target takes for it.
void feedback() {
  std::vector<float> values(300);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) * 0.125f;
  const BytesView raw(reinterpret_cast<const std::byte*>(values.data()), 4 * values.size());
  Bytes encoded;
  const codec::Codec int8 = codec::parse("int8+zstd").value();
  codec::TopKCoder top_k({0.25, int8});
  top_k.encode(values, encoded);
  // codec of the values, fraction, chunk, decode or encode, elements
  const auto sparse = [](std::uint8_t codec, std::uint8_t chunk, std::uint8_t encode) {
    return Output()
        .number(byte(0))
        .number(codec)
        .number(byte(63))
        .number(chunk)
        .number(encode)
        .number(std::uint16_t{300});
  };
  seed("feedback", "top-k", sparse(5, 0, 0).rest(encoded));
  seed("feedback", "top-k-values", sparse(5, 0, 1).rest(raw));
  codec::TopKCoder chunks({0.25, codec::parse("int2").value(), 64});
  chunks.encode(values, encoded);
  seed("feedback", "top-k-int2", sparse(7, 4, 0).rest(encoded));
  seed("feedback", "top-k-int2-values", sparse(7, 4, 1).rest(raw));
  codec::PowerSgdCoder low_rank({2, int8}, {{20, 14}, {1, 20}});
  codec::Feedback state = low_rank.begin();
  low_rank.encode(values, state, encoded);
  const auto factors = [](std::uint8_t encode) {
    return Output()
        .number(byte(1))
        .number(byte(5))
        .number(byte(1))
        .rest(Bytes{std::byte{20}, std::byte{14}, std::byte{1}, std::byte{20}})
        .number(encode);
  };
  seed("feedback", "power-sgd", factors(0).rest(encoded));
  seed("feedback", "power-sgd-values", factors(1).rest(raw));
  const Bytes saved = codec::save({{1, 2, 3}, {0.5f}});
  seed("feedback", "saved", Output().number(byte(2)).number(byte(3)).number(byte(1)).rest(saved));
}

void shards() {
  const std::string hash(64, 'a');
  data::Manifest manifest;
  manifest.train = {6, {{"train-00000.bin", 3, hash}, {"train-00000.bin", 3, hash}}};
  manifest.validation = {0, {}};
  manifest.sources = {{"book.txt", 100, hash}};
  manifest.validation_fraction = 0.05;
  manifest.shard_tokens = 3;
  seed("manifest", "two-shards", data::to_json(manifest));
  data::Manifest pairs = manifest;
  pairs.pairs = data::PairInfo{"en", "es", {.window = 3, .separator = 254, .end = 255}, 1};
  seed("manifest", "pairs", data::to_json(pairs));
  seed("manifest", "duplicate-key", "{\"kind\": \"TokenShards\", \"kind\": \"TokenShards\"}");
  Bytes shard(data::kShardHeaderBytes);
  store(shard.data(), data::kShardMagic);
  store(shard.data() + 4, data::kShardVersion);
  store(shard.data() + 8, std::int32_t{3});
  for (const std::uint16_t token : {104, 105, 10})
    shard = Output().rest(shard).number(token).bytes();
  const std::string honest = fuzz::replaced(data::to_json(manifest), hash, "@sha256");
  Output windows;
  windows.number(std::uint16_t{0}).number(byte(6)).number(std::uint16_t{2}).number(byte(2));
  windows.number(std::uint16_t{5}).number(byte(2)).number(std::uint16_t{0xFF00}).number(byte(1));
  seed("token_shards", "two-shards",
       Output().rest(windows.bytes()).piece(as_bytes(honest)).rest(shard));
  seed("token_shards", "other-hash",
       Output().rest(windows.bytes()).piece(as_bytes(data::to_json(manifest))).rest(shard));
  seed("chapters", "headings",
       Output()
           .number(std::uint16_t{0x8001})
           .rest(as_bytes("before\n# one\na\n\n# two\nb\n# one\na\n")));
  seed("chapters", "blocks",
       Output().number(std::uint16_t{0x1000}).rest(as_bytes("\n\na\nb\n \nc\n\n\r\nd")));
}

void tokenizers() {
  const std::string model =
      "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"vocab\":{@bytes,\"\u0120t\":256,\"he\":257,"
      "\"\u0120the\":258},\"merges\":[\"\u0120 t\",\"h e\",[\"\u0120t\",\"he\"]]}";
  const std::string cut = "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":";
  const std::string added =
      "\"added_tokens\":[{\"id\":259,\"content\":\"<|end|>\",\"special\":true}],";
  const auto input = [](const std::string& text, const std::string& json) {
    return Output().number(byte(20)).piece(as_bytes(text)).rest(as_bytes("{" + json + "}"));
  };
  seed("tokenizer", "trained",
       Output().number(byte(24)).piece(as_bytes("the cat and the hat\n\n don't, the cat")));
  seed("tokenizer", "plain", input("the cat and the hat\n\n don't", cut + "false}," + model));
  seed("tokenizer", "added", input("the<|end|><|end", added + cut + "false}," + model));
  seed("tokenizer", "prefix", input("the <|end|>the", added + cut + "true}," + model));
  seed("tokenizer", "not-utf8",
       input("\xff\xe2\x82 \xc2\xa0\xe2\x82\xac 12 \xd9\xa3", cut + "false}," + model));
  seed("tokenizer", "normalizer",
       input("x", "\"normalizer\":{\"type\":\"NFC\"}," + cut + "false}," + model));
}

std::string safetensors_header(const std::string& entries) {
  return "{\"__metadata__\":{\"format\":\"pt\"}" + entries + "}";
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  std::size_t begin, std::size_t end) {
  return ",\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
         "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

/// The header of a GPT-2 with one layer of width 1, whose tensors are 28 floats.
std::string gpt2_header() {
  std::string entries;
  std::size_t at = 0;
  const auto add = [&](const std::string& name, const std::string& shape, std::size_t elements) {
    entries += entry(name, "F32", shape, at, at + 4 * elements);
    at += 4 * elements;
  };
  add("wte.weight", "2,1", 2);
  add("wpe.weight", "2,1", 2);
  add("ln_f.weight", "1", 1);
  add("ln_f.bias", "1", 1);
  for (const char* norm : {"ln_1", "ln_2"}) {
    add(std::string("h.0.") + norm + ".weight", "1", 1);
    add(std::string("h.0.") + norm + ".bias", "1", 1);
  }
  add("h.0.attn.c_attn.weight", "1,3", 3);
  add("h.0.attn.c_attn.bias", "3", 3);
  add("h.0.attn.c_proj.weight", "1,1", 1);
  add("h.0.attn.c_proj.bias", "1", 1);
  add("h.0.mlp.c_fc.weight", "1,4", 4);
  add("h.0.mlp.c_fc.bias", "4", 4);
  add("h.0.mlp.c_proj.weight", "4,1", 4);
  add("h.0.mlp.c_proj.bias", "1", 1);
  return safetensors_header(entries);
}
constexpr std::size_t kGpt2Bytes = 4 * 32;

/// A Llama with one layer of width 2, in F32 and BF16, its head in a file of its own.
Output two_files() {
  const std::string config =
      "{\"model_type\":\"llama\",\"vocab_size\":3,\"hidden_size\":2,\"intermediate_size\":1,"
      "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"max_position_embeddings\":2,"
      "\"rope_scaling\":null,\"rope_theta\":10000.0,\"tie_word_embeddings\":false}";
  const std::string layer = "model.layers.0.";
  std::string entries, index = "{\"metadata\":{\"total_size\":98},\"weight_map\":{";
  std::size_t at = 0;
  const auto add = [&](const std::string& name, const std::string& shape, std::size_t elements) {
    entries += entry(name, "F32", shape, at, at + 4 * elements);
    index += "\"" + name + "\":\"a.safetensors\",";
    at += 4 * elements;
  };
  add("model.embed_tokens.weight", "3,2", 6);
  add(layer + "input_layernorm.weight", "2", 2);
  for (const char* part : {"q", "k", "v", "o"}) {
    add(layer + "self_attn." + part + "_proj.weight", "2,2", 4);
  }
  add(layer + "post_attention_layernorm.weight", "2", 2);
  add(layer + "mlp.gate_proj.weight", "1,2", 2);
  add(layer + "mlp.up_proj.weight", "1,2", 2);
  add(layer + "mlp.down_proj.weight", "2,1", 2);
  add("model.norm.weight", "2", 2);
  index += "\"lm_head.weight\":\"b.safetensors\"}}";
  const std::string head = safetensors_header(entry("lm_head.weight", "BF16", "3,2", 0, 12));
  return Output()
      .piece(as_bytes(config))
      .piece(as_bytes(index))
      .piece(as_bytes(safetensors_header(entries)))
      .piece(Bytes(at, std::byte{3}))
      .piece(as_bytes(head))
      .rest(Bytes(12, std::byte{3}));
}

void tensors() {
  const std::string header =
      safetensors_header(entry("a", "F32", "2,2", 0, 16) + entry("b.adam_m", "BF16", "", 16, 18) +
                         entry("empty", "I64", "0,3", 18, 18));
  const auto file = [](const std::string& text, std::size_t bytes) {
    return Output().piece(as_bytes(text)).rest(Bytes(bytes, std::byte{3}));
  };
  seed("safetensors", "three", Output().number(byte(0)).rest(file(header, 18).bytes()));
  seed("safetensors", "none", Output().number(byte(0)).rest(file("{}      ", 0).bytes()));
  seed("safetensors", "overlap",
       Output().number(byte(0)).rest(
           file(safetensors_header(entry("a", "U8", "2", 0, 2) + entry("b", "U8", "2", 1, 3)), 3)
               .bytes()));
  seed("safetensors", "overflow",
       Output().number(byte(0)).rest(
           file(safetensors_header(entry("a", "F32", "4194305,4194305,211106198978564", 0, 4)), 4)
               .bytes()));
  seed("safetensors", "huge-header", Output().number(byte(1)).number(std::uint64_t{100'000'001}));
  seed("safetensors", "escaping-name",
       Output().number(byte(0)).rest(
           file(safetensors_header(entry("../a", "U8", "1", 0, 1)), 1).bytes()));

  const std::string config =
      "{\"model_type\":\"gpt2\",\"vocab_size\":2,\"n_positions\":2,\"n_embd\":1,\"n_layer\":1,\"n_"
      "head\":1,"
      "\"activation_function\":\"gelu_new\",\"layer_norm_epsilon\":1e-5}";
  const auto model = [&](const std::string& text, std::size_t bytes) {
    return Output().piece(as_bytes(config)).piece({}).rest(file(text, bytes).bytes());
  };
  seed("huggingface", "gpt2", model(gpt2_header(), kGpt2Bytes));
  std::string tied = gpt2_header();
  tied.pop_back();
  tied += entry("lm_head.weight", "F32", "2,1", kGpt2Bytes, kGpt2Bytes + 8) + "}";
  seed("huggingface", "tied-head", model(tied, kGpt2Bytes + 8));
  seed("huggingface", "other-tensors", model(header, 18));
  seed("huggingface", "llama-in-two-files", two_files());
  seed("huggingface", "index-beside-the-folder",
       Output()
           .piece(as_bytes(config))
           .piece(as_bytes("{\"weight_map\":{\"wte.weight\":\"../a.safetensors\"}}")));

  const std::string part =
      safetensors_header(entry("w", "F32", "2", 0, 8) + entry("w.adam_m", "F32", "2", 8, 16));
  const std::string manifest =
      "{\"kind\":\"Checkpoint\",\"version\":1,\"step\":3,\"job\":\"j\",\"seed\":1,\"model\":{},"
      "\"state\":{},"
      "\"parts\":[{\"file\":\"part-00000.safetensors\",\"bytes\":@bytes,\"sha256\":\"@sha256\"}],"
      "\"tensors\":{\"w\":{\"part\":0},\"w.adam_m\":{\"part\":0}},\"data\":{\"step\":3}}";
  seed("checkpoint", "one-part", Output().piece(as_bytes(manifest)).rest(file(part, 16).bytes()));
  seed("checkpoint", "another-hash",
       Output()
           .piece(as_bytes(fuzz::replaced(manifest, "@sha256", std::string(64, '0'))))
           .rest(file(part, 16).bytes()));
  seed("tune_cache", "one",
       "{\"format\": 1, \"processors\": {\"processor\": {\"matmul f32 [2,3]\": {\"kernel\": "
       "\"plain\", \"seconds\": 1e-3}}}}");
  seed("tune_cache", "other-format", "{\"format\": 2}");
}

void identities() {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  security::Credential credential = cluster.credential(security::Role::kNode);
  credential.not_after = ~std::uint64_t{0};
  const Bytes issued = cluster.authority.issue(credential).value();
  const auto files = [&](const std::string& key, BytesView own) {
    return Output()
        .number(byte(0))
        .piece(as_bytes(key))
        .piece(own)
        .piece(cluster.authority.public_key())
        .rest(cluster.scheduler->noise_key());
  };
  seed("identity_files", "node", files(fuzz::Cluster::key_file('n'), issued));
  seed("identity_files", "another-s-key", files(fuzz::Cluster::key_file('s'), issued));
  seed("identity_files", "expired",
       files(fuzz::Cluster::key_file('n'), cluster.local(security::Role::kNode).credential));
  seed("identity_files", "no-credential", files(fuzz::Cluster::key_file('n'), {}));
  seed("identity_files", "authority",
       Output().number(byte(1)).rest(as_bytes(fuzz::Cluster::authority_file())));
}

}  // namespace

void fuzz::seed_files() {
  descriptors();
  codecs();
  feedback();
  shards();
  tokenizers();
  tensors();
  identities();
}
