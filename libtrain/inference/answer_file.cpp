#include "inference/answer_file.h"

#include <algorithm>

#include "core/error.h"
#include "core/json_text.h"

namespace moesaic {
namespace {

constexpr std::size_t kAnswerLineBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostExpected = 1000;  // references, or items that a case requires

bool is_text(const Json& value) { return value.is_string(); }

std::string text_at(const Json& line, const char* key, const std::string& where) {
  MOESAIC_CHECK(line.contains(key) && is_text(line[key]), ErrorKind::kData,
                "{}: \"{}\" must be there and a text", where, key);
  return line[key];
}

std::vector<std::string> texts_at(const Json& line, const char* key, const std::string& where) {
  MOESAIC_CHECK(line.contains(key) && line[key].is_array() && !line[key].empty() &&
                    line[key].size() <= kMostExpected &&
                    std::all_of(line[key].begin(), line[key].end(), is_text),
                ErrorKind::kData, "{}: \"{}\" must be there and a list of 1 to {} texts", where,
                key, kMostExpected);
  return line[key].get<std::vector<std::string>>();
}

// A label may be a text or a number.
std::string label_at(const Json& line, const char* key, const std::string& where) {
  if (line.contains(key) && line[key].is_number_integer()) return line[key].dump();
  MOESAIC_CHECK(line.contains(key) && is_text(line[key]), ErrorKind::kData,
                "{}: \"{}\" must be there and a label: a text or an integer", where, key);
  return line[key];
}

std::vector<std::string> expected_of(const Json& line, const std::string& task,
                                     const std::string& where) {
  if (task == "classification") return {label_at(line, "answer", where)};
  if (task == "cases") {
    const std::vector<std::string> required = texts_at(line, "required", where);
    MOESAIC_CHECK(std::find(required.begin(), required.end(), "") == required.end(),
                  ErrorKind::kData, "{}: \"required\" has an empty text, which every answer has",
                  where);
    return required;
  }
  const bool one = line.contains("reference");
  MOESAIC_CHECK(one != line.contains("references"), ErrorKind::kData,
                "{}: must have either \"reference\" (a text) or \"references\" (a list of texts)",
                where);
  if (one) return {text_at(line, "reference", where)};
  return texts_at(line, "references", where);
}

}  // namespace

bool AnswerFile::next(Item& item) {
  std::string text;
  if (options_.limit > 0 && read_ == options_.limit) return false;
  if (!input_.next_filled_line(text, kAnswerLineBytes)) return false;
  ++read_;
  const Json line = parse_json(text, where());
  MOESAIC_CHECK(line.is_object(), ErrorKind::kData, "{}: must be a JSON object", where());
  item.answer.expected = expected_of(line, options_.task, where());
  if (!options_.predictions)
    item.prompt = text_at(line, "prompt", where());
  else if (options_.task == "classification")
    item.answer.prediction = label_at(line, "predicted", where());
  else
    item.answer.prediction = text_at(line, "prediction", where());
  return true;
}

std::string prediction_line(const metrics::Answer& answer, const std::string& task) {
  Json line;
  if (task == "classification")
    line = {{"predicted", answer.prediction}, {"answer", answer.expected.at(0)}};
  else
    line = {{"prediction", answer.prediction},
            {task == "cases" ? "required" : "references", answer.expected}};
  return json_text(line) + "\n";
}

metrics::Measurement measurement_of(const metrics::Evaluation& evaluation,
                                    const std::string& path) {
  MOESAIC_CHECK(evaluation.items() > 0, ErrorKind::kData, "{}: there is no item", path);
  return evaluation.measurement();
}

Json judge_predictions(const AnswerFile::Options& options,
                       const metrics::Evaluation::Options& wanted) {
  metrics::Evaluation evaluation(wanted);
  AnswerFile file(options);
  AnswerFile::Item item;
  while (file.next(item)) evaluation.add(item.answer);
  return measurement_of(evaluation, options.path).result;
}

}  // namespace moesaic
