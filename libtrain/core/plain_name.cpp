#include "core/plain_name.h"

#include <algorithm>

namespace moesaic {

bool is_plain_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;  // of a common name in a certificate (X.520)
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_' || c == '.';
  });
  return plain && !name.empty() && name.size() <= kLongest && name.front() != '.';
}

}  // namespace moesaic
