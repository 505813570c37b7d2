#include "store/peft_experts.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

namespace moesaic {
namespace {

/// One that B can be written for: none divides by zero.
double larger(double a, double b) { return std::abs(b) > std::abs(a) ? b : a; }

bool same_factor(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

/// B for another scale than its own.
at::Tensor with_scale(const at::Tensor& b, double own, double wanted) {
  if (own == wanted) return b;
  return b.to(at::kDouble).mul(own / wanted).to(b.scalar_type());
}

/// Zeros after what is there, in one dimension.
at::Tensor widened(const at::Tensor& values, std::int64_t dim, std::int64_t before,
                   std::int64_t size) {
  std::vector<std::int64_t> shape = values.sizes().vec();
  const auto at = static_cast<std::size_t>(dim);
  const std::int64_t after = size - before - shape[at];
  shape[at] = before;
  const at::Tensor first = at::zeros(shape, values.options());
  shape[at] = after;
  return at::cat({first, values, at::zeros(shape, values.options())}, dim);
}

AdapterPair no_change(const arch::ParameterInfo& weight, const AdapterPair& like) {
  const std::int64_t rank = like.rank();
  return {.a = at::zeros({weight.shape[0], rank, weight.shape[2]}, like.a.options()),
          .b = at::zeros({weight.shape[0], weight.shape[1], rank}, like.b.options()),
          .magnitude = {},
          .scale = like.scale};
}

}  // namespace

AdapterPair fused_pair(const std::vector<const AdapterPair*>& pairs,
                       const std::vector<std::vector<std::int64_t>>& shapes) {
  AdapterPair fused{.a = {}, .b = {}, .magnitude = {}, .scale = 0};
  const AdapterPair* first = nullptr;
  bool shared = true;
  std::int64_t outputs = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    outputs += shapes[i][1];
    if (!pairs[i]) continue;
    if (!first) first = pairs[i];
    shared = shared && same_factor(pairs[i]->a, first->a);
    fused.scale = larger(fused.scale, pairs[i]->scale);
  }
  std::vector<at::Tensor> a, b;
  std::int64_t output = 0;
  for (std::size_t i = 0; i < pairs.size(); output += shapes[i][1], ++i) {
    if (!pairs[i]) continue;
    if (a.empty() || !shared) a.push_back(pairs[i]->a);
    const at::Tensor rows = with_scale(pairs[i]->b, pairs[i]->scale, fused.scale);
    b.push_back(widened(rows, 1, output, outputs));
  }
  fused.a = at::cat(a, 1);
  fused.b = at::cat(b, 2);
  if (!shared) return fused;
  fused.b = b[0];
  for (std::size_t i = 1; i < b.size(); ++i) fused.b = fused.b.add(b[i]);  // rows of one each
  return fused;
}

at::Tensor flat_a(const AdapterPair& pair) { return pair.a.flatten(0, 1).contiguous(); }

at::Tensor flat_b(const AdapterPair& pair) {
  return pair.b.permute({1, 2, 0}).flatten(1, 2).contiguous();
}

std::map<std::string, AdapterPair> even_pairs(const std::map<std::string, AdapterPair>& pairs,
                                              const arch::Options& options,
                                              const arch::ParameterTable& experts) {
  const std::string down = std::string(".") + arch::network_names(options).down + ".weight";
  const AdapterPair* like = nullptr;
  std::int64_t rank = 0;
  double scale = 0;
  bool inner = false;  // gate or up, which PEFT does not load without down
  for (const auto& [name, pair] : pairs) {
    if (!like) like = &pair;
    scale = larger(scale, pair.scale);
    rank = std::max(rank, pair.rank());
    inner = inner || !name.ends_with(down);
  }
  std::map<std::string, AdapterPair> even;
  for (const arch::ParameterInfo& weight : experts) {
    const bool is_down = weight.name.ends_with(down);
    if (!inner && !is_down) continue;
    const auto found = pairs.find(weight.name);
    AdapterPair pair = found == pairs.end() ? no_change(weight, *like) : found->second;
    pair.a = widened(pair.a, 1, 0, rank);
    pair.b = widened(with_scale(pair.b, pair.scale, scale), 2, 0, rank);
    pair.scale = scale;
    even.emplace(weight.name, std::move(pair));
  }
  return even;
}

}  // namespace moesaic
