#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/json_text.h"
#include "data/input_file.h"
#include "data/output_file.h"
#include "inference/eval_task.h"
#include "inference/score_line.h"

namespace moesaic {
namespace {

constexpr std::size_t kItemBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostChoices = 1000;

struct Item {
  std::string context;
  std::vector<std::string> choices;
  std::int64_t answer = 0;
};

Item read_item(std::string_view line, const std::string& where) {
  const Json json = parse_json(line, where);
  const auto has_text = [](const Json& value) { return value.is_string(); };
  MOESAIC_CHECK(json.is_object() && json.contains("context") && has_text(json["context"]) &&
                    json.contains("choices") && json["choices"].is_array() &&
                    json.contains("answer") && json["answer"].is_number_integer(),
                ErrorKind::kData,
                "{}: must be {{\"context\": text, \"choices\": [text, ...], \"answer\": number}}",
                where);
  Item item{json["context"], {}, json["answer"]};
  const Json& choices = json["choices"];
  MOESAIC_CHECK(choices.size() >= 2 && choices.size() <= kMostChoices &&
                    std::all_of(choices.begin(), choices.end(), has_text),
                ErrorKind::kData, "{}: choices must be 2 to {} texts", where, kMostChoices);
  for (const Json& choice : choices) {
    item.choices.push_back(choice);
    MOESAIC_CHECK(!item.choices.back().empty(), ErrorKind::kData,
                  "{}: choices[{}] is empty: nothing of it can be scored", where,
                  item.choices.size() - 1);
  }
  MOESAIC_CHECK(item.answer >= 0 && item.answer < std::ssize(item.choices), ErrorKind::kData,
                "{}: the answer is {}, of 0 to {}", where, item.answer, item.choices.size() - 1);
  return item;
}

// Characters of a choice, without the blanks that part it from the context.
double length_of(const std::string& choice) {
  const std::size_t begin = std::min(choice.find_first_not_of(' '), choice.size());
  const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; };
  return static_cast<double>(std::count_if(choice.begin() + static_cast<std::ptrdiff_t>(begin),
                                           choice.end(), is_first_byte));
}

std::int64_t best(const std::vector<double>& values) {
  return std::max_element(values.begin(), values.end()) - values.begin();
}

// An item with its answer: the choice whose text is the most probable after the context.
class ChoiceTask : public EvalTask {
 public:
  ChoiceTask(const Options& options, Model model)
      : options_(options), model_(std::move(model)), input_(options.data) {
    if (!options_.output.empty()) output_.emplace(options_.output);
    MOESAIC_CHECK(options_.context >= 2, ErrorKind::kUsage, "--context is {}, of at least 2",
                  options_.context);
    if (!model_.tokenizer)
      throw Error(ErrorKind::kData, "the model comes without a tokenizer",
                  "put its tokenizer.json beside its config.json");
  }

  bool ask(SequenceWindow& window, std::int64_t room) override {
    asked_.clear();
    first_.clear();
    std::string line;
    while (std::ssize(window.ids) < room) {
      if (options_.limit > 0 && items_ + std::ssize(asked_) == options_.limit) return false;
      if (!input_.next_filled_line(line, kItemBytes)) return false;
      asked_.push_back(read_item(line, input_.where()));
      bool cut = false;
      for (std::size_t i = 0; i < asked_.back().choices.size(); ++i)
        cut = add(asked_.back(), i, window) || cut;
      contexts_cut_ += cut;
    }
    return true;
  }

  void take(const SequenceWindow& window, std::span<const double> logprobs) override {
    std::size_t sequence = 0;
    for (const Item& item : asked_) {
      std::vector<double> sums, by_length;
      for (const std::string& choice : item.choices) {
        const auto begin = window.offsets[sequence] + first_[sequence],
                   end = window.offsets[sequence + 1];
        sums.push_back(std::accumulate(logprobs.begin() + begin, logprobs.begin() + end, 0.0));
        by_length.push_back(sums.back() / std::max(1.0, length_of(choice)));
        ++sequence;
      }
      const Json line = count(item, sums, by_length);
      if (output_) output_->write(json_text(line) + "\n");
      ++items_;
    }
  }

  metrics::Measurement measurement() override {
    MOESAIC_CHECK(items_ > 0, ErrorKind::kData, "{}: there is no item", options_.data);
    if (output_) output_->publish();
    return totals();
  }

 protected:
  // An answered item; -> its line of output.
  virtual Json count(const Item& item, const std::vector<double>& sums,
                     const std::vector<double>& by_length) {
    const std::int64_t pick = best(sums), pick_norm = best(by_length);
    right_.push_back(pick == item.answer ? 1 : 0);
    right_norm_.push_back(pick_norm == item.answer ? 1 : 0);
    return {{"loglikelihoods", sums},
            {"pick", pick},
            {"pick_norm", pick_norm},
            {"answer", item.answer}};
  }

