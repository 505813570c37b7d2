#include "nn/group_offsets.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace moesaic {
namespace {

std::vector<std::int64_t> sums_of(const std::int64_t* counts, std::int64_t groups) {
  std::vector<std::int64_t> offsets = {0};
  for (std::int64_t e = 0; e < groups; ++e) offsets.push_back(offsets.back() + counts[e]);
  return offsets;
}

}  // namespace

struct GroupOffsets::State {
  std::vector<std::int64_t> host;  // empty until somebody asks
  at::Tensor count_E;              // undefined where only the host has them
};

GroupOffsets::GroupOffsets(std::vector<std::int64_t> offsets)
    : state_(std::make_shared<State>(State{std::move(offsets), {}})) {}

GroupOffsets::GroupOffsets(const at::Tensor& count_E)
    : state_(std::make_shared<State>(State{{}, count_E})) {
  if (count_E.is_cpu()) host();
}

GroupOffsets::GroupOffsets(const at::Tensor& count_E, const std::vector<std::int64_t>& counts)
    : state_(std::make_shared<State>(
          State{sums_of(counts.data(), static_cast<std::int64_t>(counts.size())), count_E})) {}

std::int64_t GroupOffsets::groups() const {
  return state_->host.empty() ? state_->count_E.size(0) : std::ssize(state_->host) - 1;
}

const std::vector<std::int64_t>& GroupOffsets::host() const {
  if (state_->host.empty()) {
    const at::Tensor counts = state_->count_E.cpu().contiguous();
    state_->host = sums_of(counts.const_data_ptr<std::int64_t>(), counts.numel());
  }
  return state_->host;
}

at::Tensor GroupOffsets::ends(const at::Tensor& rows) const {
  if (state_->count_E.defined()) return state_->count_E.cumsum(0).to(rows.device(), at::kInt);
  const at::Tensor offsets = at::tensor(state_->host, at::kInt);
  return offsets.narrow(0, 1, groups()).to(rows.device());
}

at::Tensor GroupOffsets::empty_groups(const at::Tensor& rows) const {
  if (state_->count_E.defined()) return state_->count_E.eq(0).to(rows.device());
  return at::tensor(state_->host, at::kLong).diff().eq(0).to(rows.device());
}

at::Tensor count_of(const at::Tensor& values, std::int64_t bins) {
  const at::Tensor flat = values.flatten();
  if (flat.is_cpu()) return at::bincount(flat, {}, bins);
  // LibTorch's own count asks a device for the least and the greatest value first.
  return at::zeros({bins}, flat.options()).scatter_add_(0, flat, at::ones_like(flat));
}

}  // namespace moesaic
