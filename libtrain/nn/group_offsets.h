// GroupOffsets: where each group of rows begins. On a device the numbers are made there and come to
// the host when somebody asks: for that the host waits for all the work that the device has.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace moesaic {

/// A value: copies share the numbers, and the one copy to the host.
class GroupOffsets {
 public:
  /// groups + 1 numbers: group i is rows [offsets[i], offsets[i+1]).
  GroupOffsets(std::vector<std::int64_t> offsets = {0});
  /// From the rows of each group, int64 [e] on any device.
  explicit GroupOffsets(const at::Tensor& count_E);
  /// As above, where the host has them already.
  GroupOffsets(const at::Tensor& count_E, const std::vector<std::int64_t>& counts);

  std::int64_t groups() const;
  /// groups + 1 numbers. The first call waits for a device that holds them alone: one round trip.
  const std::vector<std::int64_t>& host() const;
  /// int32 [e]: the end of each group, where `rows` are.
  at::Tensor ends(const at::Tensor& rows) const;
  /// bool [e]: the groups without rows, where `rows` are.
  at::Tensor empty_groups(const at::Tensor& rows) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// How often each of the numbers 0 ... bins - 1 occurs in `values` (int64, any shape), int64 [bins]
/// on the same device; no value is outside. The host waits for nothing.
at::Tensor count_of(const at::Tensor& values, std::int64_t bins);

}  // namespace moesaic
