#include "store/model_source.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/parameters.h"
#include "support/sample_hub.h"

namespace moesaic {
namespace {

using test::contains;

class Source : public testing::Test {
 protected:
  std::string path() const { return folder_.file("hub"); }
  void write() { test::write_hub_folder(path(), config_, tensors_, 2); }

  void expect_sample(const StateDict& model) const {
    for (const StateEntry& entry : model) {
      const at::Tensor right =
          test::sample_tensor(entry.name, entry.tensor.sizes().vec(), at::kFloat);
      EXPECT_TRUE(at::equal(entry.tensor, right.to(entry.tensor.scalar_type()))) << entry.name;
    }
  }
  void save_checkpoint() {
    CheckpointContent content{.model = test::empty_slices(context_, config_)};
    for (StateEntry& entry : content.model) {
      entry.tensor = test::sample_tensor(entry.name, entry.global_shape, at::kFloat);
    }
    content.config = config_;
    content.tokenizer = {{"type", "byte"}};
    content.hub = {.files = {{"tokenizer.json", "{}"}},
                   .dtypes = {{"model.norm.weight", at::kHalf}}};
    CheckpointStore({.folder = folder_.file("run/checkpoints")}).save(context_, 3, content);
  }

  test::SampleFolder folder_;
  RankContext context_ = RankContext::single();
  Json config_ = test::sample_hub_config();
  test::HubTensors tensors_ = test::sample_hub_tensors(config_);
};

TEST_F(Source, LoadsAHubFolderIntoAnyFloatingType) {
  write();
  const auto source = ModelSource::open(context_, path());
  EXPECT_EQ(source->config(), config_);
  EXPECT_TRUE(source->tokenizer().is_null());
  EXPECT_EQ(source->dtypes().at("model.layers.0.mlp.experts.up_proj.weight"), at::kFloat);
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    const StateDict model = test::empty_slices(context_, config_, dtype);
    source->load(context_, model, {});
    expect_sample(model);
  }
}

TEST_F(Source, QuantisesMatrixByMatrixWhileLoading) {
  write();
  save_checkpoint();
  for (const std::string& place : {path(), folder_.file("run")}) {
    StateDict model = test::empty_slices(context_, config_);
    for (StateEntry& entry : model) {
      if (!entry.name.ends_with("_proj.weight")) continue;
      const std::vector<std::int64_t> shape = entry.tensor.sizes().vec();
      entry.quantised = QuantisedWeight(arch::Storage::kNf4, shape, at::kCPU);
      entry.tensor = entry.tensor.to(at::kMeta);
    }
    ModelSource::open(context_, place)->load(context_, model, {});
    int kept = 0;
    for (const StateEntry& entry : model) {
      const at::Tensor right =
          test::sample_tensor(entry.name, entry.tensor.sizes().vec(), at::kFloat);
      if (!entry.quantised.defined()) {
        EXPECT_TRUE(at::equal(entry.tensor, right)) << entry.name;
        continue;
      }
      ++kept;
      const QuantisedWeight wanted = test::quantised(arch::Storage::kNf4, right);
      for (std::int64_t i = 0; i < wanted.matrices(); ++i)
        EXPECT_TRUE(at::equal(entry.quantised.matrix(i, at::kFloat), wanted.matrix(i, at::kFloat)))
            << entry.name;
    }
    EXPECT_GT(kept, 0);
  }
}

TEST_F(Source, RefusesToQuantiseWhatIsNoNumber) {
  const std::string name = "model.layers.1.self_attn.o_proj.weight";
  tensors_[name] = tensors_[name].clone();
  tensors_[name][3][2] = std::numeric_limits<float>::quiet_NaN();
  write();
  StateDict model = test::empty_slices(context_, config_);
  for (StateEntry& entry : model) {
    if (entry.name != name) continue;
    entry.quantised = QuantisedWeight(arch::Storage::kInt8, entry.tensor.sizes().vec(), at::kCPU);
    entry.tensor = entry.tensor.to(at::kMeta);
  }
  const auto source = ModelSource::open(context_, path());
  for (const bool allow : {false, true}) {
    const std::string text =
        test::refusal_of([&] { source->load(context_, model, {.allow_nonfinite = allow}); });
    EXPECT_TRUE(contains(text, name + " of ")) << text;
  }
}

TEST_F(Source, LoadsExpertsThatAreInOneTensor) {
  for (const std::string type : {"olmoe", "mixtral"}) {
    config_["model_type"] = type;
    config_.erase("architectures");
    if (type == "mixtral") {
      config_["num_local_experts"] = config_["num_experts"];
      config_.erase("num_experts");
    }
    test::HubTensors in_memory;  // where the block of every family is called mlp
    tensors_ = test::with_fused_experts(test::sample_hub_tensors(config_), config_);
    for (const auto& [name, values] : tensors_) {
      const std::size_t block = name.find("block_sparse_moe.");
      in_memory[block == std::string::npos ? name : std::string(name).replace(block, 17, "mlp.")] =
          values;
    }
    for (const test::HubTensors& tensors : {tensors_, in_memory}) {
      test::write_hub_folder(path(), config_, tensors);
      const auto source = ModelSource::open(context_, path());
      const StateDict model = test::empty_slices(context_, config_);
      source->load(context_, model, {});
      expect_sample(model);
      const std::string up =
          type == "olmoe" ? "mlp.experts.up_proj" : "block_sparse_moe.experts.w3";
      const std::string name = "model.layers.1." + up + ".weight";
      EXPECT_TRUE(at::equal(source->rows(name, 5, 3),
                            test::sample_tensor(name, {3, 12, 16}, at::kFloat, 5)));
    }
  }
}

TEST_F(Source, LoadsWeightsThatAWrapperWasAround) {
  test::HubTensors wrapped;
  for (const auto& [name, values] : tensors_) wrapped["module._orig_mod." + name] = values;
  tensors_ = wrapped;
  write();
  const StateDict model = test::empty_slices(context_, config_);
  ModelSource::open(context_, path())->load(context_, model, {});
  expect_sample(model);
}

TEST_F(Source, GivesTheOriginOfAHubFolder) {
  tensors_["model.norm.weight"] = tensors_["model.norm.weight"].to(at::kBFloat16);
  write();
  const HubOrigin origin = ModelSource::open(context_, path())->origin(context_);
  EXPECT_EQ(origin.files.size(), 3U);
  EXPECT_EQ(origin.dtypes.at("model.norm.weight"), at::kBFloat16);
  EXPECT_EQ(origin.dtypes.at("lm_head.weight"), at::kFloat);
}

TEST_F(Source, GivesRowsInTheStoredType) {
  write();
  save_checkpoint();
  for (const std::string& place : {path(), folder_.file("run")}) {
    const auto source = ModelSource::open(context_, place);
    for (const auto& info : arch::parameter_table(source->arch())) {
      std::vector<std::int64_t> shape = info.shape;
      shape[0] = 3;
      EXPECT_TRUE(at::equal(source->rows(info.name, 5, 3),
                            test::sample_tensor(info.name, shape, at::kFloat, 5)))
          << info.name;
    }
  }
}

TEST_F(Source, LoadsACheckpointAndTheNewestOfARun) {
  save_checkpoint();
  for (const char* place : {"run", "run/checkpoints", "run/checkpoints/step-00000003"}) {
    const auto source = ModelSource::open(context_, folder_.file(place));
    EXPECT_EQ(source->tokenizer()["type"], "byte");
    const StateDict model = test::empty_slices(context_, config_, at::kBFloat16);
    source->load(context_, model, {});
    expect_sample(model);
    const HubOrigin origin = source->origin(context_);
    EXPECT_EQ(origin.files.at("tokenizer.json"), "{}");
    EXPECT_EQ(origin.dtypes,
              (std::map<std::string, at::ScalarType>{{"model.norm.weight", at::kHalf}}));
  }
}

TEST_F(Source, GivesTheMastersOfABfloat16Checkpoint) {
  CheckpointContent content{.model = test::empty_slices(context_, config_)};
  for (StateEntry& entry : content.model) {
    entry.tensor = test::sample_tensor(entry.name, entry.global_shape, at::kFloat);
  }
  content.config = config_;
  CheckpointStore({.folder = folder_.file("run"), .dtype = "bfloat16"}).save(context_, 3, content);
  const auto source = ModelSource::open(context_, folder_.file("run"));
  EXPECT_EQ(source->dtypes().at("model.norm.weight"), at::kBFloat16);
  EXPECT_TRUE(at::equal(source->rows("lm_head.weight", 0, 31),
                        test::sample_tensor("lm_head.weight", {31, 16}, at::kFloat)));
}

TEST_F(Source, RefusesWeightsThatAreNoNumbersUnlessAllowed) {
  for (const double value :
       {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
    tensors_ = test::sample_hub_tensors(config_);
    tensors_["model.layers.1.mlp.experts.7.up_proj.weight"][3][2] = value;
    write();
    const auto source = ModelSource::open(context_, path());
    const StateDict model = test::empty_slices(context_, config_);
    const std::string error = test::refusal_of([&] { source->load(context_, model, {}); });
    EXPECT_TRUE(contains(error, "model.layers.1.mlp.experts.7.up_proj.weight")) << error;
    EXPECT_TRUE(contains(error, "--allow-nonfinite")) << error;
    EXPECT_EQ(test::refusal_of([&] { source->load(context_, model, {.allow_nonfinite = true}); }),
              "");
  }
}

TEST_F(Source, RefusesValuesThatAreTooLargeForTheTypeOfTheModel) {
  tensors_["model.norm.weight"].fill_(70000);
  write();
  const auto source = ModelSource::open(context_, path());
  const StateDict wide = test::empty_slices(context_, config_, at::kBFloat16);
  EXPECT_EQ(test::refusal_of([&] { source->load(context_, wide, {}); }), "");
  const StateDict narrow = test::empty_slices(context_, config_, at::kHalf);
  EXPECT_TRUE(
      contains(test::refusal_of([&] { source->load(context_, narrow, {}); }), "model.norm.weight"));
}

TEST_F(Source, RefusesNonFiniteWeightsOfACheckpointToo) {
  save_checkpoint();
  CheckpointContent content{.model = test::empty_slices(context_, config_)};
  content.model[3].tensor.fill_(std::numeric_limits<float>::infinity());
  content.config = config_;
  CheckpointStore({.folder = folder_.file("run/checkpoints")}).save(context_, 4, content);
  const auto source = ModelSource::open(context_, folder_.file("run"));
  const StateDict model = test::empty_slices(context_, config_);
  EXPECT_TRUE(contains(test::refusal_of([&] { source->load(context_, model, {}); }),
                       content.model[3].name));
}

TEST_F(Source, NamesWhatDoesNotFitBeforeAnythingIsLoaded) {
  write();
  save_checkpoint();
  Json other = config_;
  other["vocab_size"] = 32;
  for (const std::string& place : {path(), folder_.file("run")}) {
    const auto source = ModelSource::open(context_, place);
    const StateDict model = test::empty_slices(context_, other);
    const std::string error = test::refusal_of([&] { source->load(context_, model, {}); });
    EXPECT_TRUE(contains(error, "lm_head.weight has shape [31, 16] (here [32, 16])")) << error;
    for (const StateEntry& entry : model) EXPECT_TRUE(entry.tensor.eq(-3).all().item<bool>());
  }
}

TEST_F(Source, OfWeightsThatAreNotThoseOfTheConfigIsRefused) {
  config_["num_hidden_layers"] = 3;
  write();
  EXPECT_TRUE(contains(test::refusal_of([&] { ModelSource::open(context_, path()); }),
                       "missing from the folder: model.layers.2."));
}

TEST_F(Source, IsRefusedWhereThereIsNone) {
  EXPECT_NE(test::refusal_of([&] { ModelSource::open(context_, folder_.path()); }), "");
  EXPECT_NE(test::refusal_of([&] { ModelSource::open(context_, folder_.file("absent")); }), "");
}

}  // namespace
}  // namespace moesaic
