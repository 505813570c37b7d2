#include "store/inspect.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/digest.h"
#include "core/fs.h"
#include "support/sample_hub.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

class Inspect : public testing::Test {
 protected:
  void save(std::int64_t step) {
    const RankContext context = RankContext::single();
    CheckpointStore({.folder = folder_.file("checkpoints")})
        .save(context, step, test::sample_content(context));
  }
  std::string path(const std::string& name) const { return folder_.file("checkpoints/" + name); }

  test::SampleFolder folder_;
};

TEST_F(Inspect, OfACheckpointShowsEveryDataset) {
  save(100);
  const Json report = inspect_path(path("step-00000100"));
  EXPECT_EQ(report["kind"], "checkpoint");
  EXPECT_TRUE(report["whole"]);
  EXPECT_EQ(report["step"], 100);
  EXPECT_EQ(report["parameters"], 9001 * 5 + 7 + 12 * 30 + 12 * 5 + 12 * 30);
  EXPECT_EQ(report["datasets"].size(), 8U);
  const Json& first = report["datasets"][0];
  EXPECT_EQ(first["name"], "model.embed_tokens.weight");
  EXPECT_EQ(first["shape"], (Json{9001, 5}));
  EXPECT_EQ(first["dtype"], "float32");
  EXPECT_EQ(first["file"], "model.h5");
  EXPECT_NE(inspect_text(report).find("[9001,5]"), std::string::npos);
}

TEST_F(Inspect, OfARunIsThatOfItsNewestWholeCheckpointAndNamesTheDamagedOnes) {
  save(100);
  save(200);
  fs::resize_file(path("step-00000200/state.h5"), 2000);
  const Json report = inspect_path(folder_.path());
  EXPECT_EQ(report["kind"], "run");
  EXPECT_EQ(report["step"], 100);
  EXPECT_EQ(report["checkpoints"].size(), 2U);
  EXPECT_FALSE(report["checkpoints"][0]["whole"]);
  EXPECT_TRUE(report["checkpoints"][1]["whole"]);
  EXPECT_NE(inspect_text(report).find("DAMAGED"), std::string::npos);
}

TEST_F(Inspect, OfADamagedCheckpointNamesTheDataset) {
  save(100);
  std::string bytes = read_file(path("step-00000100/model.h5"));
  const at::Tensor norm = test::sample_tensor("model.norm.weight", {7}, at::kDouble);
  const std::size_t place =
      bytes.find(std::string(static_cast<const char*>(norm.const_data_ptr()), 56));
  ASSERT_NE(place, std::string::npos);
  bytes[place] = static_cast<char>(bytes[place] ^ 1);
  std::ofstream(path("step-00000100/model.h5"), std::ios::binary) << bytes;
  const Json report = inspect_path(path("step-00000100"));
  EXPECT_FALSE(report["whole"]);
  for (const Json& dataset : report["datasets"]) {
    EXPECT_EQ(dataset["whole"].get<bool>(), dataset["name"] != "model.norm.weight")
        << dataset.dump();
  }
}

TEST_F(Inspect, OfAnHdf5FileNeedsNoManifest) {
  save(100);
  fs::copy_file(path("step-00000100/model.h5"), folder_.file("model.h5"));
  const Json report = inspect_path(folder_.file("model.h5"));
  EXPECT_EQ(report["kind"], "hdf5");
  EXPECT_TRUE(report["whole"]);
  EXPECT_EQ(report["datasets"].size(), 5U);
}

TEST_F(Inspect, OfADatasetGivesTheDigestOfItsValues) {
  save(100);
  for (const Json& dataset : inspect_path(path("step-00000100"))["datasets"]) {
    if (dataset["name"] != "model.norm.weight") continue;
    const at::Tensor norm = test::sample_tensor("model.norm.weight", {7}, at::kDouble);
    EXPECT_EQ(dataset["digest"], digest_of(norm.const_data_ptr(), norm.nbytes()));
  }
}

