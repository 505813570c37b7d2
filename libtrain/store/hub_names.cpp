#include "store/hub_names.h"

#include <string_view>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::string_view kExperts = ".experts.";
constexpr std::string_view kLayers = "model.layers.";

struct Number {
  std::int64_t value = 0;
  std::size_t digits = 0;
};

/// The number that `text` begins with, which is followed by a dot and has no leading zero.
std::optional<Number> number_before_dot(std::string_view text) {
  constexpr std::size_t kMaxDigits = 9;
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || digits > kMaxDigits) return std::nullopt;
  if (text[digits] != '.' || (text[0] == '0' && digits > 1)) return std::nullopt;
  return Number{std::stoll(std::string(text.substr(0, digits))), digits};
}

}  // namespace

HubName split_hub_name(const std::string& name) {
  const std::size_t at = name.find(kExperts);
  if (at == std::string::npos) return {name, std::nullopt};
  const std::size_t begin = at + kExperts.size();
  const auto number = number_before_dot(std::string_view(name).substr(begin));
  if (!number) return {name, std::nullopt};
  return {name.substr(0, begin) + name.substr(begin + number->digits + 1), number->value};
}

std::string hub_name(const std::string& parameter, std::int64_t expert) {
  const std::size_t at = parameter.find(kExperts);
  MOESAIC_ASSERT(at != std::string::npos);
  const std::size_t begin = at + kExperts.size();
  return format("{}{}.{}", parameter.substr(0, begin), expert, parameter.substr(begin));
}

std::optional<std::int64_t> layer_of(const std::string& name) {
  if (!name.starts_with(kLayers)) return std::nullopt;
  const auto number = number_before_dot(std::string_view(name).substr(kLayers.size()));
  return number ? std::optional(number->value) : std::nullopt;
}

}  // namespace moesaic