  virtual metrics::Measurement totals() {
    const auto n = static_cast<double>(items_);
    const double acc = std::accumulate(right_.begin(), right_.end(), 0.0) / n,
                 acc_norm = std::accumulate(right_norm_.begin(), right_norm_.end(), 0.0) / n;
    const auto error = [&](double p) {
      return items_ > 1 ? std::sqrt(p * (1 - p) / (n - 1)) : 0.0;
    };
    const Json result = {{"task", "multiple_choice"},
                         {"items", items_},
                         {"acc", acc},
                         {"acc_stderr", error(acc)},
                         {"acc_norm", acc_norm},
                         {"acc_norm_stderr", error(acc_norm)},
                         {"context", options_.context},
                         {"contexts_cut", contexts_cut_}};
    const std::vector<double> each(right_.size(), 1.0);
    return {.result = result,
            .items = right_.size(),
            .statistics = {{"acc", metrics::ratio(right_, each)},
                           {"acc_norm", metrics::ratio(right_norm_, each)}}};
  }

 private:
  // Whether the beginning of the context had to be cut off.
  bool add(const Item& item, std::size_t choice, SequenceWindow& window) {
    std::size_t known = 0;
    const std::vector<std::uint32_t> all = ids_of(item.context, item.choices[choice], known);
    const auto most = static_cast<std::size_t>(options_.context);
    check_length(all.size(), known, choice);
    const std::size_t cut = all.size() > most ? all.size() - most : 0;  // the end counts
    require_in_vocabulary(all, model_.vocab_size, input_.where());
    first_.push_back(static_cast<std::int64_t>(known - cut));
    window.add({all.data() + cut, all.size() - cut}, first_.back());
    return cut > 0;
  }

  // Of context and choice. The ids of the choice are those that the context alone, of `known` ids,
  // does not have.
  std::vector<std::uint32_t> ids_of(const std::string& context, const std::string& choice,
                                    std::size_t& known) const {
    const std::size_t last = context.find_last_not_of(" \t\r\n\f\v");
    const std::string before = context.substr(0, last == std::string::npos ? 0 : last + 1);
    std::vector<std::uint32_t> all, first;
    model_.tokenizer->encode_with_special(context + choice, all);
    model_.tokenizer->encode_with_special(before, first);
    known = first.size();
    if (known > 0) return all;
    const auto end = model_.tokenizer->end_of_text();  // something must come before the first id
    MOESAIC_CHECK(end.has_value(), ErrorKind::kData,
                  "{}: the context is empty, and the tokenizer has no end of text to begin with",
                  input_.where());
    all.insert(all.begin(), *end);
    known = 1;
    return all;
  }

  // All ids of a choice are scored, and at least one is: a sum of nothing would always win.
  void check_length(std::size_t ids, std::size_t known, std::size_t choice) const {
    MOESAIC_CHECK(ids > known, ErrorKind::kData,
                  "{}: choices[{}] adds no token id to those of the context", input_.where(),
                  choice);
    const auto room = static_cast<std::size_t>(options_.context) - 1;
    if (ids - known <= room) return;
    throw Error(ErrorKind::kData,
                format("{}: choices[{}] has {} token ids, at most {} fit after one of the context "
                       "(--context {})",
                       input_.where(), choice, ids - known, room, options_.context),
                "raise --context, or shorten the choice");
  }

  Options options_;
  Model model_;
  InputFile input_;
  std::optional<OutputFile> output_;
  std::vector<Item> asked_;
  std::vector<std::int64_t> first_;         // by sequence: the first id of the choice
  std::vector<double> right_, right_norm_;  // by item: 1 or 0
  std::int64_t items_ = 0, contexts_cut_ = 0;
};

// The same items, whose choices are labels.
class LabelTask : public ChoiceTask {
 public:
  LabelTask(const Options& options, Model model)
      : ChoiceTask(options, std::move(model)), evaluation_(options.scores) {}

 protected:
  Json count(const Item& item, const std::vector<double>& sums,
             const std::vector<double>& /*by_length*/) override {
    const std::string& label = item.choices[static_cast<std::size_t>(best(sums))];
    const std::string& answer = item.choices[static_cast<std::size_t>(item.answer)];
    evaluation_.add({label, {answer}});
    return {{"predicted", label}, {"answer", answer}, {"loglikelihoods", sums}};
  }

  metrics::Measurement totals() override { return evaluation_.measurement(); }

 private:
  metrics::Evaluation evaluation_;
};

}  // namespace

std::unique_ptr<EvalTask> label_task(const EvalTask::Options& options, EvalTask::Model model) {
  return std::make_unique<LabelTask>(options, std::move(model));
}

std::unique_ptr<EvalTask> choice_task(const EvalTask::Options& options, EvalTask::Model model) {
  return std::make_unique<ChoiceTask>(options, std::move(model));
}

}  // namespace moesaic
