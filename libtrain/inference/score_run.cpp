#include "inference/score_run.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <exception>

#include "core/error.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// Ids of a window, in micro-batches: enough of them for many ranks and for lengths to be sorted.
// Fixed, because the micro-batches must be the same on every layout.
constexpr std::int64_t kBatchesOfWindow = 32;

}  // namespace

ScoreRun::ScoreRun(const RankContext& context, const Options& options)
    : context_(context), options_(options) {
  agreed(context_.world, "score: files", [&] {
    if (!context_.is_chief()) return;
    if (options_.input.empty()) {
      input_.emplace(options_.idle_s, [this] { tell(Reading::kWaits); });
    } else {
      input_.emplace(options_.input);
    }
    output_.emplace(options_.output);
  });
}

// The chief's word on every rank.
ScoreRun::Reading ScoreRun::tell(Reading reading) const {
  const at::Tensor word = at::full({1}, static_cast<std::int64_t>(reading), at::kLong);
  context_.world.broadcast(word, 0, "score: input");
  return static_cast<Reading>(*word.const_data_ptr<std::int64_t>());
}

// Chief: fills the window.
ScoreRun::Reading ScoreRun::read(SequenceWindow& window, const ScoreVocabulary& vocabulary) {
  const std::int64_t room = kBatchesOfWindow * options_.batch_tokens;
  std::string line;
  while (std::ssize(window.ids) + window.sequences() < room) {  // empty sequences count too
    if (!input_->next_filled_line(line, kScoreLineBytes)) return Reading::kEnded;
    window.add(read_score_line(line, input_->where(), vocabulary));
  }
  return Reading::kMore;
}

// Collective over world. While the chief waits for input, the others hear from it now and then, and
// none of them times out.
ScoreRun::Reading ScoreRun::next(SequenceWindow& window, const ScoreVocabulary& vocabulary) {
  Reading reading = Reading::kMore;
  std::exception_ptr failure;
  if (context_.is_chief()) {
    try {
      reading = read(window, vocabulary);
    } catch (const Error&) {
      failure = std::current_exception();
    }
    tell(reading);
  } else {
    do {
      reading = tell(Reading::kWaits);
    } while (reading == Reading::kWaits);
  }
  agreed(context_.world, "score: lines", [&] {
    if (failure) std::rethrow_exception(failure);
  });
  window = broadcast(context_.world, window);
  return reading;
}

void ScoreRun::write(const SequenceWindow& window, const std::vector<double>& logprobs, bool single,
                     Summary& summary) {
  std::string text;
  for (std::int64_t i = 0; i < window.sequences(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::span<const double> all(logprobs.data() + window.offsets[at],
                                      logprobs.data() + window.offsets[at + 1]);
    const SequenceScore score{all.subspan(std::min<std::size_t>(1, all.size())), std::ssize(all)};
    text += score_line(score, single);
    summary.tokens += score.tokens;
    summary.scored += std::ssize(score.logprobs);
    if (score.is_finite()) {
      summary.nll += score.nll();
    } else {
      ++summary.not_finite;
    }
  }
  summary.sequences += window.sequences();
  output_->write(text);
}

ScoreRun::Summary ScoreRun::run(InferenceModel& model) {
  std::unique_ptr<Tokenizer> tokenizer;
  const ScoreVocabulary vocabulary{.size = model.arch().vocab_size, .tokenizer = [&] {
                                     if (!tokenizer) tokenizer = model.files().tokenizer();
                                     return tokenizer.get();
                                   }};
  const bool single = model.precision().master == at::kFloat;
  Scorer scorer(context_, model, {.batch_tokens = options_.batch_tokens});
  Summary summary;
  for (Reading reading = Reading::kMore; reading == Reading::kMore;) {
    SequenceWindow window;
    reading = next(window, vocabulary);
    const std::vector<double> logprobs = scorer.score(window);
    if (output_) write(window, logprobs, single, summary);
  }
  if (output_) output_->publish();
  return summary;
}

}  // namespace moesaic
