#include "store/hub_folder.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/fs.h"
#include "store/hub_weights.h"
#include "support/sample_hub.h"

namespace moesaic {
namespace {

using test::contains;

constexpr const char* kNorm = "model.norm.weight";
constexpr const char* kExpert = "model.layers.1.mlp.experts.7.up_proj.weight";

TEST(HubName, IsTakenApartAtTheExpertAndPutTogetherAgain) {
  const HubName name = split_hub_name(kExpert);
  EXPECT_EQ(name.parameter, "model.layers.1.mlp.experts.up_proj.weight");
  EXPECT_EQ(name.expert, 7);
  EXPECT_EQ(hub_name(name.parameter, 7), kExpert);
  for (const char* plain : {"model.norm.weight", "a.shared_experts.up_proj.weight", "a.experts.x.w",
                            "a.experts.07.w", "a.experts.7", "a.experts.99999999999999999999.w"}) {
    EXPECT_EQ(split_hub_name(plain).parameter, plain);
    EXPECT_FALSE(split_hub_name(plain).expert);
  }
  EXPECT_EQ(layer_of("model.layers.12.mlp.w"), 12);
  EXPECT_FALSE(layer_of("model.norm.weight"));
}

TEST(HubName, OfExpertsInOneTensorIsKnown) {
  const auto both = fused_experts("model.layers.3.mlp.experts.gate_up_proj");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->prefix, "model.layers.3.mlp.experts.");
  EXPECT_TRUE(both->gate_and_up);
  EXPECT_FALSE(fused_experts("model.layers.3.mlp.experts.down_proj")->gate_and_up);
  for (const char* other : {"model.layers.3.mlp.down_proj", "a.experts.3.down_proj",
                            "a.experts.down_proj.weight", "a.shared_experts.down_proj"})
    EXPECT_FALSE(fused_experts(other)) << other;
}

TEST(HubName, OfWhatIsComputedIsKnown) {
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq",
                           "model.rotary_emb.original_inv_freq", "a.rotary_emb.cos_cached"})
    EXPECT_TRUE(is_computed(name)) << name;
  for (const char* name : {"inv_freq", "model.norm.weight", "my_rotary_emb.inv_freq"})
    EXPECT_FALSE(is_computed(name)) << name;
}

TEST(ModelNames, LoseWhatWrappersAdd) {
  struct Case {
    const char* embedding;
    const char* norm;
    const char* head;
  };
  for (const Case& saved :
       {Case{"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"},
        {"_orig_mod.model.embed_tokens.weight", "_orig_mod.model.norm.weight",
         "_orig_mod.lm_head.weight"},
        {"module._orig_mod.model.embed_tokens.weight", "module._orig_mod.model.norm.weight",
         "module._orig_mod.lm_head.weight"},
        {"model._orig_mod.embed_tokens.weight", "model._orig_mod.norm._orig_mod.weight",
         "lm_head.weight"},
        {"base_model.model.model.embed_tokens.weight", "base_model.model.model.norm.weight",
         "base_model.model.lm_head.weight"},
        {"embed_tokens.weight", "norm.weight", "lm_head.weight"},
        {"module.embed_tokens.weight", "module.norm.weight", "module.lm_head.weight"}}) {
    ModelNames names;
    for (const char* name : {saved.norm, saved.embedding, saved.head}) names.see(name);
    EXPECT_EQ(names.in_model(saved.embedding), "model.embed_tokens.weight") << saved.embedding;
    EXPECT_EQ(names.in_model(saved.norm), "model.norm.weight") << saved.norm;
    EXPECT_EQ(names.in_model(saved.head), "lm_head.weight") << saved.head;
  }
}

std::string index_refusal(const std::string& text) {
  return test::refusal_of([&] { parse_hub_index(text, "index"); });
}

TEST(HubIndex, IsReadAsItIsWritten) {
  const HubIndex index{{"a.safetensors", "b.safetensors"}, {{"x", 1}, {"y", 0}, {"z", 1}}};
  const HubIndex read = parse_hub_index(hub_index_text(index, 12), "index");
  EXPECT_EQ(read.shards, index.shards);
  EXPECT_EQ(read.weights, index.weights);
}

TEST(HubIndex, PassesOverOtherKeys) {
  const HubIndex read = parse_hub_index(
      R"({"metadata":{"total_size":1.5,"x":[{"weight_map":{"no":"no"}},null]},"weight_map":{"x":"a.safetensors"},"y":true})",
      "index");
  EXPECT_EQ(read.weights, (std::vector<std::pair<std::string, std::size_t>>{{"x", 0}}));
}

