// Which sources go with which model.
#include <gtest/gtest.h>

#include <algorithm>

#include "config/recipe_reader.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

constexpr const char* kImages =
    "name: images\n"
    "model: {config: {model_type: mlp, input_size: 4, hidden_sizes: [3], num_labels: 2}}\n"
    "data: {train: [{path: a.idx, labels: b.idx, format: idx}]}\n"
    "train: {max_steps: 1}\n";
constexpr const char* kTokens =
    "name: tokens\n"
    "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, num_attention_heads: "
    "4,\n"
    "                 num_hidden_layers: 2, intermediate_size: 64}}\n"
    "data: {train: [{path: a.jsonl, format: jsonl}]}\n"
    "train: {max_steps: 100}\n";

// Key and message of each problem.
std::vector<std::string> problems(const char* text, const std::vector<std::string>& overrides) {
  const testing::TemporaryFolder folder;
  std::vector<std::string> lines;
  const LoadedRecipe loaded = load_recipe(folder.file("r.yaml", text), overrides);
  for (const Problem& problem : loaded.problems)
    lines.push_back(
        format("{}{}: {}", problem.warning ? "warning: " : "", problem.key, problem.message));
  return lines;
}

using Lines = std::vector<std::string>;

TEST(CheckSources, ImagesGoWithAClassifierAlone) {
  const std::string no_warmup = "schedule.warmup_steps=0";
  EXPECT_EQ(problems(kImages, {no_warmup}), Lines{});
  EXPECT_EQ(problems(kTokens, {}), Lines{});
  EXPECT_EQ(problems(kImages, {no_warmup, "data.train=[{path: a.txt, format: text}]"}),
            Lines{"data.train[0].format: is text, and a model of type mlp reads images: idx"});
  EXPECT_EQ(problems(kImages, {no_warmup, "data.train=[{path: a.idx}]"}),
            Lines{"data.train[0].format: is auto, and a model of type mlp reads images: idx"});
  EXPECT_EQ(problems(kTokens, {"data.train=[{path: a.idx, labels: b.idx, format: idx}]"}),
            Lines{"data.train[0].format: is idx, which is images, and a model of type llama reads "
                  "tokens; those of type mlp read images"});
}

TEST(CheckSources, ConversationsNeedATemplate) {
  const std::string chat = "{path: a.jsonl, format: chat}";
  EXPECT_EQ(problems(kTokens, {"data.train=[{path: b.txt}, " + chat + "]"}),
            Lines{"data.train[1].format: is chat, which needs a chat template, and the tokenizer "
                  "byte has none: name a file with one in data.chat_template"});
  const testing::TemporaryFolder folder;
  const std::string given = "data.chat_template=" + folder.file("t.jinja", "{{ messages }}");
  EXPECT_EQ(problems(kTokens, {"data.train=[" + chat + "]", given}), Lines{});
}

// Wherever the sources are.
TEST(CheckSources, ATemplateHasItsEffectInReplayToo) {
  const testing::TemporaryFolder folder;
  const std::string given = "data.chat_template=" + folder.file("t.jinja", "{{ messages }}");
  const auto with = [&](const std::string& kind) {
    const std::string source = "{path: b.jsonl, format: " + kind + "}";
    return problems(kTokens, {given, "continual={method: none, replay: {share: 0.5, sources: [" +
                                         source + "]}}"});
  };
  EXPECT_EQ(with("chat"), Lines{});
  ASSERT_EQ(with("jsonl").size(), 1U);
  EXPECT_NE(with("jsonl")[0].find("data.chat_template: has no effect"), std::string::npos);
}

TEST(Effects, OfPatienceAndRoutersNeedEvaluationsAndExperts) {
  EXPECT_EQ(problems(kTokens, {"data.valid=[{path: v.txt}]", "eval={every_steps: 0, patience: 2}"}),
            Lines{"warning: eval.patience: has no effect: eval.every_steps is 0: there is one "
                  "evaluation, at the end"});
  const Lines dense = problems(kTokens, {"adapt={lora: {router: lora}}"});
  EXPECT_EQ(std::count(dense.begin(), dense.end(),
                       "warning: adapt.lora.router: has no effect: the model is dense"),
            1);
  const Lines frozen = problems(kTokens, {"adapt={lora: {router: frozen}}"});
  EXPECT_EQ(frozen.size() + 1, dense.size());
}

TEST(CheckSources, KeysOfImagesAreRightOrHaveNoEffect) {
  const std::string no_warmup = "schedule.warmup_steps=0";
  const auto with = [&](const std::string& keys) {
    return problems(kImages, {no_warmup, "data.train=[{path: a.idx, format: idx" + keys + "}]"});
  };
  EXPECT_EQ(with(""), Lines{"data.train[0].labels: is missing: the file of the images' labels"});
  EXPECT_EQ(with(", labels: b, map: modulo"),
            Lines{"data.train[0].map: expected none, modulo N (N from 1) or index, got modulo"});
  EXPECT_EQ(with(", labels: b, classes: [1, 1]"),
            Lines{"data.train[0].classes: names a class twice"});
  EXPECT_EQ(with(", labels: b, permutation: 4294967296").size(), 1U);
  EXPECT_EQ(with(", labels: b, classes: [256]").size(), 1U);
  EXPECT_EQ(problems(kTokens, {"data.train=[{path: a.jsonl, format: jsonl, permutation: 1}]"}),
            Lines{"warning: data.train[0].permutation: has no effect: format is jsonl, not idx"});
  EXPECT_EQ(problems(kImages, {no_warmup, "data.sequence_length=16"}),
            Lines{"warning: data.sequence_length: has no effect: the model reads images"});
}

TEST(CheckSources, OnlyAClassifiersOutputsAreMasked) {
  EXPECT_EQ(problems(kTokens, {"continual={method: none, mask_classes: true}"}),
            Lines{"continual.mask_classes: needs a classifier (model_type mlp), and the model is a "
                  "llama"});
}

}  // namespace
}  // namespace moesaic
