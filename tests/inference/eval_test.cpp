// The tasks of `moesaic eval`: what they ask, and what they make of the answers.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "inference/eval_task.h"

namespace moesaic {
namespace {

class EvalTasks : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(testing::TempDir()) / name;
    std::ofstream(path) << text;
    return path.string();
  }
  static EvalTask::Model model() { return {byte_tokenizer(), 257}; }
};

TEST_F(EvalTasks, PerplexityScoresEachTokenOnceWithEnoughBeforeIt) {
  std::string text;
  for (int i = 0; i < 101; ++i) text += static_cast<char>('A' + i % 26);
  const auto task =
      perplexity_task({.data = file("a.txt", text), .context = 16, .stride = 5}, model());
  std::vector<double> all;  // what each window would score, by its ids
  SequenceWindow window;
  while (true) {
    window = {};
    task->ask(window, 40);
    if (window.sequences() == 0) break;
    for (std::size_t i = 0; i + 1 < window.offsets.size(); ++i) {
      EXPECT_LE(window.offsets[i + 1] - window.offsets[i], 16);
    }
    // 1 a token: the sum counts the tokens that are scored.
    std::vector<double> logprobs(window.ids.size(), -1.0);
    task->take(window, logprobs);
  }
  const Json result = task->result();
  EXPECT_EQ(result.at("scored_tokens"), 100);
  EXPECT_EQ(result.at("nll"), 100.0);
  EXPECT_NEAR(result.at("perplexity").get<double>(), std::exp(1.0), 1e-12);
  EXPECT_NEAR(result.at("bits_per_byte").get<double>(), 100 / std::log(2.0) / 101, 1e-12);
}

TEST_F(EvalTasks, PerplexityKeepsDocumentsApart) {
  const auto task = perplexity_task(
      {.data = file("b.jsonl", "{\"text\": \"abc\"}\n\n{\"ids\": [1, 2]}\n{\"text\": \"z\"}\n"),
       .context = 8,
       .stride = 4},
      model());
  SequenceWindow window;
  EXPECT_FALSE(task->ask(window, 1000));
  EXPECT_EQ(window.offsets, std::vector<std::int64_t>({0, 3, 5}));
  task->take(window, std::vector<double>(5, -2.0));
  EXPECT_EQ(task->result().at("nll"), 6.0);
  EXPECT_EQ(task->result().at("documents"), 3);
}

TEST_F(EvalTasks, ChoicesAreComparedByTheirOwnTokensAlone) {
  const auto task = choice_task(
      {.data =
           file("c.jsonl", R"({"context": "Q: ", "choices": ["ab", " abcdefgh"], "answer": 1})"),
       .context = 64},
      model());
  SequenceWindow window;
  task->ask(window, 1000);
  ASSERT_EQ(window.sequences(), 2);
  std::vector<double> logprobs(window.ids.size(), -100.0);  // of the context, which must not count
  // The blank at the end of the context belongs to the choice: 3 and 10 tokens.
  for (std::int64_t t = window.offsets[1] - 3; t < window.offsets[1]; ++t)
    logprobs[static_cast<std::size_t>(t)] = -1.0;
  for (std::int64_t t = window.offsets[2] - 10; t < window.offsets[2]; ++t)
    logprobs[static_cast<std::size_t>(t)] = -0.5;
  task->take(window, logprobs);
  const Json result = task->result();
  EXPECT_EQ(result.at("acc"), 0.0) << "-3 against -5";
  EXPECT_EQ(result.at("acc_norm"), 1.0) << "-3 / 2 against -5 / 8";
}

TEST_F(EvalTasks, ErrorsNameFileAndLine) {
  for (const char* const line :
       {"{}", "[1]", R"({"context": "a", "choices": ["b"], "answer": 0})",
        R"({"context": "a", "choices": ["b", "c"], "answer": 2})",
        R"({"context": "a", "choices": ["b", 3], "answer": 0})", "{\"context\": "}) {
    const auto task =
        choice_task({.data = file("d.jsonl", std::string("\n") + line), .context = 64}, model());
    SequenceWindow window;
    try {
      task->ask(window, 10);
      FAIL() << line;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("d.jsonl:2"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(perplexity_task({.data = file("e.txt", "a"), .context = 4, .stride = 4}, model()),
               Error);
  const auto empty =
      perplexity_task({.data = file("f.txt", ""), .context = 4, .stride = 2}, model());
  SequenceWindow window;
  EXPECT_FALSE(empty->ask(window, 10));
  EXPECT_THROW(empty->result(), Error);
}

}  // namespace
}  // namespace moesaic
