#include "parallel/ownership.h"

#include "core/error.h"

namespace moesaic {
namespace {

std::int64_t rows_of(const Parameter& parameter) {
  return parameter.tensor.dim() == 0 ? 1 : parameter.tensor.size(0);
}

bool is_shared_out(const Parameter& parameter, Scope scope) {
  return parameter.trainable && parameter.scope == scope && parameter.tensor.numel() > 0;
}

std::int64_t bytes_of(const Parameter& parameter) {
  return static_cast<std::int64_t>(parameter.tensor.nbytes());
}

}  // namespace

Ownership::Ownership(const ParameterSet& parameters, const Groups& groups)
    : groups_(groups), shares_(parameters.size()) {
  for (std::size_t i = 0; i < parameters.size(); ++i) shares_[i].scope = parameters[i].scope;
  for (const Scope scope : {Scope::kDense, Scope::kExpert}) share_out(parameters, scope);
}

Ownership Ownership::make(const ParameterSet& parameters, const RankContext& context) {
  return {parameters,
          {.dense = {context.world.rank(), context.world.size()},
           .expert = {context.expert_data.rank(), context.expert_data.size()}}};
}

/// A block belongs to the rank in whose even share its middle lies.
void Ownership::share_out(const ParameterSet& parameters, Scope scope) {
  std::int64_t total = 0;
  for (const Parameter& parameter : parameters) {
    if (is_shared_out(parameter, scope)) total += bytes_of(parameter);
  }
  std::int64_t begin = 0;  // bytes before the block
  for (const Parameter& parameter : parameters) {
    if (!is_shared_out(parameter, scope)) continue;
    Shares& shares = shares_.at(static_cast<std::size_t>(parameter.index));
    const RowBlocks blocks = RowBlocks::of(scope, rows_of(parameter));
    shares.row_values = parameter.local_numel() / blocks.rows;
    const std::int64_t row_bytes = bytes_of(parameter) / blocks.rows;
    for (std::int64_t block = 0; block < blocks.count(); ++block) {
      const std::int64_t bytes = blocks.num_rows(block) * row_bytes;
      const auto owner = static_cast<int>((2 * begin + bytes) * group(scope).size / (2 * total));
      if (block == 0) shares.first_rank = owner;
      shares.ends.resize(static_cast<std::size_t>(owner - shares.first_rank + 1),
                         blocks.first_row(block));
      shares.ends.back() = blocks.first_row(block + 1);
      begin += bytes;
    }
  }
}

const Ownership::Group& Ownership::group(Scope scope) const {
  return scope == Scope::kDense ? groups_.dense : groups_.expert;
}

RowRange Ownership::of(const Parameter& parameter, int rank) const {
  const Shares& shares = shares_.at(static_cast<std::size_t>(parameter.index));
  MOESAIC_ASSERT(rank >= 0 && rank < group(shares.scope).size);
  const int i = rank - shares.first_rank;
  if (i < 0 || i >= static_cast<int>(shares.ends.size())) return {};
  const std::int64_t first = i == 0 ? 0 : shares.ends[static_cast<std::size_t>(i - 1)];
  return {first, shares.ends[static_cast<std::size_t>(i)] - first};
}

RowRange Ownership::own(const Parameter& parameter) const {
  return of(parameter, group(parameter.scope).rank);
}

std::vector<std::int64_t> Ownership::counts(const std::vector<std::size_t>& positions) const {
  MOESAIC_ASSERT(!positions.empty());
  const Scope scope = shares_.at(positions.front()).scope;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(group(scope).size), 0);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const Shares& shares = shares_.at(positions[i]);
    // Only then the values of a rank lie together, and the ranks' values in their order.
    MOESAIC_ASSERT(i == 0 || positions[i - 1] < positions[i]);
    MOESAIC_ASSERT(shares.scope == scope && !shares.ends.empty());
    std::int64_t begin = 0;
    auto rank = static_cast<std::size_t>(shares.first_rank);
    for (const std::int64_t end : shares.ends) {
      counts[rank++] += (end - begin) * shares.row_values;
      begin = end;
    }
  }
  return counts;
}

}  // namespace moesaic
