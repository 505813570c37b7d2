#include "data/dataset.h"

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::silent;
using testing::TemporaryFolder;

Recipe recipe_of(const TemporaryFolder& folder) {
  Recipe recipe;
  recipe.data.train = {{.path = folder.file("a.txt", "abcdefghij"), .weight = 3.0},
                       {.path = folder.file("b.jsonl", "{\"ids\": [1, 2, 3]}\n{\"ids\": [4, 5]}\n"),
                        .format = "tokens"}};
  recipe.data.valid = {{.path = folder.file("v.txt", "klmno")}};
  recipe.data.sequence_length = 2;
  recipe.data.shuffle = false;
  recipe.train.global_batch_size = 8;
  recipe.train.micro_batch_size = 4;
  return recipe;
}

CorpusPaths built(const TemporaryFolder& folder, const Recipe& recipe) {
  const auto paths =
      build_corpora(recipe.data, *byte_tokenizer(), folder.path() + "/cache", silent());
  return CorpusPaths::from_json(paths.to_json());  // as the other ranks get them
}

TEST(Dataset, OpensWhatTheChiefBuilt) {
  const TemporaryFolder folder;
  const Recipe recipe = recipe_of(folder);
  const auto paths = built(folder, recipe);
  const TokenStream train = open_train(recipe, paths, 257);
  EXPECT_EQ(train.sequences(), 5 + 2);  // 11 ids, 5 ids, S = 2
  EXPECT_EQ(train.max_token_id(), 256);
  EXPECT_EQ(train.size(0).target_tokens, 16);
  const EvalBatches valid = open_valid(recipe, paths, 257);
  EXPECT_EQ(valid.sequences(), 2);  // 6 ids
  EXPECT_EQ(valid.count(), 1);
}

TEST(Dataset, WithoutPackingTextIsCutAndLongTokenLinesAreRefused) {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(folder);
  recipe.data.packing = false;
  const auto paths = built(folder, recipe);
  EXPECT_EQ(open_train(recipe, paths, 257).sequences(), 5 + 2);
  recipe.data.sequence_length = 1;
  expect_error(ErrorKind::kData, "b.jsonl: document 1 has 3 token ids, at most 2",
               [&] { open_train(recipe, paths, 257); });
}

TEST(Dataset, LongLinesOfIdsAreRefusedWithoutAFormatToo) {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(folder);
  recipe.data.packing = false;
  recipe.data.sequence_length = 1;
  for (auto& source : recipe.data.train) source.format = "auto";
  const auto paths = built(folder, recipe);
  EXPECT_TRUE(paths.train[0].of_text);
  EXPECT_FALSE(paths.train[1].of_text);
  EXPECT_TRUE(paths.any_of_text());
  expect_error(ErrorKind::kData, "b.jsonl: document 1 has 3 token ids, at most 2",
               [&] { open_train(recipe, paths, 257); });
  recipe.data.train.erase(recipe.data.train.begin());
  recipe.data.valid.clear();
  EXPECT_FALSE(built(folder, recipe).any_of_text());
}

TEST(Dataset, IdsOutsideTheVocabularyNameTheirSource) {
  const TemporaryFolder folder;
  const Recipe recipe = recipe_of(folder);
  const auto paths = built(folder, recipe);
  expect_error(ErrorKind::kData,
               "a.txt: token id 256 is outside the model's vocabulary, vocab_size is 256",
               [&] { open_train(recipe, paths, 256); });
  expect_error(ErrorKind::kData, "v.txt", [&] { open_valid(recipe, paths, 256); });
}

TEST(Dataset, TooLittleTextNamesItsSource) {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(folder);
  recipe.data.sequence_length = 6;
  const auto paths = built(folder, recipe);
  expect_error(ErrorKind::kData, "v.txt: 6 token ids make no sequence, one needs 7",
               [&] { open_valid(recipe, paths, 257); });
}

TEST(Dataset, NoTrainingSourceIsARecipeError) {
  expect_error(ErrorKind::kRecipe, "data.train",
               [] { build_corpora({}, *byte_tokenizer(), "unused", silent()); });
}

}  // namespace
}  // namespace moesaic
