#include "core/error.h"

#include <algorithm>
#include <vector>

namespace moesaic {

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kRecipe:
      return "recipe";
    case ErrorKind::kData:
      return "data";
    case ErrorKind::kDevice:
      return "device";
    case ErrorKind::kCommunication:
      return "communication";
    case ErrorKind::kCheckpoint:
      return "checkpoint";
    case ErrorKind::kInternal:
      return "internal";
    case ErrorKind::kBudget:
      return "budget";
  }
  return "internal";
}

std::optional<ErrorKind> kind_of(int exit_code) {
  const bool known = exit_code >= static_cast<int>(ErrorKind::kUsage) &&
                     exit_code <= static_cast<int>(ErrorKind::kBudget);
  return known ? std::optional(static_cast<ErrorKind>(exit_code)) : std::nullopt;
}

Error::Error(ErrorKind kind, std::string message, std::string hint)
    : std::runtime_error(std::move(message)), kind_(kind), hint_(std::move(hint)) {}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

void throw_internal(const char* file, int line, const char* condition) {
  throw Error(ErrorKind::kInternal,
              format("{}:{}: internal check failed: {}", file, line, condition),
              "this is a defect of Moesaic; please report it with the recipe");
}

}  // namespace moesaic
