#include "data/token_stream.h"

#include <algorithm>

#include "core/error.h"
#include "data/batch_builder.h"

namespace moesaic {
namespace {

std::vector<std::int64_t> sizes_of(const std::vector<Sequences>& sources) {
  std::vector<std::int64_t> sizes;
  for (const auto& source : sources) sizes.push_back(source.size());
  return sizes;
}

}  // namespace

TokenStream::TokenStream(std::vector<Sequences> sources, const std::vector<double>& weights,
                         const StreamOptions& options)
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
  BatchBuilder batch;
  for (std::int64_t i = first; i < first + options_.micro_batch_size; ++i) {
    const Draw drawn = draw(step, i);
    sources_[drawn.source].add_to(batch, drawn.sequence, {.example = i});
  }
  return batch.build();
}

StepSize TokenStream::size(std::int64_t step) const {
  MOESAIC_ASSERT(step >= 0);
  StepSize size{.micro_batches = micro_batches_per_step()};
  for (std::int64_t i = 0; i < options_.global_batch_size; ++i) {
    const Draw drawn = draw(step, i);
    size.target_tokens += sources_[drawn.source].targets(drawn.sequence);
    size.input_tokens += sources_[drawn.source].inputs(drawn.sequence);
    size.documents += sources_[drawn.source].documents(drawn.sequence);
  }
  return size;
}

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
