#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/fs.h"
#include "store/adapted_source.h"
#include "store/adapter_checkpoint.h"
#include "store/export.h"
#include "store/export_adapter.h"
#include "store/import.h"
#include "store/peft_reader.h"
#include "support/sample_adapter.h"

namespace moesaic {
namespace {

using test::contains;

const std::vector<ExpertLayout> kLayouts = {ExpertLayout::kPerExpert, ExpertLayout::kFused};

/// Where 2 x intermediate = hidden, so that a transposed matrix of gate and up has a shape that
/// fits.
Json config_of(const std::string& family) {
  Json config = {{"model_type", family},     {"vocab_size", 31},        {"hidden_size", 16},
                 {"intermediate_size", 8},   {"num_hidden_layers", 2},  {"num_attention_heads", 4},
                 {"num_key_value_heads", 2}, {"torch_dtype", "float32"}};
  if (family == "llama") return config;
  config["num_experts_per_tok"] = 3;
  if (family == "mixtral") config["num_local_experts"] = test::kSampleExperts;
  if (family == "olmoe" || family == "qwen3_moe") config["num_experts"] = test::kSampleExperts;
  if (family == "qwen3_moe") config.update(Json{{"moe_intermediate_size", 8}, {"head_dim", 4}});
  if (family != "deepseek_v3") return config;
  config.update(Json{{"num_key_value_heads", 4},
                     {"moe_intermediate_size", 8},
                     {"kv_lora_rank", 6},
                     {"q_lora_rank", 5},
                     {"qk_nope_head_dim", 4},
                     {"qk_rope_head_dim", 2},
                     {"v_head_dim", 3},
                     {"n_routed_experts", test::kSampleExperts},
                     {"n_shared_experts", 1},
                     {"n_group", 1},
                     {"topk_group", 1},
                     {"first_k_dense_replace", 1},
                     {"num_nextn_predict_layers", 1}});
  return config;
}

class Peft : public testing::Test {
 protected:
  std::string folder() const { return folder_.file("adapter"); }
  std::string hub() const { return folder_.file("hub"); }
  arch::Options options() const { return arch::require_options(config_, "sample"); }

  /// Written in a layout and read again.
  Adapter through(const Adapter& adapter, ExpertLayout layout) const {
    std::filesystem::remove_all(folder());
    std::filesystem::create_directories(folder());
    write_peft_files(folder(), peft_files(adapter, options(), layout));
    return read_peft_folder(folder(), options());
  }
  void expect_same_changes(const Adapter& adapter, const Adapter& read) const {
    for (const auto& [name, pair] : read.pairs) {
      const auto wanted = adapter.pairs.find(name);
      const at::Tensor change = test::change_of(pair);
      const at::Tensor right =
          wanted == adapter.pairs.end() ? at::zeros_like(change) : test::change_of(wanted->second);
      EXPECT_TRUE(at::allclose(change, right, 1e-5, 1e-5)) << name;
    }
    for (const auto& [name, pair] : adapter.pairs) EXPECT_TRUE(read.pairs.contains(name)) << name;
  }
  std::string refusal() const {
    return test::refusal_of([&] { read_peft_folder(folder(), options()); });
  }
  /// Of q_proj in both layers.
  test::HubTensors query_tensors(std::int64_t rank = 3) const {
    test::HubTensors tensors;
    for (const char* layer : {"0", "1"}) {
      const std::string module = format("base_model.model.model.layers.{}.self_attn.q_proj", layer);
      tensors[module + ".lora_A.weight"] = test::sample_tensor("a", {rank, 16}, at::kFloat);
      tensors[module + ".lora_B.weight"] = test::sample_tensor("b", {16, rank}, at::kFloat);
    }
    return tensors;
  }

  /// The same with magnitudes, which it returns, and the base that they belong to.
  test::HubTensors write_dora_and_base() const {
    test::HubTensors tensors = query_tensors();
    for (const char* layer : {"0", "1"}) {
      tensors[format("base_model.model.model.layers.{}.self_attn.q_proj.lora_magnitude_vector",
                     layer)] = test::sample_tensor("m", {16}, at::kFloat).abs().add(1);
    }
    test::write_peft_folder(folder(), test::sample_peft_config({{"use_dora", true}}), tensors);
    test::write_hub_folder(hub(), config_, test::sample_hub_tensors(config_));
    return tensors;
  }

