#include "store/export.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/fs.h"
#include "store/hub_folder.h"
#include "store/import.h"
#include "store/model_source.h"
#include "store/new_folder.h"
#include "support/sample_hub.h"

namespace moesaic {
namespace {

using test::contains;

class Exchange : public testing::Test {
 protected:
  void SetUp() override {
    config_["torch_dtype"] = "bfloat16";  // what most values are
    tensors_["model.norm.weight"] = tensors_["model.norm.weight"].to(at::kDouble);
    for (auto& [name, values] : tensors_) {
      if (contains(name, "layers.0.mlp.experts")) values = values.to(at::kHalf);
      if (contains(name, "layers.1.")) values = values.to(at::kBFloat16);
    }
    test::write_hub_folder(hub(), config_, tensors_, 2);
  }
  std::string hub() const { return folder_.file("hub"); }
  std::string at_(const std::string& name) const { return folder_.file(name); }
  void run_import(const ImportOptions& options = {}) const {
    import_model(hub(), at_("checkpoint"), options, quiet_);
  }
  void run_export(const ExportOptions& options = {}, const std::string& to = "out") const {
    export_model(at_("checkpoint"), at_(to), options, quiet_);
  }
  /// The path of a file whose folder is there.
  std::string make(const std::string& name) const {
    make_folder(std::filesystem::path(at_(name)).parent_path().string());
    return at_(name);
  }
  std::vector<std::string> names(const std::string& name) const {
    std::vector<std::string> found;
    for (const auto& item : std::filesystem::directory_iterator(at_(name))) {
      found.push_back(item.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  test::SampleFolder folder_;
  Log quiet_{{.console = false}};
  Json config_ = test::sample_hub_config();
  test::HubTensors tensors_ = test::sample_hub_tensors(config_);
};

TEST_F(Exchange, GivesBackEveryBitTypeAndSmallFile) {
  run_import();
  EXPECT_EQ(names("checkpoint"),
            (std::vector<std::string>{"config.json", "hub", "manifest.json", "model.h5"}));
  run_export();
  EXPECT_EQ(names("out"), (std::vector<std::string>{".moesaic-export.json", "config.json",
                                                    "generation_config.json", "model.safetensors",
                                                    "tokenizer.json"}));
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
  for (const char* file : {"config.json", "generation_config.json", "tokenizer.json"}) {
    EXPECT_EQ(read_file(at_("out/") + file), read_file(hub() + "/" + file));
  }
}

TEST_F(Exchange, OfAnExportIsTheSameCheckpoint) {
  run_import();
  run_export({.max_shard_bytes = 5000});
  import_model(at_("out"), at_("again"), {}, quiet_);
  EXPECT_EQ(read_file(at_("again/model.h5")), read_file(at_("checkpoint/model.h5")));
  EXPECT_EQ(read_file(at_("again/hub/config.json")), read_file(hub() + "/config.json"));
}

TEST_F(Exchange, CheckpointKeepsTheTypesOfTheFile) {
  run_import();
  const auto source = ModelSource::open(RankContext::single(), at_("checkpoint"));
  EXPECT_EQ(source->dtypes().at("model.norm.weight"), at::kDouble);
  EXPECT_EQ(source->dtypes().at("model.layers.0.mlp.experts.up_proj.weight"), at::kHalf);
  EXPECT_EQ(source->dtypes().at("model.layers.1.mlp.experts.up_proj.weight"), at::kBFloat16);
  EXPECT_EQ(arch::to_config(source->arch()), source->config());
}

TEST_F(Exchange, SharesWeightsOutOverFilesOfTheAskedSize) {
  run_import();
  run_export({.max_shard_bytes = 5000});
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
  const Json index = read_json(at_("out/model.safetensors.index.json"));
  std::uint64_t total = 0;
  for (const auto& [name, values] : tensors_) total += values.nbytes();
  EXPECT_EQ(index["metadata"]["total_size"], total);
  EXPECT_EQ(index["weight_map"].size(), tensors_.size());
  const HubFolder folder(at_("out"));  // compares the index with the files
  EXPECT_GT(folder.files().size(), 3U);
  for (const SafetensorsFile& file : folder.files()) {
    EXPECT_LE(std::filesystem::file_size(file.path()), 5000U + 4096U);  // and its header
  }
}

TEST_F(Exchange, WritesOneTypeWhenAsked) {
  run_import();
  run_export({.dtype = "float32"});
  for (const auto& [name, values] : test::read_hub_tensors(at_("out"))) {
    EXPECT_TRUE(at::equal(values, tensors_.at(name).to(at::kFloat))) << name;
  }
  EXPECT_EQ(read_json(at_("out/config.json"))["torch_dtype"], "float32");
  EXPECT_EQ(read_json(at_("out/config.json"))["bos_token_id"], 5);
}

TEST_F(Exchange, RefusesValuesThatTheTypeCannotHold) {
  tensors_["lm_head.weight"].fill_(70000);
  test::write_hub_folder(hub(), config_, tensors_, 2);
  run_import();
  const std::string error = test::refusal_of([&] { run_export({.dtype = "float16"}); });
  EXPECT_TRUE(contains(error, "lm_head.weight")) << error;
  EXPECT_TRUE(contains(error, "float16")) << error;
  EXPECT_FALSE(std::filesystem::exists(at_("out")));
}

TEST_F(Exchange, RefusesNonFiniteWeightsUnlessAllowed) {
  tensors_["model.layers.0.mlp.experts.9.up_proj.weight"][0][0] =
      std::numeric_limits<double>::infinity();
  test::write_hub_folder(hub(), config_, tensors_, 2);
  const std::string error = test::refusal_of([&] { run_import(); });
  EXPECT_TRUE(contains(error, "experts.9.up_proj.weight")) << error;
  EXPECT_FALSE(std::filesystem::exists(at_("checkpoint")));
  EXPECT_FALSE(std::filesystem::exists(at_("checkpoint.tmp")));
  run_import({.allow_nonfinite = true});
  EXPECT_NE(test::refusal_of([&] { run_export(); }), "");
  run_export({.allow_nonfinite = true});
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
}

TEST_F(Exchange, ReplacesAModelOnlyWhenToldAndNothingElse) {
  run_import();
  EXPECT_TRUE(contains(test::refusal_of([&] { run_import(); }), "--overwrite"));
  run_import({.overwrite = true});
  std::filesystem::create_directory(at_("out"));
  run_export();  // an empty folder is no model
  EXPECT_TRUE(contains(test::refusal_of([&] { run_export(); }), "--overwrite"));
  run_export({.overwrite = true});
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
  import_model(hub(), at_("out"), {.overwrite = true}, quiet_);
  run_export({.dtype = "float32"}, "again");
}

TEST_F(Exchange, ReplacesNothingThatNeitherAnExportNorAnImportWrote) {
  run_import();
  const auto refused = [&](const std::string& part) {
    for (const bool import : {false, true}) {
      const std::string error = test::refusal_of([&] {
        if (import)
          import_model(hub(), at_("out"), {.overwrite = true}, quiet_);
        else
          run_export({.overwrite = true});
      });
      EXPECT_TRUE(contains(error, part)) << error;
    }
  };
  test::write_text(make("out/thesis.tex"), "x");
  refused("no export or import");
  test::write_text(at_("out/config.json"), R"({"name": "app"})");
  refused("no export or import");
  std::filesystem::remove_all(at_("out"));
  test::write_hub_folder(at_("out"), config_, tensors_);  // of another program
  refused("no export or import");
  for (const bool exported : {true, false}) {
    std::filesystem::remove_all(at_("out"));
    if (exported)
      run_export();
    else
      import_model(hub(), at_("out"), {}, quiet_);
    test::write_text(make("out/notes/thesis.tex"), "x");
    refused("notes in it is something else");
    std::filesystem::remove_all(at_("out/notes"));
    test::write_text(make("out/hub/thesis.tex"), "x");
    refused("in it is something else");
    std::filesystem::remove(at_("out/hub/thesis.tex"));
    if (exported) std::filesystem::remove(at_("out/hub"));
    test::write_text(at_("out/config.json"), "{}");
    refused("config.json has changed");
  }
}

TEST_F(Exchange, ReplacesNoCheckpointOfARun) {
  run_import();
  const RankContext context = RankContext::single();
  CheckpointContent content{.model = test::empty_slices(context, config_)};
  content.config = config_;
  content.training = {{"step", 7}};
  CheckpointStore({.folder = at_("run")}).save(context, 7, content);
  for (const char* place : {"run/step-00000007", "run"}) {
    const std::string to = at_(place);
    EXPECT_NE(
        test::refusal_of([&] { export_model(at_("checkpoint"), to, {.overwrite = true}, quiet_); }),
        "");
    EXPECT_NE(test::refusal_of([&] { import_model(hub(), to, {.overwrite = true}, quiet_); }), "");
  }
  EXPECT_EQ(CheckpointStore({.folder = at_("run")}).newest(context)->step, 7);
}

TEST_F(Exchange, ReplacesAnExportOfAFormerVersionThatOnlyMoesaicCanHaveWritten) {
  CheckpointContent content{.model = test::empty_slices(RankContext::single(), config_)};
  content.config = arch::to_config(arch::require_options(config_, "sample"));
  content.hub.files = {{"tokenizer.json", "{}"}};
  CheckpointStore({.folder = at_("run")}).save(RankContext::single(), 1, content);
  const auto again = [&] {
    return test::refusal_of(
        [&] { export_model(at_("run"), at_("out"), {.overwrite = true}, quiet_); });
  };
  for (const std::uint64_t bytes : {5'000ULL, 5'000'000ULL}) {
    export_model(at_("run"), at_("out"), {.max_shard_bytes = bytes, .overwrite = true}, quiet_);
    std::filesystem::remove(at_("out/.moesaic-export.json"));
    EXPECT_EQ(again(), "");
    std::filesystem::remove(at_("out/.moesaic-export.json"));
    test::write_text(at_("out/README.md"), "mine");
    EXPECT_TRUE(contains(again(), "README.md in it is something else"));
    std::filesystem::remove_all(at_("out"));
  }
}

TEST_F(Exchange, WritesNotOverTheWorkingFolder) {
  run_import();
  std::filesystem::create_directories(at_("work/inner"));
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(at_("work/inner"));
  for (const char* to : {".", "..", "../inner", "../../work/"}) {
    const std::string error =
        test::refusal_of([&] { export_model(at_("checkpoint"), to, {.overwrite = true}, quiet_); });
    EXPECT_TRUE(contains(error, "the working folder")) << error;
    EXPECT_FALSE(contains(error, "--overwrite")) << error;
  }
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::is_directory(at_("work/inner")));
}

TEST_F(Exchange, IsWrittenByOneJobAtATime) {
  run_import();
  run_export();
  {
    NewFolder first(at_("out"), {.overwrite = true});
    test::write_text(first.temporary() + "/mine", "x");
    EXPECT_TRUE(contains(test::refusal_of([&] { run_export({.overwrite = true}); }),
                         "another job is writing"));
    EXPECT_EQ(read_file(first.temporary() + "/mine"), "x");
  }
  // Of a job that was killed.
  std::filesystem::create_directory(at_("out.moesaic.tmp"));
  test::write_text(at_("out.moesaic.tmp/half.safetensors"), "x");
  run_export({.overwrite = true});
  EXPECT_EQ(names("out").size(), 5U);
  EXPECT_FALSE(std::filesystem::exists(at_("out.moesaic.tmp")));
}

TEST_F(Exchange, ReplacesNothingThatAppearedMeanwhile) {
  NewFolder folder(at_("out"), {});
  test::write_text(folder.temporary() + "/model", "new");
  test::write_text(make("out/thesis.tex"), "x");
  EXPECT_NE(test::refusal_of([&] { folder.publish(); }), "");
  EXPECT_EQ(names("out"), std::vector<std::string>{"thesis.tex"});
}

TEST_F(Exchange, RefusesToWriteIntoWhatItReads) {
  EXPECT_NE(test::refusal_of([&] { import_model(hub(), hub(), {.overwrite = true}, quiet_); }), "");
  EXPECT_NE(test::refusal_of([&] { import_model(hub(), hub() + "/x", {}, quiet_); }), "");
  EXPECT_NE(
      test::refusal_of([&] { import_model(hub(), folder_.path(), {.overwrite = true}, quiet_); }),
      "");
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(hub())), "");
}

TEST_F(Exchange, MayLieInTheRunFolderBesideItsCheckpoints) {
  CheckpointContent content{.model = test::empty_slices(RankContext::single(), config_)};
  content.config = config_;
  CheckpointStore({.folder = at_("run/checkpoints")}).save(RankContext::single(), 1, content);
  export_model(at_("run"), at_("run/hub"), {}, quiet_);
  EXPECT_FALSE(test::read_hub_tensors(at_("run/hub")).empty());
  for (const char* place : {"run/checkpoints/hub", "run/checkpoints/step-00000001/hub", "run", "."})
    EXPECT_NE(test::refusal_of([&] { export_model(at_("run"), at_(place), {}, quiet_); }), "")
        << place;
}

TEST_F(Exchange, OfAHubFolderChangesShardsAndTypeDirectly) {
  export_model(hub(), at_("out"), {.dtype = "float32"}, quiet_);
  for (const auto& [name, values] : test::read_hub_tensors(at_("out"))) {
    EXPECT_TRUE(at::equal(values, tensors_.at(name).to(at::kFloat))) << name;
  }
}

TEST_F(Exchange, LeavesATiedHeadOut) {
  config_ = test::sample_dense_config();
  tensors_ = test::sample_hub_tensors(config_);
  test::HubTensors with_head = tensors_;
  with_head["lm_head.weight"] = tensors_["model.embed_tokens.weight"].clone();
  std::filesystem::remove_all(hub());
  test::write_hub_folder(hub(), config_, with_head);
  run_import();
  run_export();
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
}

TEST_F(Exchange, WritesAConfigOfItsOwnWhenTheOriginalDescribesAnotherModel) {
  const RankContext context = RankContext::single();
  Json smaller = config_;
  smaller["num_experts_per_tok"] = 2;
  CheckpointContent content{.model = test::empty_slices(context, smaller)};
  content.config = arch::to_config(arch::require_options(smaller, "smaller"));
  content.hub.files = {{"config.json", config_.dump()}};
  CheckpointStore({.folder = at_("run")}).save(context, 1, content);
  export_model(at_("run"), at_("out"), {}, quiet_);
  const Json written = read_json(at_("out/config.json"));
  EXPECT_EQ(written["num_experts_per_tok"], 2);
  EXPECT_EQ(written["torch_dtype"], "float32");
}

// Transformers' routers know no scale of the logits: their weights get it.
TEST_F(Exchange, MultipliesTheRoutersByTheScaleOfTheirLogits) {
  const RankContext context = RankContext::single();
  Json scaled = config_;
  scaled["router_logit_scale"] = "rsqrt_hidden_size";
  CheckpointContent content{.model = test::empty_slices(context, scaled)};
  for (StateEntry& entry : content.model)
    entry.tensor = test::sample_tensor(entry.name, entry.global_shape, at::kFloat);
  content.config = arch::to_config(arch::require_options(scaled, "scaled"));
  content.hub.files = {{"config.json", config_.dump()}};
  CheckpointStore({.folder = at_("run")}).save(context, 1, content);
  EXPECT_TRUE(ModelSource::open(context, at_("run"))->arch().rsqrt_router_logits);
  export_model(at_("run"), at_("out"), {.dtype = "float32"}, quiet_);
  const Json written = read_json(at_("out/config.json"));
  EXPECT_FALSE(written.contains("router_logit_scale"));
  EXPECT_EQ(written.at("bos_token_id"), 5) << "that of the origin, which still describes it";
  for (const auto& [name, values] : test::read_hub_tensors(at_("out"))) {
    if (contains(name, ".experts.")) continue;
    const bool router = name.ends_with(".mlp.gate.weight");
    const at::Tensor plain = test::sample_tensor(name, values.sizes().vec(), at::kFloat);
    EXPECT_TRUE(at::equal(values, router ? plain.mul(0.25) : plain)) << name;  // 16 wide
  }
}

// A shared expert of width 0 is none; Transformers makes one, and a gate for it.
TEST_F(Exchange, PassesOverASharedExpertOfWidthZero) {
  config_ = {{"model_type", "qwen2_moe"}, {"vocab_size", 31},
             {"hidden_size", 16},         {"intermediate_size", 12},
             {"num_hidden_layers", 1},    {"num_attention_heads", 4},
             {"num_key_value_heads", 2},  {"num_experts", test::kSampleExperts},
             {"num_experts_per_tok", 3},  {"moe_intermediate_size", 8},
             {"torch_dtype", "float32"},  {"shared_expert_intermediate_size", 0}};
  tensors_ = test::sample_hub_tensors(config_);
  test::HubTensors with_shared = tensors_;
  const std::string prefix = "model.layers.0.mlp.shared_expert";
  for (const char* name : {".gate_proj.weight", ".up_proj.weight"})
    with_shared[prefix + name] = at::empty({0, 16}, at::kFloat);
  with_shared[prefix + ".down_proj.weight"] = at::empty({16, 0}, at::kFloat);
  with_shared[prefix + "_gate.weight"] = at::ones({1, 16}, at::kFloat);
  std::filesystem::remove_all(hub());
  test::write_hub_folder(hub(), config_, with_shared);
  run_import();
  run_export();
  EXPECT_EQ(test::different_tensor(tensors_, test::read_hub_tensors(at_("out"))), "");
  with_shared[prefix + ".up_proj.weight"] = at::ones({2, 16}, at::kFloat);
  std::filesystem::remove_all(hub());
  test::write_hub_folder(hub(), config_, with_shared);
  EXPECT_TRUE(contains(test::refusal_of([&] { run_import({.overwrite = true}); }), "up_proj"));
}

TEST(ParseSize, KnowsBytesAndTheirUnits) {
  EXPECT_EQ(parse_size("17"), 17U);
  EXPECT_EQ(parse_size("5GB"), 5'000'000'000U);
  EXPECT_EQ(parse_size("2MiB"), 2U << 20U);
  for (const char* bad :
       {"", "0", "GB", "5 GB", "-1", "5gb", "1e9", "9999999TB999", "99999999999999TB"}) {
    EXPECT_THROW(parse_size(bad), Error) << bad;
  }
}

TEST(PlanShards, FillsFilesInOrder) {
  EXPECT_EQ(plan_shards({4, 4, 4, 9, 1, 1}, 8), (std::vector<std::size_t>{0, 0, 1, 2, 3, 3}));
  EXPECT_EQ(plan_shards({9, 0, 3}, 8), (std::vector<std::size_t>{0, 1, 1}));
}

}  // namespace
}  // namespace moesaic
