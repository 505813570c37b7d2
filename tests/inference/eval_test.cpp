// The tasks of `moesaic eval`: what they ask, and what they make of the answers.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "data/token_file_writer.h"
#include "inference/answer_file.h"
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
      perplexity_task({.data = file("a.txt", text), .context = 16, .stride = 5}, model(), Log());
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
      model(), Log());
  SequenceWindow window;
  EXPECT_FALSE(task->ask(window, 1000));
  EXPECT_EQ(window.offsets, std::vector<std::int64_t>({0, 3, 5}));
  task->take(window, std::vector<double>(5, -2.0));
  EXPECT_EQ(task->result().at("nll"), 6.0);
  EXPECT_EQ(task->result().at("documents"), 3);
}

// Every id has a log-probability of -1.
Json answered(EvalTask& task) {
  SequenceWindow window;
  task.ask(window, 1000);
  task.take(window, std::vector<double>(window.ids.size(), -1.0));
  return task.result();
}

TEST_F(EvalTasks, BitsPerByteAreThoseOfTheText) {
  const auto of = [&](const std::string& lines) {
    const auto task = perplexity_task({.data = file("g.ndjson", lines), .context = 8, .stride = 4},
                                      model(), Log());
    return answered(*task);
  };
  const Json text = of("{\"text\": \"abcd\"}\n");
  const Json mixed = of("{\"ids\": [1, 2, 3]}\n{\"text\": \"abcd\"}\n{\"text\": \"z\"}\n");
  EXPECT_EQ(mixed.at("nll"), 5.0);
  EXPECT_EQ(mixed.at("bytes"), 4);
  EXPECT_EQ(mixed.at("bits_per_byte"), text.at("bits_per_byte"));
  EXPECT_NEAR(mixed.at("bits_per_byte").get<double>(), 3 / std::log(2.0) / 4, 1e-12);
  EXPECT_FALSE(of("{\"ids\": [1, 2, 3]}\n{\"text\": \"z\"}\n").contains("bits_per_byte"));
}

TEST_F(EvalTasks, DocumentsComeFromEveryFormat) {
  const auto documents = [&](const std::string& path, const std::string& format = "auto") {
    const auto task = perplexity_task({.data = path, .format = format, .context = 8, .stride = 4},
                                      model(), Log());
    return answered(*task).at("documents").get<int>();
  };
  const std::string lines = "{\"text\": \"ab\"}\n{\"text\": \"cd\"}\n";
  for (const char* const name : {"h.ndjson", "h.JSONL", "h.txt", "h"})
    EXPECT_EQ(documents(file(name, lines)), 2) << name;
  EXPECT_EQ(documents(file("h.jsonl", lines), "text"), 1);
  EXPECT_EQ(documents(file("h.txt", "ab\ncd\n")), 1);
  const std::string tokens = file("h.tokens", "");
  TokenFileWriter writer(tokens, 2);
  for (const std::uint32_t id : {1, 2, 3}) {
    writer.add(std::vector<std::uint32_t>{id, 256});
    writer.end_document();
  }
  writer.publish();
  EXPECT_EQ(documents(tokens), 3);
  std::filesystem::copy_file(tokens, tokens + ".jsonl",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(documents(tokens + ".jsonl"), 3);
  for (const auto& [name, content] : std::vector<std::pair<std::string, std::string>>{
           {"h.jsonl.gz", "\x1f\x8b"}, {"h.jsonl", "{\"messages\": []}"}, {"h.tokens", "x"}})
    EXPECT_THROW(documents(file(name, content)), Error) << name;
  EXPECT_THROW(documents(file("h.jsonl", lines), "tokens"), Error);
}

TEST_F(EvalTasks, ChoicesThatCannotBeScoredWholeAreRefused) {
  const auto of = [&](const std::string& context, const std::string& choice) {
    const Json item = {{"context", context}, {"choices", {" yes", choice}}, {"answer", 0}};
    return answered(
        *choice_task({.data = file("i.jsonl", "\n" + item.dump()), .context = 8}, model()));
  };
  const auto refused = [&](const std::string& context, const std::string& choice) {
    try {
      of(context, choice);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("taken");
  };
  EXPECT_NE(refused("Q:", "").find("i.jsonl:2: choices[1] is empty"), std::string::npos);
  EXPECT_NE(refused("Q: ", "").find("choices[1] is empty"), std::string::npos);
  EXPECT_NE(refused("Q:", " 1234567").find("i.jsonl:2: choices[1] has 8 token ids, at most 7"),
            std::string::npos);
  EXPECT_EQ(of("Q:", " 123").at("contexts_cut"), 0);
  EXPECT_EQ(of("Q:", " 123456").at("contexts_cut"), 1);  // one byte of the context is left
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
  EXPECT_EQ(window.offsets[1] - window.firsts[0], 3);  // nothing else is asked for
  EXPECT_EQ(window.offsets[2] - window.offsets[1] - window.firsts[1], 10);
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

TEST_F(EvalTasks, LabelsAreChosenByTheirLogLikelihood) {
  const std::string lines = R"({"context": "Q:", "choices": [" no", " certainly"], "answer": 1})"
                            "\n"
                            R"({"context": "Q:", "choices": [" no", " certainly"], "answer": 0})";
  const auto task = label_task({.data = file("j.jsonl", lines),
                                .context = 64,
                                .output = file("labels.jsonl", ""),
                                .scores = {.task = "classification", .bootstrap = {.samples = 0}}},
                               model());
  const Json result = answered(*task);  // -3 against -10: the shorter one
  EXPECT_EQ(result.at("items"), 2);
  EXPECT_EQ(result.at("metrics").at("accuracy").at("value"), 0.5);
  EXPECT_EQ(result.at("per_class").at(" no").at("precision"), 0.5);
  EXPECT_EQ(result.at("per_class").at(" certainly").at("recall"), 0.0);
  AnswerFile predictions({.path = testing::TempDir() + "/labels.jsonl",
                          .task = "classification",
                          .predictions = true});
  AnswerFile::Item item;
  ASSERT_TRUE(predictions.next(item));
  EXPECT_EQ(item.answer.prediction, " no");
  EXPECT_EQ(item.answer.expected, std::vector<std::string>({" certainly"}));
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
  EXPECT_THROW(
      perplexity_task({.data = file("e.txt", "a"), .context = 4, .stride = 4}, model(), Log()),
      Error);
  const auto empty =
      perplexity_task({.data = file("f.txt", ""), .context = 4, .stride = 2}, model(), Log());
  SequenceWindow window;
  EXPECT_FALSE(empty->ask(window, 10));
  EXPECT_THROW(empty->result(), Error);
}

}  // namespace
}  // namespace moesaic