  test::SampleFolder folder_;
  RankContext context_ = RankContext::single();
  Json config_ = test::sample_hub_config();
};

TEST_F(Peft, FoldersGiveBackWhatWasWrittenInBothLayouts) {
  for (const char* family : {"llama", "mixtral", "olmoe", "qwen3_moe", "deepseek_v3"}) {
    config_ = config_of(family);
    const Adapter adapter =
        test::sample_adapter(options(), {"_proj.", ".w1.", ".w2.", ".w3.", "gate.", "lm_head"});
    for (const ExpertLayout layout : kLayouts) {
      SCOPED_TRACE(family);
      expect_same_changes(adapter, through(adapter, layout));
    }
  }
}

TEST_F(Peft, NamesOfFusedExpertsAreThoseInMemory) {
  config_ = config_of("mixtral");
  const Adapter adapter = test::sample_adapter(options(), {"layers.1."});
  const PeftFiles files = peft_files(adapter, options(), ExpertLayout::kFused);
  const std::string experts = "base_model.model.model.layers.1.mlp.experts.";
  // 12 experts, rank 3; gate and up together twice that.
  EXPECT_EQ(files.tensors.at(experts + "base_layer.lora_A.weight").sizes(),
            at::IntArrayRef({72, 16}));
  EXPECT_EQ(files.tensors.at(experts + "base_layer.lora_B.weight").sizes(),
            at::IntArrayRef({16, 72}));
  EXPECT_EQ(files.tensors.at(experts + "lora_A.weight").sizes(), at::IntArrayRef({36, 8}));
  EXPECT_EQ(files.config.target_parameters,
            (std::vector<std::string>{"model.layers.1.mlp.experts.down_proj",
                                      "model.layers.1.mlp.experts.gate_up_proj",
                                      "model.layers.1.mlp.gate.weight"}));
  // Element (expert 5, rank 2) of A and B of the down projection.
  const AdapterPair& down = adapter.pairs.at("model.layers.1.block_sparse_moe.experts.w2.weight");
  EXPECT_TRUE(at::equal(files.tensors.at(experts + "lora_A.weight")[5 * 3 + 2], down.a[5][2]));
  EXPECT_TRUE(at::equal(files.tensors.at(experts + "lora_B.weight").select(1, 2 * 12 + 5),
                        down.b[5].select(1, 2)));
}

TEST_F(Peft, ConfigurationsUseShortNamesWhereTheyMeanNothingElse) {
  config_ = config_of("olmoe");
  const PeftFiles files =
      peft_files(test::sample_adapter(options(), {"q_proj", "0.self_attn.k_proj", "experts."}),
                 options(), ExpertLayout::kPerExpert);
  EXPECT_EQ(files.config.target_modules,
            (std::vector<std::string>{"model.layers.0.self_attn.k_proj", "q_proj", "down_proj",
                                      "gate_proj", "up_proj"}));
  EXPECT_EQ(files.config.target_parameters,
            (std::vector<std::string>{"down_proj", "gate_up_proj"}));
  EXPECT_EQ(files.config.r, 3);
  EXPECT_EQ(files.config.lora_alpha, 6);
  EXPECT_EQ(files.config.rank_pattern, (PeftPatterns<std::int64_t>{{"gate_up_proj", 6}}));
}

// PEFT takes gate_proj, up_proj and down_proj of such a model for the routed experts.
TEST_F(Peft, NetworksBesideRoutedExpertsAreParameters) {
  config_ = config_of("deepseek_v3");
  const PeftFiles files = peft_files(
      test::sample_adapter(options(), {"shared_experts.", "layers.0.mlp.up_proj", "mlp.gate."}),
      options(), ExpertLayout::kPerExpert);
  EXPECT_TRUE(files.config.target_modules.empty());
  EXPECT_EQ(files.config.target_parameters,
            (std::vector<std::string>{"mlp.gate.weight", "mlp.shared_experts.down_proj.weight",
                                      "mlp.shared_experts.gate_proj.weight",
                                      "mlp.shared_experts.up_proj.weight", "mlp.up_proj.weight"}));
}

TEST_F(Peft, PartsOfTheExpertsAreCompleted) {
  config_ = config_of("olmoe");
  const std::vector<std::vector<std::string>> some = {{"experts.gate_proj"},
                                                      {"experts.up_proj", "experts.gate_proj"},
                                                      {"experts.down_proj"},
                                                      {"layers.1.mlp.experts.up_proj"}};
  for (const std::vector<std::string>& parts : some) {
    const Adapter adapter = test::sample_adapter(options(), parts);
    for (const ExpertLayout layout : kLayouts) {
      const Adapter read = through(adapter, layout);
      expect_same_changes(adapter, read);
      const bool all = parts[0] != "experts.down_proj" && layout == ExpertLayout::kPerExpert;
      if (all) {
        EXPECT_EQ(read.pairs.size(), 6U);
      }
    }
  }
}

TEST_F(Peft, RanksAndScalesMayDiffer) {
  config_ = config_of("qwen3_moe");
  Adapter adapter = test::sample_adapter(options(), {"experts.", "q_proj", "k_proj"});
  std::int64_t number = 0;
  for (auto& [name, pair] : adapter.pairs) {
    std::vector<std::int64_t> shape = pair.b.sizes().vec();
    shape.back() = pair.a.sizes().back();
    ++number;
    pair = test::sample_pair(name, shape, 1 + number % 4, 0.5 * static_cast<double>(number));
  }
  for (const ExpertLayout layout : kLayouts) expect_same_changes(adapter, through(adapter, layout));
}

TEST_F(Peft, PairsOfFusedExpertsShareAAndGoBackAsTheyCame) {
  config_ = config_of("olmoe");
  const std::string experts = "base_model.model.model.layers.0.mlp.experts.";
  test::HubTensors tensors;
  tensors[experts + "lora_A.weight"] = test::sample_tensor("a", {36, 16}, at::kFloat);
  tensors[experts + "lora_B.weight"] = test::sample_tensor("b", {16, 36}, at::kFloat);
  test::write_peft_folder(
      folder(), test::sample_peft_config({{"target_parameters", {"experts.gate_up_proj"}}}),
      tensors);
  const Adapter adapter = read_peft_folder(folder(), options());
  ASSERT_EQ(adapter.pairs.size(), 2U);
  EXPECT_TRUE(at::equal(adapter.pairs.begin()->second.a, adapter.pairs.rbegin()->second.a));
  // Row 9 of both is row 1 of up.
  const AdapterPair& up = adapter.pairs.at("model.layers.0.mlp.experts.up_proj.weight");
  EXPECT_TRUE(at::equal(up.b[7][1][2], tensors[experts + "lora_B.weight"][9][2 * 12 + 7]));
  const PeftFiles files = peft_files(adapter, options(), ExpertLayout::kFused);
  EXPECT_EQ(test::different_tensor(files.tensors, tensors), "");
}

TEST_F(Peft, ScalesFollowPatternsAndRsLora) {
  test::write_peft_folder(
      folder(),
      test::sample_peft_config(
          {{"use_rslora", true},
           {"rank_pattern", {{"layers.1.self_attn.q_proj", 4}, {".*q_proj", 3}}},
           {"alpha_pattern", {{"layers\\.[1-9].*", 10.5}}}}),
      [&] {
        test::HubTensors tensors = query_tensors(3);
        for (const auto& [name, values] : query_tensors(4))
          if (contains(name, "layers.1.")) tensors[name] = values;
        return tensors;
      }());
  const Adapter adapter = read_peft_folder(folder(), options());
  EXPECT_EQ(adapter.pairs.at("model.layers.0.self_attn.q_proj.weight").scale, 6 / std::sqrt(3.0));
  EXPECT_EQ(adapter.pairs.at("model.layers.1.self_attn.q_proj.weight").scale, 10.5 / 2);
}

TEST_F(Peft, AdaptersOfOtherModelsAreRefused) {
  test::HubTensors tensors = query_tensors();
  const std::string module = "base_model.model.model.layers.0.self_attn.q_proj";
  const auto refused = [&](const test::HubTensors& wrong, const Json& changes = Json::object()) {
    test::write_peft_folder(folder(), test::sample_peft_config(changes), wrong);
    return refusal();
  };
  EXPECT_EQ(refused(tensors), "");
  EXPECT_TRUE(contains(refused(tensors, {{"r", 4}}), "has rank 3 (adapter_config.json says 4)"));
  EXPECT_TRUE(contains(refused(tensors, {{"use_dora", true}}), "lora_magnitude_vector"));
  test::HubTensors wrong = tensors;
  wrong.erase(module + ".lora_B.weight");
  EXPECT_TRUE(contains(refused(wrong), "missing from the adapter: "));
  EXPECT_TRUE(contains(refused(wrong), "some/base"));
  wrong[module + ".lora_B.weight"] = at::ones({15, 3});
  EXPECT_TRUE(contains(refused(wrong), "has factors [3, 16] and [15, 3] (here [16, 16])"));
  for (const char* name :
       {"base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.experts.12.up_proj.lora_A.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A", "model.norm.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        "base_model.model.model.layers.0.self_attn.z_proj.lora_A.weight"}) {
    wrong = tensors;
    wrong[name] = at::ones({3, 16});
    EXPECT_TRUE(contains(refused(wrong), "only in the adapter: ")) << name;
  }
}

TEST_F(Peft, ConfigurationsThatMeanOtherNumbersAreRefused) {
  for (const auto& [key, value, said] : std::vector<std::tuple<std::string, Json, std::string>>{
           {"peft_type", "IA3", "peft_type is \"IA3\""},
           {"r", 0, "r is 0"},
           {"r", "8", "r is \"8\""},
           {"lora_alpha", nullptr, ""},
           {"lora_alpha", "x", "lora_alpha is"},
           {"bias", "all", "bias is \"all\""},
           {"rank_pattern", {{"q_proj", -1}}, "rank_pattern.q_proj is -1"},
           {"init_lora_weights", "pissa", "path_initial_model_for_weight_conversion"},
           {"init_lora_weights", "gaussian", ""},
           {"fan_in_fan_out", true, "fan_in_fan_out is true"},
           {"trainable_token_indices", {1, 2}, "trainable_token_indices is [1,2]"},
           {"some_new_key", 3, "some_new_key is 3"},
           {"some_new_key", false, ""},
           {"alpha_pattern", {{"q_proj(", 1}}, "q_proj("}}) {
    test::write_peft_folder(folder(), test::sample_peft_config({{key, value}}), query_tensors());
    const std::string error = refusal();
    EXPECT_EQ(error.empty(), said.empty()) << key << error;
    EXPECT_TRUE(contains(error, said)) << error;
  }
  test::write_text(folder() + "/" + kPeftConfigFile, "[]");
  EXPECT_TRUE(contains(refusal(), "holds no JSON object"));
  std::filesystem::remove(folder() + "/" + kPeftConfigFile);
  EXPECT_TRUE(contains(refusal(), "is no PEFT folder"));
}

TEST_F(Peft, WhatPeftHasNoFormForIsRefused) {
  config_ = config_of("deepseek_v3");
  for (const char* part : {"experts.gate_proj", "shared_experts.up_proj", "mlp.gate."}) {
    Adapter adapter = test::sample_adapter(options(), {part});
    for (auto& [name, pair] : adapter.pairs) pair.magnitude = at::ones(pair.b.sizes().slice(0, 1));
    const std::string error =
        test::refusal_of([&] { peft_files(adapter, options(), ExpertLayout::kFused); });
    EXPECT_TRUE(contains(error, "PEFT has no form for DoRA of ")) << part << error;
  }
  const std::string beyond = "model.layers.2.self_attn.o_proj.weight";
  Adapter adapter;
  adapter.pairs.emplace(beyond, test::sample_pair(beyond, {16, 12}, 2));
  EXPECT_TRUE(
      contains(test::refusal_of([&] { peft_files(adapter, options(), ExpertLayout::kFused); }),
               "multi-token prediction"));
}

// PEFT has the two apart, and loads each from its own key.
TEST_F(Peft, AnEmbeddingThatIsTheOutputHeadIsWrittenAsBoth) {
  config_["tie_word_embeddings"] = true;
  const std::string embedding = "model.embed_tokens.weight",
                    head = "base_model.model.lm_head.weight";
  Adapter adapter = test::sample_adapter(options(), {"q_proj"});
  adapter.saved[embedding] = test::sample_tensor("other", {31, 16}, at::kFloat);
  const Adapter read = through(adapter, ExpertLayout::kPerExpert);
  ASSERT_EQ(read.saved.size(), 1U);
  EXPECT_TRUE(at::equal(read.saved.at(embedding), adapter.saved.at(embedding)));
  const PeftFiles files = peft_files(adapter, options(), {});
  EXPECT_EQ(files.config.modules_to_save,
            (std::vector<std::string>{"lm_head", "model.embed_tokens"}));
  const auto refusal_without = [&](const std::function<void(PeftFiles&)>& change) {
    PeftFiles changed = files;
    change(changed);
    write_peft_files(folder(), changed);
    return refusal();
  };
  const std::string reason = "are one tensor here";
  EXPECT_TRUE(contains(refusal_without([&](auto& all) { all.tensors.erase(head); }), reason));
  EXPECT_TRUE(contains(refusal_without([&](auto& all) {
                         all.tensors.erase("base_model.model.model.embed_tokens.weight");
                       }),
                       reason));
  EXPECT_TRUE(contains(
      refusal_without([&](auto& all) { all.tensors[head] = all.tensors[head].add(1); }), reason));
}

// As PEFT writes it beside the factors of an output head.
TEST_F(Peft, AFrozenWeightOfAnAdaptedHeadIsPassedOver) {
  const Adapter adapter = test::sample_adapter(options(), {"lm_head"});
  PeftFiles files = peft_files(adapter, options(), {});
  const std::string frozen = "base_model.model.lm_head.base_layer.weight";
  files.tensors[frozen] = test::sample_tensor("head", {31, 16}, at::kFloat);
  std::filesystem::create_directories(folder());
  write_peft_files(folder(), files);
  const Adapter read = read_peft_folder(folder(), options());
  EXPECT_EQ(read.pairs.size(), 1U);
  EXPECT_TRUE(read.saved.empty());
  files.tensors[frozen] = test::sample_tensor("head", {30, 16}, at::kFloat);
  write_peft_files(folder(), files);
  EXPECT_TRUE(contains(refusal(), "has shape [30, 16] (here [31, 16])"));
}

TEST_F(Peft, AdaptersAreMergedOnTheirWay) {
  test::write_hub_folder(hub(), config_, test::sample_hub_tensors(config_));
  Adapter adapter = test::sample_adapter(options(), {"experts.", "k_proj", "mlp.gate"});
  adapter.saved["model.norm.weight"] = test::sample_tensor("other", {16}, at::kDouble);
  through(adapter, ExpertLayout::kFused);
  const auto source = adapted(context_, ModelSource::open(context_, hub()), folder());
  const StateDict model = test::empty_slices(context_, config_, at::kDouble);
  source->load(context_, model, {});
  for (const StateEntry& entry : model) {
    at::Tensor right =
        test::sample_tensor(entry.name, entry.global_shape, at::kFloat).to(at::kDouble);
    const auto pair = adapter.pairs.find(entry.name);
    if (pair != adapter.pairs.end()) right = right.add(test::change_of(pair->second));
    if (adapter.saved.contains(entry.name)) right = adapter.saved.at(entry.name);
    EXPECT_TRUE(at::allclose(entry.tensor, right, 1e-12, 1e-12)) << entry.name;
    const at::Tensor rows = source->rows(entry.name, 3, 2).to(at::kDouble);
    EXPECT_TRUE(at::allclose(rows, entry.tensor.narrow(0, 3, 2), 1e-12, 1e-12)) << entry.name;
  }
}

TEST_F(Peft, DoraBringsEachRowToItsLength) {
  const test::HubTensors tensors = write_dora_and_base();
  const auto source = adapted(context_, ModelSource::open(context_, hub()), folder());
  const at::Tensor rows = source->rows("model.layers.1.self_attn.q_proj.weight", 4, 8);
  const at::Tensor length = rows.square().sum(1).sqrt();
  const at::Tensor wanted = test::sample_tensor("m", {16}, at::kFloat).abs().add(1).narrow(0, 4, 8);
  EXPECT_TRUE(at::allclose(length, wanted.to(at::kDouble), 1e-12, 1e-12));
  const PeftFiles files = peft_files(read_peft_folder(folder(), options()), options(), {});
  EXPECT_TRUE(files.config.use_dora);
  EXPECT_EQ(test::different_tensor(files.tensors, tensors), "");
}

TEST_F(Peft, MergedModelsAreExportedAndImported) {
  config_["torch_dtype"] = "bfloat16";
  test::HubTensors tensors = test::sample_hub_tensors(config_, at::kBFloat16);
  test::write_hub_folder(hub(), config_, tensors);
  const Adapter adapter = test::sample_adapter(options(), {"q_proj", "down_proj"});
  through(adapter, ExpertLayout::kPerExpert);
  const Log quiet({.console = false});
  export_model(hub(), folder_.file("out"), {.adapter = folder()}, quiet);
  import_model(folder(), folder_.file("checkpoint"), {.base = hub()}, quiet);
  export_model(folder_.file("checkpoint"), folder_.file("again"), {}, quiet);
  const std::string query = "model.layers.0.self_attn.q_proj.weight";
  tensors[query] = tensors[query]
                       .to(at::kDouble)
                       .add(test::change_of(adapter.pairs.at(query)))
                       .to(at::kBFloat16);
  const test::HubTensors merged = test::read_hub_tensors(folder_.file("out"));
  EXPECT_TRUE(at::equal(merged.at(query), tensors[query]));
  EXPECT_TRUE(at::equal(merged.at("lm_head.weight"), tensors["lm_head.weight"]));
  for (const auto& [name, values] : test::read_hub_tensors(folder_.file("again")))
    EXPECT_EQ(values.scalar_type(), at::kBFloat16) << name;
}

void expect_equal(const Adapter& a, const Adapter& b) {
  ASSERT_EQ(a.pairs.size(), b.pairs.size());
  ASSERT_EQ(a.saved.size(), b.saved.size());
  for (const auto& [name, pair] : a.pairs) {
    const AdapterPair& other = b.pairs.at(name);
    EXPECT_TRUE(at::equal(pair.a, other.a) && at::equal(pair.b, other.b)) << name;
    EXPECT_EQ(pair.magnitude.defined(), other.magnitude.defined()) << name;
    if (pair.magnitude.defined()) {
      EXPECT_TRUE(at::equal(pair.magnitude, other.magnitude)) << name;
    }
    EXPECT_EQ(pair.scale, other.scale) << name;
  }
  for (const auto& [name, values] : a.saved)
    EXPECT_TRUE(at::equal(values, b.saved.at(name))) << name;
}

TEST_F(Peft, ImportsAreTheWayBackOfExports) {
  const Log quiet({.console = false});
  for (const char* family : {"llama", "mixtral", "deepseek_v3"}) {
    SCOPED_TRACE(family);
    config_ = config_of(family);
    test::SampleFolder place;
    const std::string base = place.file("hub"), checkpoint = place.file("checkpoint");
    test::write_hub_folder(base, config_, test::sample_hub_tensors(config_));
    Adapter adapter = test::sample_adapter(options(), {"_proj.", ".w1.", ".w2.", ".w3.", "gate."});
    adapter.saved["lm_head.weight"] = test::sample_tensor("head", {31, 16}, at::kFloat);
    const Adapter written = through(adapter, ExpertLayout::kPerExpert);
    import_model(folder(), checkpoint, {.base = base}, quiet);
    const CheckpointInfo info = CheckpointStore::open(context_, checkpoint);
    ASSERT_TRUE(holds_adapter(info));
    EXPECT_EQ(AdapterBase::of(info).path, base);
    expect_equal(written, AdapterCheckpoint(info).whole());
    export_adapter(checkpoint, place.file("again"), {});
    expect_equal(written, read_peft_folder(place.file("again"), options()));
    // Merged row by row as from the PEFT folder, at the base or beside it.
    const auto direct = adapted(context_, ModelSource::open(context_, base), folder());
    const auto beside = adapted(context_, ModelSource::open(context_, base), checkpoint);
    const auto own = ModelSource::open(context_, checkpoint);
    for (const arch::ParameterInfo& row : arch::parameter_table(options())) {
      const at::Tensor right = direct->rows(row.name, 1, 3).to(at::kDouble);
      EXPECT_TRUE(at::equal(own->rows(row.name, 1, 3).to(at::kDouble), right)) << row.name;
      EXPECT_TRUE(at::equal(beside->rows(row.name, 1, 3).to(at::kDouble), right)) << row.name;
    }
    const std::string other = place.file("other");
    test::HubTensors tensors = test::sample_hub_tensors(config_);
    tensors.at("model.norm.weight").add_(1);
    test::write_hub_folder(other, config_, tensors);
    EXPECT_TRUE(contains(test::refusal_of([&] { ModelSource::open(context_, checkpoint, other); }),
                         "--base"));
    const std::string refused = test::refusal_of(
        [&] { adapted(context_, ModelSource::open(context_, other), checkpoint); });
    EXPECT_TRUE(contains(refused, "is not the base of")) << refused;
  }
}

TEST_F(Peft, ImportsWithDoraKeepTheMagnitudes) {
  write_dora_and_base();
  const std::string checkpoint = folder_.file("checkpoint");
  import_model(folder(), checkpoint, {.base = hub()}, Log({.console = false}));
  expect_equal(read_peft_folder(folder(), options()),
               AdapterCheckpoint(CheckpointStore::open(context_, checkpoint)).whole());
}

TEST_F(Peft, ConfigurationsOfAllVersionsAreKnown) {
  // What a LoraConfig of 0.10, and one of 0.21, writes of its own.
  const Json oldest = {{"auto_mapping", nullptr},
                       {"fan_in_fan_out", false},
                       {"inference_mode", true},
                       {"layer_replication", nullptr},
                       {"layers_pattern", nullptr},
                       {"layers_to_transform", nullptr},
                       {"loftq_config", Json::object()},
                       {"lora_dropout", 0.05},
                       {"megatron_config", nullptr},
                       {"megatron_core", "megatron.core"},
                       {"revision", nullptr},
                       {"target_modules", {"q_proj"}},
                       {"task_type", "CAUSAL_LM"}};
  Json newest = oldest;
  newest.update(Json{{"alora_invocation_tokens", nullptr},
                     {"arrow_config", nullptr},
                     {"corda_config", nullptr},
                     {"ensure_weight_tying", false},
                     {"eva_config", nullptr},
                     {"exclude_modules", nullptr},
                     {"kasa_config", nullptr},
                     {"lora_bias", false},
                     {"lora_ga_config", nullptr},
                     {"monteclora_config", nullptr},
                     {"qalora_group_size", 16},
                     {"target_parameters", nullptr},
                     {"trainable_token_indices", nullptr},
                     {"use_bdlora", nullptr},
                     {"use_qalora", false},
                     {"velora_config", {{"rank", 1}}}});
  for (const Json& config : {oldest, newest}) {
    test::write_peft_folder(folder(), test::sample_peft_config(config), query_tensors());
    EXPECT_EQ(refusal(), "");
  }
  // What computes something else.
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"alora_invocation_tokens", {1, 2}},
                                                 {"arrow_config", {{"top_k", 2}}},
                                                 {"kasa_config", {{"beta", 0.1}}},
                                                 {"layer_replication", {{0, 2}}},
                                                 {"lora_bias", true},
                                                 {"monteclora_config", {{"samples", 2}}},
                                                 {"use_bdlora", {{"nblocks", 2}}},
                                                 {"use_qalora", true}}) {
    test::write_peft_folder(folder(), test::sample_peft_config({{key, value}}), query_tensors());
    EXPECT_TRUE(contains(refusal(), key)) << key;
    EXPECT_TRUE(contains(refusal(), "merge_and_unload")) << refusal();
  }
}

TEST_F(Peft, FoldersAreRewrittenInTheOtherLayout) {
  test::write_hub_folder(hub(), config_, test::sample_hub_tensors(config_));
  const Adapter adapter = test::sample_adapter(options(), {"experts.", "o_proj"});
  through(adapter, ExpertLayout::kFused);
  const std::string to = folder_.file("out");
  export_adapter(folder(), to, {.base = hub()});
  expect_same_changes(adapter, read_peft_folder(to, options()));
  EXPECT_TRUE(contains(read_file(to + "/" + kPeftConfigFile), "\"peft_version\": \"0.21.2\""));
  EXPECT_TRUE(
      contains(test::refusal_of([&] { export_adapter(folder(), to, {.base = hub()}); }), to));
  export_adapter(folder(), to, {.base = hub(), .layout = ExpertLayout::kFused, .overwrite = true});
  expect_same_changes(adapter, read_peft_folder(to, options()));
  EXPECT_TRUE(contains(test::refusal_of([&] { export_adapter(folder(), folder_.file("new"), {}); }),
                       "--base"));
}

}  // namespace
}  // namespace moesaic
