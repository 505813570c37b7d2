// Exchange::join_adapters: the factors of low-rank adapters, whose product the silos' mean is of,
// and the frozen weights, into which goes what the factors do not hold.
#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "aggregate/lora_factors.h"
#include "core/error.h"
#include "federated/doubles.h"
#include "federated/exchange.h"
#include "store/finite.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";

/// Matrix i of a host tensor of doubles that holds `count` of them, one after the other.
aggregate::Matrix matrix_of(const at::Tensor& values, std::int64_t i, std::int64_t rows,
                            std::int64_t columns) {
  aggregate::Matrix matrix(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
  const auto part = doubles_of(values).subspan(static_cast<std::size_t>(i) * matrix.values.size(),
                                               matrix.values.size());
  std::copy(part.begin(), part.end(), matrix.values.begin());
  return matrix;
}

/// `from` into the first rows and columns of matrix i of `to` [rows, columns], whose rest is zero.
void put_matrix(const aggregate::Matrix& from, const at::Tensor& to, std::int64_t i,
                std::int64_t rows, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns);
  const std::size_t size = static_cast<std::size_t>(rows) * width;
  const auto whole = doubles_of(to).subspan(static_cast<std::size_t>(i) * size, size);
  std::fill(whole.begin(), whole.end(), 0.0);
  for (std::size_t row = 0; row < from.rows; ++row) {
    for (std::size_t column = 0; column < from.columns; ++column)
      whole[row * width + column] = from.at(row, column);
  }
}

constexpr std::int64_t kMergedAtOnce = 1 << 20;  // values of a weight, 8 bytes each

/// weight [N, K], of the parameter `name`, += scale B A, in float64, rounded once.
void add_to_base(const std::string& name, const aggregate::LoraFactors& factors, double scale,
                 const at::Tensor& weight) {
  const std::int64_t rows = weight.size(0);
  const std::int64_t most = std::max<std::int64_t>(1, kMergedAtOnce / weight.size(1));
  for (std::int64_t first = 0; first < rows; first += most) {
    const at::Tensor part = weight.narrow(0, first, std::min(most, rows - first));
    const at::Tensor sum = at::empty(part.sizes(), at::kDouble).copy_(part);
    aggregate::add_product(factors, scale, static_cast<std::size_t>(first), doubles_of(sum));
    part.copy_(sum);
    MOESAIC_CHECK(all_finite(part), ErrorKind::kData,
                  "what the silos' adapters make of {} is not finite", name);
  }
}

/// The frozen weight of an adapter with this A; nullptr where rounds leave it as it is.
const RoundModel::Entry* base_of(const RoundModel& model, const std::string& a) {
  const std::string weight = a.substr(0, a.size() - kA.size()).append(".weight");
  const auto& base = model.base();
  const auto found = std::find_if(base.begin(), base.end(),
                                  [&](const RoundModel::Entry& one) { return one.name == weight; });
  return found == base.end() ? nullptr : &*found;
}

/// The places of A and B of each adapter, both of which are shared.
std::vector<std::pair<std::size_t, std::size_t>> pairs_of(const RoundModel& model) {
  std::map<std::string, std::size_t> place_of;
  for (std::size_t i = 0; i < model.shared().size(); ++i) place_of[model.shared()[i].name] = i;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (const auto& [name, place] : place_of) {
    if (!name.ends_with(kA)) continue;
    const auto b = place_of.find(name.substr(0, name.size() - kA.size()) + std::string(kB));
    if (b != place_of.end()) pairs.emplace_back(place, b->second);
  }
  return pairs;
}

}  // namespace

Exchange::Joined Exchange::join_adapters(const aggregate::Aggregator& aggregator,
                                         RoundModel& model) const {
  Joined joined;
  const int mine = world_.plan.expert_rank_of(world_.rank());
  for (const auto& [a, b] : pairs_of(model)) {
    joined.insert({a, b});
    const bool cut = model.shared()[a].scope == Scope::kExpert;
    const int shards = cut ? world_.plan.expert : 1;
    for (int shard = 0; shard < shards; ++shard) {
      const auto whole = [&](std::size_t place) {
        return gather(
            {.place = place, .shard = shard, .count = model.shared()[place].tensor.numel()});
      };
      const std::vector<at::Tensor> changes_a = whole(a), changes_b = whole(b);
      if (!cut || shard == mine)
        join_pair(aggregator, changes_a, changes_b,
                  {model.shared()[a], model.shared()[b], base_of(model, model.shared()[a].name)});
    }
  }
  return joined;
}

void Exchange::join_pair(const aggregate::Aggregator& aggregator,
                         const std::vector<at::Tensor>& changes_a,
                         const std::vector<at::Tensor>& changes_b,
                         const AdapterEntries& adapter) const {
  const auto& [a, b, base] = adapter;
  const at::Tensor before_a = a.tensor.to(at::kDouble).cpu().view(-1);
  const at::Tensor before_b = b.tensor.to(at::kDouble).cpu().view(-1);
  std::vector<at::Tensor> after_a, after_b;
  for (std::size_t k = 0; k < changes_a.size(); ++k) {
    const std::string& silo = aggregator.reports()[k].silo;
    const auto size = [](const at::Tensor& values) { return doubles_of(values).size(); };
    aggregate::require_change(silo, a.name, doubles_of(changes_a[k]), size(before_a));
    aggregate::require_change(silo, b.name, doubles_of(changes_b[k]), size(before_b));
    after_a.push_back(before_a.add(changes_a[k]));
    after_b.push_back(before_b.add(changes_b[k]));
  }
  const std::int64_t r = a.tensor.size(-2), in = a.tensor.size(-1), out = b.tensor.size(-2);
  const std::int64_t rank = std::min(r, aggregator.options().rank.value_or(r));
  const std::int64_t matrices = a.tensor.dim() == 3 ? a.tensor.size(0) : 1;
  const bool by_expert = aggregator.options().experts == "routed_tokens" && a.tensor.dim() == 3;
  const std::int64_t first = world_.plan.expert_rank_of(world_.rank()) * matrices;
  const at::Tensor new_a = before_a.clone(), new_b = before_b.clone();
  for (std::int64_t i = 0; i < matrices; ++i) {
    std::vector<aggregate::LoraFactors> silos;
    for (std::size_t k = 0; k < after_a.size(); ++k)
      silos.push_back({matrix_of(after_b[k], i, out, r), matrix_of(after_a[k], i, r, in)});
    const auto weights = aggregator.weights_of(by_expert ? hub_name(b.name, first + i) : b.name);
    const aggregate::LoraAggregate one = aggregate::aggregate_lora(
        aggregator.options().lora, silos, weights, static_cast<std::size_t>(rank));
    // An empty one begins anew: A as it was, B zero.
    if (one.adapter.a.rows > 0) put_matrix(one.adapter.a, new_a, i, r, in);
    put_matrix(one.adapter.b, new_b, i, out, r);
    if (base == nullptr) continue;
    add_to_base(base->name, one.base, base->scale,
                base->tensor.dim() == 3 ? base->tensor[i] : base->tensor);
  }
  at::Tensor(a.tensor).copy_(new_a.view(a.tensor.sizes()));
  at::Tensor(b.tensor).copy_(new_b.view(b.tensor.sizes()));
}

}  // namespace moesaic
