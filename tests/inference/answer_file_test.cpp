// The JSONL of questions and of predictions.
#include "inference/answer_file.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

class AnswerFiles : public ::testing::Test {
 protected:
  AnswerFile::Item read(const std::string& task, bool predictions, const std::string& line) {
    AnswerFile file(
        {.path = folder_.file("a.jsonl", "\n" + line), .task = task, .predictions = predictions});
    AnswerFile::Item item;
    EXPECT_TRUE(file.next(item));
    return item;
  }

  TemporaryFolder folder_;
};

using Texts = std::vector<std::string>;

TEST_F(AnswerFiles, HoldQuestions) {
  AnswerFile::Item item =
      read("generation", false, R"({"prompt": "a", "references": ["b", ""], "id": 3})");
  EXPECT_EQ(item.prompt, "a");
  EXPECT_EQ(item.answer.expected, (Texts{"b", ""}));
  EXPECT_EQ(read("generation", false, R"({"prompt": "", "reference": "b"})").answer.expected,
            Texts{"b"});
  EXPECT_EQ(read("cases", false, R"({"prompt": "", "required": ["x"]})").answer.expected,
            Texts{"x"});
}

TEST_F(AnswerFiles, HoldPredictions) {
  EXPECT_EQ(
      read("generation", true, R"({"prediction": "p", "references": ["b"]})").answer.prediction,
      "p");
  EXPECT_EQ(read("cases", true, R"({"prediction": "p", "required": ["b"]})").answer.prediction,
            "p");
  const metrics::Answer label =
      read("classification", true, R"({"predicted": 2, "answer": "2"})").answer;
  EXPECT_EQ(label.prediction, label.expected.at(0)) << "a number is a label like its text";
}

TEST_F(AnswerFiles, HaveTheLinesThatAreWritten) {
  const metrics::Answer answer{"an \"answer\"\n", {"a", "b"}};
  for (const char* const task : {"generation", "cases"}) {
    const metrics::Answer again = read(task, true, prediction_line(answer, task)).answer;
    EXPECT_EQ(again.prediction, answer.prediction);
    EXPECT_EQ(again.expected, answer.expected);
  }
}

TEST_F(AnswerFiles, ErrorsNameFileAndLine) {
  const auto refused = [&](const std::string& task, bool predictions, const std::string& line,
                           const std::string& part) {
    expect_error(ErrorKind::kData, "a.jsonl:2: ", [&] { read(task, predictions, line); });
    expect_error(ErrorKind::kData, part, [&] { read(task, predictions, line); });
  };
  refused("generation", false, R"({"reference": "b"})", "\"prompt\" must be there and a text");
  refused("generation", false, R"({"prompt": 3, "reference": "b"})", "\"prompt\"");
  refused("generation", false, R"({"prompt": "a"})", "either \"reference\"");
  refused("generation", false, R"({"prompt": "a", "reference": "b", "references": ["b"]})",
          "either \"reference\"");
  refused("generation", false, R"({"prompt": "a", "references": []})", "a list of 1 to 1000 texts");
  refused("generation", false, R"({"prompt": "a", "references": ["b", 1]})", "\"references\"");
  refused("generation", true, R"({"references": ["b"]})", "\"prediction\"");
  refused("cases", false, R"({"prompt": "a", "required": [""]})", "an empty text");
  refused("classification", true, R"({"predicted": 0.5, "answer": "a"})", "\"predicted\"");
  refused("classification", true, R"({"predicted": "a"})", "\"answer\"");
  refused("cases", true, "[]", "must be a JSON object");
  refused("cases", true, "{", "");
}

TEST_F(AnswerFiles, AreJudgedWithoutAModel) {
  const std::string path = folder_.file("p.jsonl",
                                        "{\"prediction\": \"a\", \"reference\": \"a\"}\n"
                                        "{\"prediction\": \"a\", \"reference\": \"b\"}\n"
                                        "{\"prediction\": \"a\", \"reference\": \"b\"}\n");
  const metrics::Evaluation::Options wanted{
      .task = "generation", .metrics = {"exact_match"}, .bootstrap = {.samples = 0}};
  const auto judged = [&](const std::string& file, std::int64_t limit) {
    return judge_predictions(
        {.path = file, .task = "generation", .predictions = true, .limit = limit}, wanted);
  };
  EXPECT_EQ(judged(path, 2).at("metrics").at("exact_match").at("value"), 0.5);
  EXPECT_EQ(judged(path, 0).at("items"), 3);
  expect_error(ErrorKind::kData, "there is no item",
               [&] { judged(folder_.file("empty.jsonl", "\n"), 0); });
}

}  // namespace
}  // namespace moesaic
