#include "data/replay_data.h"

#include <cmath>
#include <utility>
#include <vector>

#include "core/error.h"

namespace moesaic {

ReplayData::ReplayData(std::unique_ptr<StepData> fresh, std::unique_ptr<StepData> old,
                       const Options& options)
    : fresh_(std::move(fresh)), old_(std::move(old)), options_(options) {
  MOESAIC_ASSERT(options.share >= 0 && options.share < 1);
  MOESAIC_ASSERT(options.global_batch_size % options.micro_batch_size == 0);
}

std::int64_t ReplayData::old_before(std::int64_t step) const {
  return std::llround(options_.share * static_cast<double>(step * options_.global_batch_size));
}

ReplayData::Draw ReplayData::draw(std::int64_t step, std::int64_t position) const {
  const std::int64_t before = old_before(step), global = options_.global_batch_size;
  const std::int64_t fresh = global - (old_before(step + 1) - before);
  if (position < fresh) return {*fresh_, step * global - before + position};
  return {*old_, before + position - fresh};
}

StepSize ReplayData::size(std::int64_t step) const {
  MOESAIC_ASSERT(step >= 0);
  StepSize size{.micro_batches = options_.global_batch_size / options_.micro_batch_size};
  for (std::int64_t i = 0; i < options_.global_batch_size; ++i) {
    const Draw drawn = draw(step, i);
    const StepSize one = drawn.data.size(drawn.number);
    size.target_tokens += one.target_tokens;
    size.input_tokens += one.input_tokens;
    size.documents += one.documents;
  }
  return size;
}

Batch ReplayData::micro_batch(std::int64_t step, std::int64_t index) const {
  const std::int64_t first = index * options_.micro_batch_size;
  MOESAIC_ASSERT(step >= 0 && index >= 0 && first < options_.global_batch_size);
  std::vector<Batch> sequences;
  for (std::int64_t i = first; i < first + options_.micro_batch_size; ++i) {
    const Draw drawn = draw(step, i);
    sequences.push_back(drawn.data.micro_batch(drawn.number, 0));
  }
  return joined(sequences, first);
}

}  // namespace moesaic
