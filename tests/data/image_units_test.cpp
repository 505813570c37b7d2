// Images as units of privacy.
#include "data/image_units.h"

#include <memory>
#include <set>

#include "data/test_data.h"
#include "data/unit_stream.h"
#include "support/idx_maker.h"

namespace moesaic {
namespace {

using testing::TemporaryFolder;
using testing::values;
using Ids = std::vector<std::int64_t>;

struct SomeImages : ::testing::Test {
  TemporaryFolder folder;
  testing::IdxPair pair = testing::idx_pair(folder, {5, 2, 5, 3, 2, 2, 9});
  arch::Options arch = arch::require_options({{"model_type", "mlp"},
                                              {"input_size", 4},
                                              {"hidden_sizes", Json::array()},
                                              {"num_labels", 10}},
                                             "test");
  ImageFiles files;

  SourceOptions source(const std::vector<std::int64_t>& classes = {}) const {
    SourceOptions made{.path = pair.images, .format = "idx", .labels = pair.labels};
    made.classes = classes;
    return made;
  }
  ImageUnits units(const std::vector<SourceOptions>& sources) {
    return ImageUnits(Images(sources, arch, {}, files));
  }
};

TEST_F(SomeImages, AreAUnitEach) {
  const ImageUnits all = units({source()});
  ASSERT_EQ(all.size(), 7);
  EXPECT_EQ(all.in_first(1), 7);
  const std::vector<Units::Drawn> drawn = {{.unit = 6, .example = 0}, {.unit = 0, .example = 1}};
  const Batch batch = all.batch(drawn);
  EXPECT_EQ(values(batch.targets_T), (Ids{9, 5}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{0, 1}));
  EXPECT_TRUE(examples_of_places(batch.place_T).equal(batch.example_id_T));
  const auto names = all.names();
  EXPECT_EQ(std::set<std::uint64_t>(names.begin(), names.end()).size(), 7U);
  // Those of images do not depend on which others there are.
  EXPECT_EQ(units({source({3, 9})}).names(), (std::vector<std::uint64_t>{names[3], names[6]}));
}

TEST_F(SomeImages, OfOneFileAreNoOtherUnitsInAnotherSource) {
  const ImageUnits apart = units({source({5}), source({2, 9})});
  EXPECT_EQ(apart.size(), 6);
  EXPECT_EQ(apart.in_first(1), 2);
  const ImageUnits twice = units({source({5, 3}), source({5})});
  EXPECT_EQ(twice.size(), 3);
  EXPECT_EQ(twice.in_first(1), 3);
  EXPECT_EQ(twice.sequences(0), 1);
  SourceOptions permuted = source();
  permuted.permutation = 3;
  const ImageUnits both = units({source({5}), permuted});
  ASSERT_EQ(both.size(), 7);
  EXPECT_EQ(both.in_first(1), 2);
  EXPECT_EQ(both.sequences(0), 2);
  EXPECT_EQ(both.sequences(3), 1);
  const std::vector<Units::Drawn> drawn = {{.unit = 1, .example = 0}, {.unit = 2, .example = 1}};
  const Batch batch = both.batch(drawn);
  EXPECT_EQ(values(batch.example_id_T), (Ids{0, 0, 1}));
  EXPECT_EQ(values(batch.targets_T), (Ids{5, 5, 2}));
  EXPECT_FALSE(batch.features_TF[0].equal(batch.features_TF[1]));
  const Ids places = values(batch.place_T);
  EXPECT_EQ(std::set<std::int64_t>(places.begin(), places.end()).size(), 3U);
}

TEST_F(SomeImages, AStepHasThoseThatWereDrawn) {
  const UnitDraws draws({.units = 7, .rate = 0.5, .slots = 7}, SecretKey::from_seed(7));
  const UnitStream stream(
      std::make_unique<ImageUnits>(units({source()})), draws,
      {.expected_batch_size = 3.5, .sequence_length = 1, .micro_batch_size = 2});
  const Ids labels = {5, 2, 5, 3, 2, 2, 9};
  for (std::int64_t step = 0; step < 8; ++step) {
    Ids drawn, seen;
    for (const std::int64_t unit : draws.of_step(step))
      drawn.push_back(labels[static_cast<std::size_t>(unit)]);
    EXPECT_EQ(stream.size(step).target_tokens, 4);  // a public number
    EXPECT_EQ(stream.size(step).micro_batches, (std::ssize(drawn) + 1) / 2);
    for (std::int64_t i = 0; i < stream.size(step).micro_batches; ++i)
      for (const std::int64_t target : values(stream.micro_batch(step, i).targets_T))
        seen.push_back(target);
    EXPECT_EQ(seen, drawn);
  }
}

}  // namespace
}  // namespace moesaic
