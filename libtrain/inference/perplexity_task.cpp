#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "inference/eval_documents.h"

namespace moesaic {
namespace {

double exponential(double loss) { return std::exp(loss); }

class PerplexityTask : public EvalTask {
 public:
  PerplexityTask(const Options& options, Model model, const Log& log)
      : options_(options), documents_(options.data, options.format, std::move(model), log) {
    MOESAIC_CHECK(options_.context >= 2, ErrorKind::kUsage, "--context is {}, of at least 2",
                  options_.context);
    MOESAIC_CHECK(options_.stride >= 1 && options_.stride < options_.context, ErrorKind::kUsage,
                  "--stride is {}, of 1 to {} for a context of {}", options_.stride,
                  options_.context - 1, options_.context);
  }

  bool ask(SequenceWindow& window, std::int64_t room) override {
    asked_.clear();
    while (std::ssize(window.ids) < room) {
      if (scored_to_ >= std::ssize(document_.ids) && !next_document()) return false;
      add_window(window);
    }
    return true;
  }

  void take(const SequenceWindow& window, std::span<const double> logprobs) override {
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      const Asked& asked = asked_[i];
      double nll = 0;
      const std::int64_t before = scored_;
      for (std::int64_t t = window.offsets[i] + asked.first; t < window.offsets[i + 1]; ++t) {
        const double logprob = logprobs[static_cast<std::size_t>(t)];
        nll -= logprob;
        nll_ -= logprob;
        if (asked.of_text) text_nll_ -= logprob;
        ++scored_;
      }
      sequence_nll_.push_back(nll);
      sequence_tokens_.push_back(static_cast<double>(scored_ - before));
    }
  }

  metrics::Measurement measurement() override {
    MOESAIC_CHECK(scored_ > 0, ErrorKind::kData, "{}: there is nothing to score", options_.data);
    const double loss = nll_ / static_cast<double>(scored_);
    Json result = {{"task", "perplexity"}, {"documents", read_},
                   {"tokens", tokens_},    {"scored_tokens", scored_},
                   {"bytes", bytes_},      {"nll", nll_},
                   {"loss", loss},         {"perplexity", std::exp(loss)}};
    if (bytes_ > 0)
      result["bits_per_byte"] = text_nll_ / std::numbers::ln2 / static_cast<double>(bytes_);
    result["context"] = options_.context;
    result["stride"] = options_.stride;
    return {.result = result,
            .items = sequence_nll_.size(),
            .statistics = {
                {"loss", metrics::ratio(sequence_nll_, sequence_tokens_)},
                {"perplexity", metrics::ratio(sequence_nll_, sequence_tokens_, &exponential)}}};
  }

 private:
  // From the last scored id on, with as many before it as there is room for.
  void add_window(SequenceWindow& window) {
    const std::vector<std::uint32_t>& ids = document_.ids;
    const std::int64_t count = std::ssize(ids);
    const std::int64_t first =
        scored_to_ == 1
            ? 0
            : std::max<std::int64_t>(0, scored_to_ - (options_.context - options_.stride));
    const std::int64_t end = std::min(count, first + options_.context);
    window.add({ids.data() + first, static_cast<std::size_t>(end - first)}, scored_to_ - first);
    asked_.push_back({scored_to_ - first, document_.of_text});
    scored_to_ = end;
  }

  bool next_document() {
    do {
      document_.ids.clear();
      if (options_.limit > 0 && read_ == options_.limit) return false;
      if (!documents_.next(document_)) return false;
      ++read_;
      tokens_ += std::ssize(document_.ids);
    } while (document_.ids.size() < 2);  // nothing to predict
    bytes_ += document_.bytes;
    scored_to_ = 1;
    return true;
  }

  // A sequence of the last window.
  struct Asked {
    std::int64_t first = 0;  // id of it that is scored
    bool of_text = false;
  };

  Options options_;
  EvalDocuments documents_;
  EvalDocuments::Document document_;
  std::int64_t scored_to_ = 0;  // ids of the document that are in a window
  std::vector<Asked> asked_;
  std::int64_t read_ = 0, tokens_ = 0, scored_ = 0;
  double nll_ = 0;
  std::vector<double> sequence_nll_, sequence_tokens_;  // scored ones, by sequence
  // Of the scored documents that are text.
  std::int64_t bytes_ = 0;
  double text_nll_ = 0;
};

}  // namespace

std::unique_ptr<EvalTask> perplexity_task(const EvalTask::Options& options, EvalTask::Model model,
                                          const Log& log) {
  return std::make_unique<PerplexityTask>(options, std::move(model), log);
}

}  // namespace moesaic
