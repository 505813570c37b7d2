#include "data/eval_batches.h"

#include <algorithm>

#include "core/error.h"
#include "data/batch_builder.h"

namespace moesaic {

EvalBatches::EvalBatches(std::vector<Sequences> sources, std::int64_t micro_batch_size)
    : sources_(std::move(sources)), micro_batch_size_(micro_batch_size) {
  MOESAIC_CHECK(micro_batch_size >= 1, ErrorKind::kRecipe,
                "train.micro_batch_size is {}, it must be 1 or more", micro_batch_size);
  std::int64_t end = 0;
  for (const auto& source : sources_) ends_.push_back(end += source.size());
}

std::int64_t EvalBatches::count() const {
  return (sequences() + micro_batch_size_ - 1) / micro_batch_size_;
}

Batch EvalBatches::micro_batch(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index < count());
  const std::int64_t first = index * micro_batch_size_;
  const std::int64_t last = std::min(first + micro_batch_size_, sequences());
  BatchBuilder batch;
  for (std::int64_t i = first; i < last; ++i) {
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), i);
    const auto& source = sources_[static_cast<std::size_t>(end - ends_.begin())];
    source.add_to(batch, i - (*end - source.size()), {.example = i});
  }
  return batch.build();
}

std::int64_t EvalBatches::target_tokens() const {
  std::int64_t sum = 0;
  for (const auto& source : sources_) sum += source.total_targets();
  return sum;
}

std::int64_t EvalBatches::max_token_id() const {
  std::int64_t largest = 0;
  for (const auto& source : sources_) largest = std::max(largest, source.max_token_id());
  return largest;
}

}  // namespace moesaic
