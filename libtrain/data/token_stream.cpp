#include "data/token_stream.h"

#include <algorithm>

#include "core/error.h"
#include "data/assemble.h"

namespace moesaic {
namespace {

std::vector<std::int64_t> sizes_of(const std::vector<Sequences>& sources) {
  std::vector<std::int64_t> sizes;
  for (const auto& source : sources) sizes.push_back(source.size());
  return sizes;
}

}  // namespace

TokenStream::TokenStream(std::vector<Sequences> sources, const std::vector<double>& weights,
                         const Options& options)
    : sources_(std::move(sources)),
      options_(options),
      mixture_(sizes_of(sources_), weights, {.seed = options.seed, .shuffle = options.shuffle}) {
  const std::int64_t global = options.global_batch_size, micro = options.micro_batch_size;
  MOESAIC_CHECK(micro >= 1 && global >= micro && global % micro == 0, ErrorKind::kRecipe,
                "train.global_batch_size is {}, it must be a multiple of train.micro_batch_size, "
                "which is {}",
                global, micro);
}

std::int64_t TokenStream::micro_batches_per_step() const {
  return options_.global_batch_size / options_.micro_batch_size;
}

Draw TokenStream::draw(std::int64_t step, std::int64_t position) const {
  return mixture_.draw(step * options_.global_batch_size + position);
}

Batch TokenStream::micro_batch(std::int64_t step, std::int64_t index) const {
  MOESAIC_ASSERT(step >= 0 && index >= 0 && index < micro_batches_per_step());
  const std::int64_t first = index * options_.micro_batch_size;
  std::vector<SequenceRef> chosen;
  for (std::int64_t i = 0; i < options_.micro_batch_size; ++i) {
    const Draw drawn = draw(step, first + i);
    chosen.push_back({&sources_[drawn.source], drawn.sequence});
  }
  return assemble(chosen, first);
}

std::int64_t TokenStream::target_tokens(std::int64_t step) const {
  MOESAIC_ASSERT(step >= 0);
  std::int64_t tokens = 0;
  for (std::int64_t i = 0; i < options_.global_batch_size; ++i) {
    const Draw drawn = draw(step, i);
    tokens += sources_[drawn.source].targets(drawn.sequence);
  }
  return tokens;
}

// Every input of a sequence has a target.
std::int64_t TokenStream::input_tokens(std::int64_t step) const { return target_tokens(step); }

std::int64_t TokenStream::sequences() const {
  std::int64_t sum = 0;
  for (const auto& source : sources_) sum += source.size();
  return sum;
}

std::int64_t TokenStream::max_token_id() const {
  std::int64_t largest = 0;
  for (const auto& source : sources_) largest = std::max(largest, source.max_token_id());
  return largest;
}

}  // namespace moesaic