TEST_F(Inspect, OfAHubFolderAndOfItsFilesShowsEveryTensor) {
  const Json config = test::sample_hub_config();
  const test::HubTensors tensors = test::sample_hub_tensors(config, at::kBFloat16);
  test::write_hub_folder(folder_.file("hub"), config, tensors, 2);
  const Json report = inspect_path(folder_.file("hub"));
  EXPECT_EQ(report["kind"], "hub");
  EXPECT_TRUE(report["whole"]) << report["problem"];
  EXPECT_EQ(report["model_type"], "olmoe");
  EXPECT_EQ(report["files"].size(), 2U);
  ASSERT_EQ(report["datasets"].size(), tensors.size());
  std::int64_t values = 0;
  for (const Json& dataset : report["datasets"]) {
    const at::Tensor& tensor = tensors.at(dataset["name"].get<std::string>());
    values += tensor.numel();
    EXPECT_EQ(dataset["dtype"], "bfloat16");
    EXPECT_EQ(dataset["shape"], Json(tensor.sizes().vec()));
    EXPECT_EQ(dataset["digest"], digest_of(tensor.const_data_ptr(), tensor.nbytes()));
  }
  EXPECT_EQ(report["parameters"], values);
  const Json file = inspect_path(folder_.file("hub/model-00001-of-00002.safetensors"));
  EXPECT_EQ(file["kind"], "safetensors");
  EXPECT_EQ(file["metadata"]["format"], "pt");
  EXPECT_NE(inspect_text(file).find(file["datasets"][0]["digest"].get<std::string>()),
            std::string::npos);
}

TEST_F(Inspect, OfAHubFolderReportsDamageAndAnUnknownModel) {
  Json config = test::sample_hub_config();
  const test::HubTensors tensors = test::sample_hub_tensors(config);
  config["model_type"] = "unheard_of";
  test::write_hub_folder(folder_.file("hub"), config, tensors);
  const Json unknown = inspect_path(folder_.file("hub"));
  EXPECT_TRUE(unknown["whole"]);
  EXPECT_TRUE(test::contains(unknown["unsupported"].get<std::string>(), "model_type"));
  fs::resize_file(folder_.file("hub/model.safetensors"), 1000);
  EXPECT_FALSE(inspect_path(folder_.file("hub"))["whole"].get<bool>());
  EXPECT_FALSE(inspect_path(folder_.file("hub/model.safetensors"))["whole"].get<bool>());
}

TEST_F(Inspect, KnowsFilesByTheirBytes) {
  save(100);
  fs::copy_file(path("step-00000100/model.h5"), folder_.file("weights"));
  EXPECT_EQ(inspect_path(folder_.file("weights"))["kind"], "hdf5");
  test::write_safetensors(folder_.file("blob"), {{"x", at::ones({3})}});
  EXPECT_EQ(inspect_path(folder_.file("blob"))["kind"], "safetensors");
  test::write_text(folder_.file("model"), "GGUF and then nothing");
  EXPECT_EQ(inspect_path(folder_.file("model"))["kind"], "gguf");
}

TEST_F(Inspect, OfWhatHoldsNoModelSaysWhatItIs) {
  const std::map<std::string, std::pair<std::string, std::string>> files = {
      {"recipe.yaml", {"name: x\n", "recipe"}},
      {"config.json", {"{}", "JSON"}},
      {"data.tokens", {"MOESAICT", "data inspect"}},
      {"model.bin", {"x", "pickled"}}};
  for (const auto& [name, content] : files) {
    test::write_text(folder_.file(name), content.first);
    const std::string error = test::refusal_of([&] { inspect_path(folder_.file(name)); });
    EXPECT_TRUE(test::contains(error, content.second)) << error;
    EXPECT_FALSE(test::contains(error, "signature")) << error;
  }
  EXPECT_TRUE(test::contains(
      test::refusal_of([&] { inspect_path(folder_.file(std::string(300, 'x'))); }), "too long"));
}

TEST_F(Inspect, OfNothingIsAnError) {
  EXPECT_THROW(inspect_path(folder_.file("absent")), Error);
  EXPECT_THROW(inspect_path(folder_.path()), Error);
}

}  // namespace
}  // namespace moesaic
