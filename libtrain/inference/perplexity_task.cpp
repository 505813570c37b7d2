#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/fs.h"
#include "data/input_file.h"
#include "data/json_line.h"
#include "inference/eval_task.h"
#include "inference/score_line.h"

namespace moesaic {
namespace {

constexpr std::size_t kLineBytes = std::size_t{256} << 20U;

class PerplexityTask : public EvalTask {
 public:
  PerplexityTask(const Options& options, Model model)
      : options_(options), model_(std::move(model)), input_(options.data) {
    MOESAIC_CHECK(options_.context >= 2, ErrorKind::kUsage, "--context is {}, of at least 2",
                  options_.context);
    MOESAIC_CHECK(options_.stride >= 1 && options_.stride < options_.context, ErrorKind::kUsage,
                  "--stride is {}, of 1 to {} for a context of {}", options_.stride,
                  options_.context - 1, options_.context);
  }

  bool ask(SequenceWindow& window, std::int64_t room) override {
    first_scored_.clear();
    while (std::ssize(window.ids) < room) {
      if (scored_to_ >= std::ssize(ids_) && !next_document()) return false;
      add_window(window);
    }
    return true;
  }

  void take(const SequenceWindow& window, std::span<const double> logprobs) override {
    for (std::size_t i = 0; i < first_scored_.size(); ++i) {
      for (std::int64_t t = window.offsets[i] + first_scored_[i]; t < window.offsets[i + 1]; ++t) {
        const double logprob = logprobs[static_cast<std::size_t>(t)];
        nll_ -= logprob;
        ++scored_;
      }
    }
  }

  Json result() override {
    MOESAIC_CHECK(scored_ > 0, ErrorKind::kData, "{}: there is nothing to score", options_.data);
    const double loss = nll_ / static_cast<double>(scored_);
    Json result = {{"task", "perplexity"}, {"documents", documents_},
                   {"tokens", tokens_},    {"scored_tokens", scored_},
                   {"bytes", bytes_},      {"nll", nll_},
                   {"loss", loss},         {"perplexity", std::exp(loss)}};
    if (bytes_ > 0)
      result["bits_per_byte"] = nll_ / std::numbers::ln2 / static_cast<double>(bytes_);
    result["context"] = options_.context;
    result["stride"] = options_.stride;
    return result;
  }

 private:
  // From the last scored id on, with as many before it as there is room for.
  void add_window(SequenceWindow& window) {
    const std::int64_t count = std::ssize(ids_);
    const std::int64_t first =
        scored_to_ == 1
            ? 0
            : std::max<std::int64_t>(0, scored_to_ - (options_.context - options_.stride));
    const std::int64_t end = std::min(count, first + options_.context);
    window.add({ids_.data() + first, static_cast<std::size_t>(end - first)});
    first_scored_.push_back(scored_to_ - first);
    scored_to_ = end;
  }

  bool next_document() {
    ids_.clear();
    do {
      if (options_.limit > 0 && documents_ == options_.limit) return false;
      if (!read_document()) return false;
      ++documents_;
      tokens_ += std::ssize(ids_);
    } while (ids_.size() < 2);  // nothing to predict
    scored_to_ = 1;
    return true;
  }

  bool read_document() {
    if (options_.data.ends_with(".jsonl") || options_.data.ends_with(".json")) return read_line();
    if (std::exchange(text_read_, true)) return false;
    encode(read_file(options_.data, ErrorKind::kData));
    return true;
  }

  bool read_line() {
    std::string line;
    if (!input_.next_filled_line(line, kLineBytes)) return false;
    TextOrIds read = read_text_or_ids_line(line, input_.where());
    ids_ = std::move(read.ids);
    if (read.text) encode(*read.text);
    require_in_vocabulary(ids_, model_.vocab_size, input_.where());
    return true;
  }

  void encode(const std::string& text) {
    if (!model_.tokenizer) {
      throw Error(ErrorKind::kData, "the model comes without a tokenizer",
                  "give JSONL with {\"ids\": [...]}");
    }
    ids_.clear();
    model_.tokenizer->encode_with_special(text, ids_);
    bytes_ += std::ssize(text);
  }

  Options options_;
  Model model_;
  InputFile input_;
  bool text_read_ = false;
  std::vector<std::uint32_t> ids_;          // of the document
  std::int64_t scored_to_ = 0;              // ids of it that are in a window
  std::vector<std::int64_t> first_scored_;  // by sequence of the last window
  std::int64_t documents_ = 0, tokens_ = 0, scored_ = 0, bytes_ = 0;
  double nll_ = 0;
};

}  // namespace

std::unique_ptr<EvalTask> perplexity_task(const EvalTask::Options& options, EvalTask::Model model) {
  return std::make_unique<PerplexityTask>(options, std::move(model));
}

}  // namespace moesaic
