#include "store/finite.h"

#include <algorithm>

#include "core/error.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

constexpr std::int64_t kValuesPerCopy = 4 << 20;

// All exponent bits set: no floating-point operation, which a compiler may assume to be finite, and
// the same loop for all types.
template <class Bits>
bool none_has(const void* values, std::int64_t count, Bits exponent) {
  const auto* bits = static_cast<const Bits*>(values);
  Bits found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    found |= static_cast<Bits>((bits[i] & exponent) == exponent);
  }
  return found == 0;
}

bool all_finite_on_host(const at::Tensor& values) {
  const void* data = values.const_data_ptr();
  const std::int64_t count = values.numel();
  switch (values.scalar_type()) {
    case at::kDouble:
      return none_has<std::uint64_t>(data, count, 0x7ff0000000000000U);
    case at::kFloat:
      return none_has<std::uint32_t>(data, count, 0x7f800000U);
    case at::kBFloat16:
      return none_has<std::uint16_t>(data, count, 0x7f80U);
    case at::kHalf:
      return none_has<std::uint16_t>(data, count, 0x7c00U);
    default:
      return true;  // integers
  }
}

// The first expert with such a value, where there are experts.
std::string weight_name(const std::string& parameter, arch::Scope scope, std::int64_t first,
                        const at::Tensor& rows) {
  if (scope == arch::Scope::kDense) return parameter;
  std::int64_t i = 0;
  while (all_finite(rows.select(0, i))) ++i;
  return format("{} ({})", parameter, hub_name(parameter, first + i));
}

}  // namespace

bool all_finite(const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.is_contiguous()) return all_finite_on_host(tensor);
  const at::Tensor flat = tensor.reshape({-1});
  for (std::int64_t first = 0; first < flat.numel(); first += kValuesPerCopy) {
    const std::int64_t count = std::min(kValuesPerCopy, flat.numel() - first);
    if (!all_finite_on_host(flat.narrow(0, first, count).cpu().contiguous())) return false;
  }
  return true;
}

void require_finite(const std::string& parameter, arch::Scope scope, std::int64_t first,
                    const at::Tensor& rows, const std::string& path) {
  if (all_finite(rows)) return;
  throw Error(
      ErrorKind::kCheckpoint,
      format("{} of {} holds NaN or infinity (as {})", weight_name(parameter, scope, first, rows),
             path, c10::toString(rows.scalar_type())),
      "take the weights from elsewhere; import, score, eval and generate (not train) accept them "
      "with --allow-nonfinite");
}

}  // namespace moesaic
