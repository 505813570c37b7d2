// What one image more or less, of new data or of old, changes in the clipped sum of a step.
#include <gtest/gtest.h>

#include <memory>

#include "data/image_units.h"
#include "data/unit_stream.h"
#include "support/idx_maker.h"
#include "support/tiny_private.h"

namespace moesaic {
namespace {

using testing::TemporaryFolder;
using Classes = std::vector<std::int64_t>;

constexpr double kClipNorm = 1e-3;  // below the norm of each image
constexpr double kRounding = 1 + 1e-9;

struct Neighbours : ::testing::Test {
  TemporaryFolder new_folder, old_folder;
  testing::IdxPair fresh = testing::idx_pair(new_folder, {5, 2, 5, 3, 2, 2, 9});
  testing::IdxPair old = testing::idx_pair(old_folder, {0, 1, 4, 6, 7});
  arch::Options arch = arch::require_options(
      {{"model_type", "mlp"}, {"input_size", 4}, {"hidden_sizes", {6, 5}}, {"num_labels", 10}},
      "test");
  RankContext context = RankContext::single();
  ImageFiles files;

  static SourceOptions of_classes(const testing::IdxPair& pair, const Classes& classes,
                                  std::optional<std::int64_t> permutation = {}) {
    SourceOptions source{.path = pair.images, .format = "idx", .labels = pair.labels};
    source.classes = classes;
    if (permutation) source.permutation = *permutation;
    return source;
  }
  /// Of the first source as new data, of the others as old ones.
  UnitStream stream(const std::vector<SourceOptions>& sources, double rate, double rate_of_old) {
    auto units = std::make_unique<ImageUnits>(Images(sources, arch, {.dtype = at::kDouble}, files));
    const std::int64_t all = units->size();
    const UnitDraws draws({.units = all,
                           .rate = rate,
                           .slots = all + 1,
                           .others = {.units = all - units->in_first(1), .rate = rate_of_old}},
                          SecretKey::from_seed(3));
    return UnitStream(
        std::move(units), draws,
        {.expected_batch_size = test::kPrivateBatch, .sequence_length = 1, .micro_batch_size = 2});
  }
  /// Over clip_norm.
  double change(const UnitStream& one, const UnitStream& other, std::int64_t step,
                Clipping clipping = Clipping::kFlat) const {
    test::PrivateModel model(context, arch, {.rule = {clipping, kClipNorm}});
    const auto sums = model.sums_of(one, step);
    return model.norm_of(test::difference(sums, model.sums_of(other, step))) / kClipNorm;
  }
};

// All of them are in the step, and all are clipped: what goes away was the bound.
TEST_F(Neighbours, OfImagesDifferByTheBound) {
  const UnitStream all = stream({of_classes(fresh, {5, 2, 3, 9})}, 1, 1);
  for (const Classes& others : {Classes{5, 2, 9}, Classes{5, 2, 3}}) {
    const UnitStream fewer = stream({of_classes(fresh, others)}, 1, 1);
    EXPECT_NEAR(change(all, fewer, 0), 1, 1e-9);
    EXPECT_LE(change(all, fewer, 0, Clipping::kPerLayer), kRounding);
  }
}

TEST_F(Neighbours, OfOldImagesDifferByTheBound) {
  const SourceOptions own = of_classes(fresh, {5, 2, 3, 9});
  const UnitStream all = stream({own, of_classes(old, {0, 1, 4, 6, 7})}, 1, 1);
  EXPECT_NEAR(change(all, stream({own, of_classes(old, {0, 4, 6, 7})}, 1, 1), 0), 1, 1e-9);
  EXPECT_NEAR(
      change(all, stream({of_classes(fresh, {5, 2, 9}), of_classes(old, {0, 1, 4, 6, 7})}, 1, 1),
             0),
      1, 1e-9);
}

// New in one order of its pixels and old in another: one unit, with the bound of one.
TEST_F(Neighbours, OfAnImageThatIsNewAndOldDifferByTheBound) {
  const UnitStream all =
      stream({of_classes(fresh, {5, 2, 3, 9}), of_classes(fresh, {5, 2, 3, 9}, 7)}, 1, 1);
  const UnitStream fewer =
      stream({of_classes(fresh, {5, 2, 9}), of_classes(fresh, {5, 2, 9}, 7)}, 1, 1);
  EXPECT_NEAR(change(all, fewer, 0), 1, 1e-9);
}

// The last one comes in the steps that draw it, and changes no other.
TEST_F(Neighbours, ThatAreDrawnDifferByTheBoundOrByNothing) {
  const SourceOptions own = of_classes(fresh, {5, 2, 3, 9});
  const UnitStream all = stream({own, of_classes(old, {0, 1, 4, 6, 7})}, 0.4, 0.5);
  const UnitStream fewer = stream({own, of_classes(old, {0, 1, 4, 6})}, 0.4, 0.5);
  std::int64_t with = 0;
  for (std::int64_t step = 0; step < 12; ++step) {
    const double worst = change(all, fewer, step);
    EXPECT_LE(worst, kRounding) << step;
    with += worst > 0.5 ? 1 : 0;
  }
  EXPECT_GT(with, 0);
  EXPECT_LT(with, 12);
}

}  // namespace
}  // namespace moesaic