TEST(HubIndex, RefusesWhatIsNone) {
  for (const char* text :
       {"", "[]", "{}", "5", R"({"weight_map":5})", R"({"weight_map":[]})",
        R"({"weight_map":["x"]})", R"({"weight_map":{"x":5}})",
        R"({"weight_map":{"x":{"y":"a.safetensors"}}})", R"({"weight_map":{"x":"a.bin"}})",
        R"([{"weight_map":{"x":"a.safetensors"}}])"}) {
    EXPECT_NE(index_refusal(text), "") << text;
  }
  for (const char* file : {"../a.safetensors", "/a.safetensors", "x/a.safetensors", ".safetensors",
                           "a.safetensors ", "x\\\\a.safetensors"}) {
    EXPECT_TRUE(contains(index_refusal(format(R"({{"weight_map":{{"x":"{}"}}}})", file)),
                         "is not the name"))
        << file;
  }
  EXPECT_TRUE(contains(index_refusal(R"({"weight_map":{"x":"a.safetensors","x":"a.safetensors"}})"),
                       "'x' is there twice"));
  EXPECT_TRUE(contains(index_refusal(R"({"weight_map":{},"weight_map":{}})"), "twice"));
  EXPECT_TRUE(contains(index_refusal(R"({"weight_map":{"\n":"a.safetensors"}})"), "is no name"));
}

class Folder : public testing::Test {
 protected:
  void write(std::size_t shards = 1) { test::write_hub_folder(path(), config_, tensors_, shards); }
  std::string path() const { return folder_.file("hub"); }
  std::string refusal() const {
    return test::refusal_of([&] {
      const HubFolder folder(path());
      HubWeights(folder, arch::require_options(folder.config(), path())).check_copies();
    });
  }
  std::string refusal_without(const std::string& name) {
    tensors_.erase(name);
    write();
    return refusal();
  }
  std::string refusal_with(const std::string& name, const at::Tensor& values) {
    tensors_[name] = values;
    write();
    return refusal();
  }

  test::SampleFolder folder_;
  Json config_ = test::sample_hub_config();
  test::HubTensors tensors_ = test::sample_hub_tensors(config_);
};

TEST_F(Folder, OfOneFileOrOfShardsHoldsEveryTensor) {
  for (const std::size_t shards : {1, 3}) {
    std::filesystem::remove_all(path());
    write(shards);
    const HubFolder folder(path());
    EXPECT_EQ(folder.files().size(), shards);
    ASSERT_EQ(folder.tensors().size(), tensors_.size());
    auto expected = tensors_.begin();
    for (const HubTensor& item : folder.tensors())
      EXPECT_EQ(item.tensor->name, (expected++)->first);
    EXPECT_EQ(refusal(), "");
  }
}

TEST_F(Folder, WhoseIndexAndShardsDisagreeIsRefused) {
  write(3);
  const std::string index = path() + "/" + kHubIndexFile;
  const std::string whole = read_file(index);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    test::write_text(index, text);
    return refusal();
  };
  EXPECT_TRUE(contains(changed(kNorm, "model.other.weight"), "model.other.weight in model-0000"));
  EXPECT_TRUE(
      contains(changed(kNorm, "model.other.weight"), "1 only in the shards: model.norm.weight in"));
  EXPECT_TRUE(contains(changed("model-00001-of", "model-00002-of"), "disagree"));
  EXPECT_TRUE(contains(changed("model-00001-of", "model-00004-of"), "model-00004-of"));
  test::write_text(index, whole);
  std::filesystem::remove(path() + "/model-00002-of-00003.safetensors");
  EXPECT_TRUE(contains(refusal(), "model-00002-of-00003.safetensors"));
}

TEST_F(Folder, WithoutWeightsOrConfigIsRefused) {
  EXPECT_TRUE(contains(refusal(), "there is no such folder"));
  std::filesystem::create_directory(path());
  test::write_text(path() + "/pytorch_model.bin", "x");
  EXPECT_TRUE(contains(refusal(), "only as pytorch_model.bin"));
  EXPECT_FALSE(HubFolder::is_at(path()));
  std::filesystem::create_symlink("../blobs/abc", path() + "/model.safetensors");
  test::write_text(path() + "/config.json", "{}");
  EXPECT_TRUE(HubFolder::is_at(path()));
  EXPECT_TRUE(contains(refusal(), "a link to ../blobs/abc, which is not there"));
  std::filesystem::remove(path() + "/model.safetensors");
  write();
  std::filesystem::remove(path() + "/config.json");
  EXPECT_TRUE(contains(refusal(), "config.json"));
}

