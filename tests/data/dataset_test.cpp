#include "data/dataset.h"

#include <fstream>

#include "data/inspect_data.h"
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
  const auto corpora = build_corpora(recipe, *byte_tokenizer(), folder.path() + "/cache", silent());
  return CorpusPaths::unpacked(corpora.paths.packed());  // as the other ranks get them
}

TEST(Dataset, OpensWhatTheChiefBuilt) {
  const TemporaryFolder folder;
  const Recipe recipe = recipe_of(folder);
  const auto paths = built(folder, recipe);
  const TokenStream train = open_train(recipe, paths, 257, StreamOptions::of(recipe));
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
  EXPECT_EQ(open_train(recipe, paths, 257, StreamOptions::of(recipe)).sequences(), 5 + 2);
  recipe.data.sequence_length = 1;
  expect_error(ErrorKind::kData, "b.jsonl: document 1 has 3 token ids, at most 2",
               [&] { open_train(recipe, paths, 257, StreamOptions::of(recipe)); });
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
               [&] { open_train(recipe, paths, 257, StreamOptions::of(recipe)); });
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
               [&] { open_train(recipe, paths, 256, StreamOptions::of(recipe)); });
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

TEST(Dataset, IsDescribedByWhatItsSourcesHold) {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(folder);
  const std::string strange = folder.path() + "/a-\xff.txt";
  std::ofstream(strange) << "text";
  recipe.data.train = {{.path = folder.path() + "/a*.txt"}};
  const auto build = [&] {
    return build_corpora(recipe, *byte_tokenizer(), folder.path() + "/cache", silent());
  };
  const BuiltCorpora before = build();
  EXPECT_EQ(CorpusPaths::unpacked(before.paths.packed()).train, before.paths.train);
  const Json& train = before.description.at("train").at(0);
  EXPECT_EQ(train.at("path"), recipe.data.train[0].path);
  EXPECT_EQ(train.at("files").size(), 2U);
  EXPECT_EQ(build().description, before.description);
  std::ofstream(strange) << "another text";
  const Json after = build().description.at("train").at(0);
  EXPECT_NE(after.at("digest"), train.at("digest"));
  EXPECT_NE(after.at("files").at(strange), train.at("files").at(strange));
  EXPECT_EQ(after.at("files").at(folder.path() + "/a.txt"),
            train.at("files").at(folder.path() + "/a.txt"));
  // A token file says by itself what it holds.
  recipe.data.train = {{.path = before.paths.train[0].path, .format = "tokens"}};
  EXPECT_EQ(build().description.at("train").at(0),
            (Json{{"path", before.paths.train[0].path}, {"digest", train.at("digest")}}));
}

Json inspected(Recipe recipe) {
  recipe.model.config = {
      {"model_type", "llama"}, {"vocab_size", 257}, {"hidden_size", 8}, {"num_attention_heads", 2}};
  return inspect_data(recipe, silent());
}

TEST(InspectData, CountsWhatTheRecipeMakesOfItsSources) {
  const TemporaryFolder folder;
  Recipe recipe;
  recipe.data.train = {{.path = folder.file("a.jsonl",
                                            "{\"prompt\": \"ab\", \"completion\": \"c\"}\nno\n"
                                            "{\"prompt\": \"abcdefgh\", \"completion\": \"i\"}\n"
                                            "{\"prompt\": \"a\", \"completion\": \"bc\"}\n"),
                        .format = "prompt_completion"}};
  recipe.data.sequence_length = 6;
  recipe.data.packing = "best_fit";
  recipe.data.on_error = "skip";
  recipe.data.too_long = "skip";
  EXPECT_EQ(inspected(recipe), (Json{{"documents", 3},
                                     {"tokens", 4 + 10 + 4},
                                     {"targets", 2 + 3},
                                     {"sequences", 1},
                                     {"fill", 1.0},
                                     {"truncated", 0},
                                     {"cut", 0},
                                     {"skipped", 2}}));
  recipe.data.too_long = "truncate";
  EXPECT_EQ(inspected(recipe).at("truncated"), 1);
  EXPECT_EQ(inspected(recipe).at("sequences"), 2);
  recipe.data.too_long.reset();
  expect_error(ErrorKind::kData, "a.jsonl: document 2 has 10 token ids, at most 7",
               [&] { inspected(recipe); });
}

TEST(Dataset, NoTrainingSourceIsARecipeError) {
  expect_error(ErrorKind::kRecipe, "data.train",
               [] { build_corpora({}, *byte_tokenizer(), "unused", silent()); });
}

}  // namespace
}  // namespace moesaic
