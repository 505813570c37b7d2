// Weights from a Hugging Face folder or a checkpoint on several ranks: each gets its slices, and
// what one rank finds wrong every rank reports.
#include "store/model_source.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "support/mpi_test.h"
#include "support/sample_hub.h"
#include "support/shared_folder.h"

namespace moesaic {
namespace {

using test::contains;

/// A folder that all ranks see, with the sample model in it.
class Sample {
 public:
  explicit Sample(const Communicator& world) : world_(world), folder_(world) {}

  const std::string& path() const { return folder_.path(); }
  void write(const test::HubTensors& tensors) const {
    if (world_.is_chief()) test::write_hub_folder(path(), test::sample_hub_config(), tensors, 3);
    world_.barrier("written");
  }

 private:
  Communicator world_;
  test::SharedFolder folder_;
};

std::string wrong_slice(const StateDict& model) {
  for (const StateEntry& entry : model) {
    const at::Tensor right =
        test::sample_tensor(entry.name, entry.tensor.sizes().vec(), at::kFloat, entry.offset);
    if (!at::equal(entry.tensor, right.to(entry.tensor.scalar_type()))) return entry.name;
  }
  return "";
}

TEST(ModelSource, GivesEachRankItsSlicesOfAHubFolder) {
  const Json config = test::sample_hub_config();
  const Sample sample(test::world());
  sample.write(test::sample_hub_tensors(config));
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const auto source = ModelSource::open(context, sample.path());
    for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16}) {
      const StateDict model = test::empty_slices(context, config, dtype);
      source->load(context, model, {});
      EXPECT_EQ(wrong_slice(model), "") << "expert size " << expert;
    }
    const HubOrigin origin = source->origin(context);
    EXPECT_EQ(origin.files.size(), context.is_chief() ? 3U : 0U);
    EXPECT_EQ(origin.dtypes, source->dtypes());
  }
}

TEST(ModelSource, GivesEachRankItsSlicesOfACheckpoint) {
  const Json config = test::sample_hub_config();
  const Sample sample(test::world());
  const RankContext saver = test::context(test::session().size());
  CheckpointContent content{.model = test::empty_slices(saver, config)};
  for (StateEntry& entry : content.model) {
    entry.tensor =
        test::sample_tensor(entry.name, entry.tensor.sizes().vec(), at::kFloat, entry.offset);
  }
  content.config = config;
  if (saver.is_chief()) content.hub.files = {{"tokenizer.json", "{}"}};
  content.hub.dtypes = {{"model.norm.weight", at::kHalf}};
  CheckpointStore({.folder = sample.path()}).save(saver, 1, content);
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const auto source = ModelSource::open(context, sample.path());
    const StateDict model = test::empty_slices(context, config);
    source->load(context, model, {});
    EXPECT_EQ(wrong_slice(model), "") << "expert size " << expert;
    const HubOrigin origin = source->origin(context);
    EXPECT_EQ(origin.dtypes.at("model.norm.weight"), at::kHalf);
    EXPECT_EQ(origin.files.size(), context.is_chief() ? 1U : 0U);
  }
}

TEST(ModelSource, GivesEachRankTheRowsThatItAloneHolds) {
  const RankContext context = test::context(1);
  const Json config = test::sample_hub_config();
  const Sample sample(context.world);
  sample.write(test::sample_hub_tensors(config));
  StateDict model = test::empty_slices(context, config);
  for (std::size_t i = 0; i < model.size(); ++i) {
    StateEntry& entry = model[i];
    const std::int64_t rows = entry.tensor.size(0), ranks = context.world.size();
    std::int64_t first = rows * context.rank() / ranks, end = rows * (context.rank() + 1) / ranks;
    if (entry.scope == Scope::kDense) {  // one block, of one rank
      first = 0;
      end = static_cast<std::int64_t>(i) % ranks == context.rank() ? rows : 0;
    }
    entry.tensor = entry.tensor.narrow(0, first, end - first).clone();
    entry.offset = first;
    entry.spread = true;
  }
  ModelSource::open(context, sample.path())->load(context, model, {});
  EXPECT_EQ(wrong_slice(model), "");
}

// The last rank alone holds the bad expert.
TEST(ModelSource, RefusesOnAllRanksWhatOneRankFindsToBeNoNumber) {
  const RankContext context = test::context(test::session().size());
  const Json config = test::sample_hub_config();
  const Sample sample(context.world);
  test::HubTensors tensors = test::sample_hub_tensors(config);
  tensors["model.layers.1.mlp.experts.11.up_proj.weight"][0][3] =
      std::numeric_limits<float>::quiet_NaN();
  sample.write(tensors);
  const auto source = ModelSource::open(context, sample.path());
  const StateDict model = test::empty_slices(context, config);
  const std::string error = test::refusal_of([&] { source->load(context, model, {}); });
  EXPECT_TRUE(contains(error, "model.layers.1.mlp.experts.11.up_proj.weight")) << error;
  if (context.world.size() > 1) {
    EXPECT_TRUE(contains(error, format("rank {}: ", context.world.size() - 1))) << error;
  }
  EXPECT_EQ(test::refusal_of([&] { source->load(context, model, {.allow_nonfinite = true}); }), "");
}

TEST(ModelSource, ThatIsDamagedIsRefusedOnAllRanks) {
  const RankContext context = test::context(1);
  const Sample sample(context.world);
  sample.write(test::sample_hub_tensors(test::sample_hub_config()));
  if (context.is_chief()) {
    std::filesystem::resize_file(sample.path() + "/model-00002-of-00003.safetensors", 700);
  }
  context.world.barrier("damaged");
  EXPECT_TRUE(contains(test::refusal_of([&] { ModelSource::open(context, sample.path()); }),
                       "model-00002-of-00003.safetensors"));
  EXPECT_NE(test::refusal_of([&] { ModelSource::open(context, sample.path() + "/absent"); }), "");
}

}  // namespace
}  // namespace moesaic