TEST_F(Folder, WithAMissingWeightIsRefused) {
  EXPECT_TRUE(contains(refusal_without(kNorm), "1 missing from the folder: model.norm.weight"));
}

TEST_F(Folder, WithAMissingExpertIsRefused) {
  EXPECT_TRUE(contains(refusal_without(kExpert), format("1 missing from the folder: {}", kExpert)));
  tensors_.erase("model.layers.1.mlp.experts.3.up_proj.weight");
  EXPECT_TRUE(
      contains(refusal_without("model.layers.1.mlp.experts.11.up_proj.weight"),
               "3 missing from the folder: model.layers.1.mlp.experts.3.up_proj.weight, ..."));
}

TEST_F(Folder, WithAnUnexpectedWeightIsRefused) {
  for (const char* name :
       {"model.extra.weight", "model.layers.2.input_layernorm.weight",
        "model.layers.1.mlp.experts.12.up_proj.weight", "model.layers.1.mlp.experts.up_proj.weight",
        "model.layers.0.self_attn.q_proj.bias"}) {
    EXPECT_TRUE(
        contains(refusal_with(name, at::ones({16})), format("1 only in the folder: {}", name)));
    tensors_.erase(name);
  }
}

TEST_F(Folder, WithAWeightOfAnotherShapeIsRefused) {
  EXPECT_TRUE(contains(refusal_with(kNorm, at::ones({17})),
                       "model.norm.weight has shape [17] (here [16])"));
  tensors_[kNorm] = at::ones({16});
  EXPECT_TRUE(
      contains(refusal_with(kExpert, at::ones({16, 12})), "has shape [16, 12] (here [12, 16])"));
}

TEST_F(Folder, WithAQuantisedWeightIsRefused) {
  tensors_ = {{kNorm, tensors_[kNorm]}};
  write();
  std::string bytes = read_file(path() + "/model.safetensors");
  bytes.replace(bytes.find("F32"), 3, "I32");
  test::write_text(path() + "/model.safetensors", bytes);
  EXPECT_TRUE(
      contains(refusal(), "model.norm.weight is I32 (only F64, F32, F16 and BF16 are read)"));
}

TEST_F(Folder, MayHoldRotaryFrequencies) {
  EXPECT_EQ(refusal_with("model.layers.0.self_attn.rotary_emb.inv_freq", at::ones({2})), "");
}

TEST_F(Folder, MayHoldRotaryFrequenciesThatTheIndexDoesNotName) {
  const char* name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  tensors_[name] = at::ones({2});
  write(3);
  const std::string index = path() + "/" + kHubIndexFile;
  Json without = read_json(index);
  without["weight_map"].erase(name);
  test::write_text(index, without.dump());
  EXPECT_EQ(refusal(), "");
  tensors_.erase(name);  // named, and not there
  write(3);
  Json with = read_json(index);
  with["weight_map"][name] = "model-00001-of-00003.safetensors";
  test::write_text(index, with.dump());
  EXPECT_EQ(refusal(), "");
}

TEST_F(Folder, OfWrappedWeightsIsRead) {
  const test::HubTensors plain = tensors_;
  for (const char* prefix : {"_orig_mod.", "module.", "module._orig_mod."}) {
    tensors_.clear();
    for (const auto& [name, values] : plain) tensors_[prefix + name] = values;
    write();
    EXPECT_EQ(refusal(), "") << prefix;
  }
  tensors_[kNorm] = plain.at(kNorm);  // beside module._orig_mod.model.norm.weight
  write();
  EXPECT_TRUE(contains(refusal(), "1 only in the folder: module._orig_mod."));
}

TEST_F(Folder, OfTheClassWithoutAHeadSaysWhatIsMissing) {
  test::HubTensors bare;
  for (const auto& [name, values] : tensors_)
    if (name.starts_with("model.")) bare[name.substr(6)] = values;
  const at::Tensor head = tensors_["lm_head.weight"];
  tensors_ = bare;
  EXPECT_TRUE(contains(refusal_with("rotary_emb.inv_freq", at::ones({2})),
                       "1 missing from the folder: lm_head.weight"));
  EXPECT_TRUE(contains(refusal(), "AutoModelForCausalLM"));
  EXPECT_EQ(refusal_with("lm_head.weight", head), "");
}

