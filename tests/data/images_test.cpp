#include "data/image_batches.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>

#include <set>

#include "config/image_source.h"
#include "data/pixel_order.h"
#include "data/test_data.h"
#include "support/idx_maker.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::idx_bytes;
using testing::IdxPair;
using testing::TemporaryFolder;
using testing::values;
using Ids = std::vector<std::int64_t>;

arch::Options model_of(std::int64_t input_size, std::int64_t num_labels) {
  return arch::require_options({{"model_type", "mlp"},
                                {"input_size", input_size},
                                {"hidden_sizes", Json::array()},
                                {"num_labels", num_labels}},
                               "test");
}

struct Seven {  // images with the labels 5, 2, 5, 3, 2, 2, 9
  TemporaryFolder folder;
  IdxPair pair = testing::idx_pair(folder, {5, 2, 5, 3, 2, 2, 9});
  SourceOptions source = {.path = pair.images, .format = "idx", .labels = pair.labels};
};

void expect_refused(const SourceOptions& source, const arch::Options& arch,
                    const std::string& part) {
  expect_error(ErrorKind::kData, part, [&] { choose_images(source, arch); });
}

TEST(ChooseImages, TakesTheImagesOfTheClassesInTheirOrder) {
  Seven s;
  EXPECT_EQ(choose_images(s.source, model_of(4, 10)).targets, (Ids{5, 2, 5, 3, 2, 2, 9}));
  s.source.classes = {5, 2};
  ImageChoice choice = choose_images(s.source, model_of(4, 10));
  EXPECT_EQ(choice.items, (Ids{0, 1, 2, 4, 5}));
  EXPECT_EQ(choice.targets, (Ids{5, 2, 5, 2, 2}));
  EXPECT_EQ(choice.outputs, (Ids{2, 5}));
  s.source.map = "modulo 2";
  EXPECT_EQ(choose_images(s.source, model_of(4, 2)).targets, (Ids{1, 0, 1, 0, 0}));
  s.source.map = "index";
  EXPECT_EQ(choose_images(s.source, model_of(4, 2)).targets, (Ids{0, 1, 0, 1, 1}));
}

TEST(ChooseImages, RefusesWhatDoesNotFit) {
  Seven s;
  expect_refused(s.source, model_of(784, 10),
                 "an image has 4 values (2 x 2), and the model's input_size is 784");
  expect_refused(s.source, model_of(4, 9), "label 9 (map none) of image 6 becomes output 9");
  SourceOptions other = s.source;
  other.classes = {5, 1, 7};
  expect_refused(other, model_of(4, 10), "no image has the classes 1, 7");
  other = s.source;
  other.labels = s.folder.file("few.idx", idx_bytes({6}, {0, 1, 2, 3, 4, 5}));
  expect_refused(other, model_of(4, 10), "has 7 images, and");
  other.labels = s.source.path;
  expect_refused(other, model_of(4, 10), "are images and labels exchanged?");
}

TEST(ChooseImages, KnowsWhatASourceCannotMean) {
  const SourceOptions good = {.path = "a", .format = "idx", .labels = "b"};
  EXPECT_FALSE(mistake_of(good));
  SourceOptions bad = good;
  bad.labels.reset();
  EXPECT_EQ(mistake_of(bad)->key, "labels");
  bad = good;
  for (const char* map : {"modulo", "modulo 0", "modulo -2", "modulo 2x", "mod 2", ""}) {
    bad.map = map;
    EXPECT_EQ(mistake_of(bad)->key, "map") << map;
  }
  bad.map = "index";
  EXPECT_EQ(mistake_of(bad)->key, "map");
  bad.classes = {1, 2, 1};
  EXPECT_EQ(mistake_of(bad)->key, "classes");
}

TEST(Images, AreRowsOfPixelsOver255) {
  Seven s;
  s.source.classes = {3, 9};  // images 3 and 6
  ImageFiles files;
  const Images images({s.source}, model_of(4, 10), {.dtype = at::kDouble}, files);
  EXPECT_EQ(images.size(), 2);
  const Batch batch = images.batch(std::vector<Images::Row>{{0, 1, 4}, {0, 0, 7}});
  const at::Tensor wanted =
      at::tensor({60.0, 61.0, 62.0, 63.0, 30.0, 31.0, 32.0, 33.0}, at::kDouble)
          .view({2, 4})
          .div(255);
  EXPECT_TRUE(batch.features_TF.equal(wanted));
  EXPECT_EQ(values(batch.targets_T), (Ids{9, 3}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{4, 7}));
  EXPECT_EQ(batch.documents(), 2);
  EXPECT_EQ(batch.tokens(), 2);
  EXPECT_FALSE(batch.ids_T.defined());
  EXPECT_FALSE(batch.allowed_TV.defined());
  const Images narrow({s.source}, model_of(4, 10), {}, files);
  EXPECT_TRUE(narrow.batch(std::vector<Images::Row>{{0, 1, 0}})
                  .features_TF.equal(wanted.narrow(0, 0, 1).to(at::kFloat)));
}

TEST(Images, HaveTheirPixelsInTheOrderOfTheSeed) {
  Seven s;
  s.source.permutation = 11;
  ImageFiles files;
  const Images images({s.source}, model_of(4, 10), {.dtype = at::kDouble}, files);
  const at::Tensor row =
      images.batch(std::vector<Images::Row>{{0, 2, 0}}).features_TF.mul(255).round().flatten();
  const Ids order = pixel_order(11, 4);
  for (std::int64_t j = 0; j < 4; ++j)
    EXPECT_EQ(row.select(0, j).item<double>(),
              20.0 + static_cast<double>(order[static_cast<std::size_t>(j)]));
}

TEST(Images, MayHaveTheOutputsOfTheirClassesAlone) {
  Seven s;
  SourceOptions some = s.source;
  some.classes = {2, 5};
  ImageFiles files;
  const Images images({some, s.source}, model_of(4, 10), {.mask_classes = true}, files);
  const Batch batch = images.batch(std::vector<Images::Row>{{0, 0, 0}, {1, 0, 1}});
  const at::Tensor allowed = batch.allowed_TV.to(at::kLong);
  EXPECT_EQ(values(allowed.select(0, 0)), (Ids{0, 0, 1, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(values(allowed.select(0, 1).contiguous()), Ids(10, 1));  // all classes are taken
}

TEST(Images, OfOneFileShareIt) {
  Seven s;
  ImageFiles files;
  SourceOptions other = s.source;
  other.classes = {2};
  other.permutation = 3;
  const Images two({s.source, other}, model_of(4, 10), {}, files);
  const Images third({other}, model_of(4, 10), {}, files);
  EXPECT_EQ(files.values(s.source.path).use_count(), 5);  // sources, `files`, and this one
  EXPECT_EQ(files.values(s.source.path)->size(), 7U * 4);
}

Recipe recipe_of(const SourceOptions& source) {
  Recipe recipe;
  recipe.data.train = recipe.data.valid = {source};
  recipe.train.global_batch_size = 6;
  recipe.train.micro_batch_size = 2;
  return recipe;
}

TEST(ImageStream, GivesEachImageOnceAnEpochByRandomAccess) {
  const Seven s;
  const Recipe recipe = recipe_of(s.source);
  ImageFiles files;
  const ImageStream stream =
      open_train_images(recipe, model_of(4, 10), StreamOptions::of(recipe), files);
  EXPECT_EQ(stream.size(0).target_tokens, 6);
  EXPECT_EQ(stream.size(0).micro_batches, 3);
  EXPECT_EQ(stream.size(0).documents, 6);
  std::vector<double> drawn;                       // first pixels, which tell the images apart
  for (std::int64_t step = 0; step < 7; ++step) {  // 42 draws: six epochs
    for (std::int64_t index = 0; index < 3; ++index) {
      const Batch batch = stream.micro_batch(step, index);
      for (std::int64_t row = 0; row < 2; ++row)
        drawn.push_back(batch.features_TF.select(0, row).select(0, 0).item<double>());
      EXPECT_EQ(values(batch.example_id_T), (Ids{2 * index, 2 * index + 1}));
    }
  }
  const std::vector<double> first(drawn.begin(), drawn.begin() + 7);
  for (std::size_t epoch = 0; epoch < 6; ++epoch) {
    const auto begin = drawn.begin() + static_cast<std::ptrdiff_t>(7 * epoch);
    EXPECT_EQ(std::set<double>(begin, begin + 7).size(), 7U);
    // Each in another order than the first.
    EXPECT_EQ(std::vector<double>(begin, begin + 7) == first, epoch == 0);
  }
  EXPECT_TRUE(stream.micro_batch(3, 1).features_TF.equal(stream.micro_batch(3, 1).features_TF));
}

TEST(ImageStream, GoesThroughTheFileWithoutShuffling) {
  const Seven s;
  Recipe recipe = recipe_of(s.source);
  recipe.data.shuffle = false;
  ImageFiles files;
  const ImageStream stream =
      open_train_images(recipe, model_of(4, 10), StreamOptions::of(recipe), files);
  EXPECT_EQ(values(stream.micro_batch(0, 0).targets_T), (Ids{5, 2}));
  EXPECT_EQ(values(stream.micro_batch(1, 0).targets_T), (Ids{9, 5}));  // the next epoch begins
}

TEST(ImageEval, GoesThroughAllSourcesInOrderAndEndsSmaller) {
  const Seven s;
  SourceOptions some = s.source;
  some.classes = {3, 9};
  Recipe recipe = recipe_of(some);
  recipe.data.valid.push_back(s.source);
  recipe.train.micro_batch_size = 4;
  ImageFiles files;
  const ImageEval eval = open_valid_images(recipe, model_of(4, 10), files);
  EXPECT_TRUE(eval.has_labels());
  EXPECT_EQ(eval.sequences(), 9);
  ASSERT_EQ(eval.count(), 3);
  EXPECT_EQ(values(eval.micro_batch(0).targets_T), (Ids{3, 9, 5, 2}));  // crosses the sources
  EXPECT_EQ(values(eval.micro_batch(1).targets_T), (Ids{5, 3, 2, 2}));
  EXPECT_EQ(values(eval.micro_batch(2).targets_T), Ids{9});
  EXPECT_EQ(values(eval.micro_batch(2).example_id_T), Ids{8});
}

TEST(DescribeImages, ChangesWithEitherFile) {
  const Seven s;
  const Recipe recipe = recipe_of(s.source);
  ImageFiles known;
  const Json before = describe_images(recipe.data, known);
  EXPECT_EQ(before.at("train"), before.at("valid"));
  EXPECT_EQ(before.at("train")[0].at("path"), s.source.path);
  s.folder.file("labels.idx.gz", "changed");
  ImageFiles anew;
  const Json after = describe_images(recipe.data, anew);
  EXPECT_NE(before.at("train")[0].at("digest"), after.at("train")[0].at("digest"));
  EXPECT_EQ(before.at("train")[0].at("files").at(s.source.path),
            after.at("train")[0].at("files").at(s.source.path));
}

}  // namespace
}  // namespace moesaic