TEST_F(Folder, WithAnAdapterSaysSo) {
  EXPECT_TRUE(
      contains(refusal_with("model.layers.0.self_attn.q_proj.lora_A.default.weight", at::ones({2})),
               "merge_and_unload"));
}

TEST_F(Folder, WhoseExpertsInOneTensorDoNotFitIsRefused) {
  tensors_ = test::with_fused_experts(tensors_, config_);
  write();
  EXPECT_EQ(refusal(), "");
  const char* name = "model.layers.1.mlp.experts.gate_up_proj";
  EXPECT_TRUE(contains(refusal_with(name, at::ones({12, 16, 24})),
                       "has shape [12, 16, 24] (here [12, 24, 16])"));
  EXPECT_TRUE(contains(refusal_with(name, at::ones({1'000'000'000, 0, 0})), "has shape"));
  tensors_ = test::with_fused_experts(test::sample_hub_tensors(config_), config_);
  EXPECT_TRUE(contains(refusal_with(kExpert, at::ones({12, 16})), "only in the folder"));
}

TEST_F(Folder, OfATiedModelMayHoldTheHeadOnlyAsTheEmbedding) {
  config_ = test::sample_dense_config();
  tensors_ = test::sample_hub_tensors(config_);
  const at::Tensor embedding = tensors_["model.embed_tokens.weight"];
  EXPECT_EQ(refusal_with("lm_head.weight", embedding.clone()), "");
  EXPECT_TRUE(contains(refusal_with("lm_head.weight", embedding.add(1)), "tie_word_embeddings"));
  EXPECT_TRUE(contains(refusal_with("lm_head.weight", at::zeros({3})), "tie_word_embeddings"));
}

TEST_F(Folder, PassesOverLayersThatAreAnnouncedForMultiTokenPrediction) {
  tensors_["model.layers.2.enorm.weight"] = at::ones({3});
  write();
  const arch::Options options = arch::require_options(config_, "sample");
  EXPECT_TRUE(contains(refusal(), "1 only in the folder: model.layers.2.enorm.weight"));
  config_["num_nextn_predict_layers"] = 1;
  write();
  const HubFolder announced(path());
  EXPECT_TRUE(contains(HubWeights(announced, options).warnings().at(0), "1 weights of layers"));
  config_["num_nextn_predict_layers"] = 0;
  write();
  const HubFolder none(path());
  EXPECT_NE(test::refusal_of([&] { HubWeights(none, options); }), "");
  // Announced or not, such a layer shows itself.
  tensors_["model.layers.2.eh_proj.weight"] = at::ones({3});
  write();
  const HubFolder shown(path());
  EXPECT_TRUE(contains(HubWeights(shown, options).warnings().at(0), "2 weights of layers"));
}

TEST_F(Folder, WhoseExpertsHaveSeveralTypesTakesTheWidest) {
  tensors_[kExpert] = tensors_[kExpert].to(at::kDouble);
  write();
  const HubFolder folder(path());
  const HubWeights weights(folder, arch::require_options(config_, "sample"));
  EXPECT_EQ(weights.dtypes().at("model.layers.1.mlp.experts.up_proj.weight"), at::kDouble);
  EXPECT_EQ(weights.dtypes().at(kNorm), at::kFloat);
  EXPECT_EQ(weights.warnings().size(), 1U);
}

// 800 million names are missing: they are counted, not listed.
TEST_F(Folder, OfAGiganticConfigIsRefusedWithoutListingItsExperts) {
  config_["num_hidden_layers"] = 4096;
  config_["num_experts"] = 65536;
  config_["intermediate_size"] = 1;
  write();
  EXPECT_TRUE(contains(refusal(), "missing from the folder"));
}

TEST_F(Folder, CarriesItsSmallFilesAlong) {
  write();
  test::write_text(path() + "/LICENSE", "free");
  test::write_text(path() + "/modeling_x.py", "pass");
  test::write_text(path() + "/.hidden", "x");
  test::write_text(path() + "/pytorch_model.bin", "x");
  test::write_text(path() + "/" + kHubIndexFile, "{}");
  std::filesystem::create_directory(path() + "/folder.json");
  test::write_text(path() + "/large.txt", "x");
  std::filesystem::resize_file(path() + "/large.txt", (64U << 20) + 1);
  const auto files = read_small_files(path(), Log({.console = false}));
  std::vector<std::string> names;
  for (const auto& [name, text] : files) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"LICENSE", "config.json", "generation_config.json",
                                             "modeling_x.py", "tokenizer.json"}));
  EXPECT_EQ(files.at("LICENSE"), "free");
}

}  // namespace
}  // namespace moesaic
