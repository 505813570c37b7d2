#include "core/name_pattern.h"

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kLongestPattern = 1000;  // what is read by recursion must end

// The other way to match goes back and forth, in exponential time for some expressions.
constexpr auto kPatternSyntax = std::regex::ECMAScript | std::regex_constants::__polynomial;

std::regex compiled(const std::string& text) {
  MOESAIC_CHECK(text.size() <= kLongestPattern, ErrorKind::kRecipe,
                "a regular expression of {} characters; at most {} are read", text.size(),
                kLongestPattern);
  try {
    return std::regex(text, kPatternSyntax);
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::kRecipe,
                format("'{}' is not a regular expression: {}", text, error.what()));
  }
}

}  // namespace

NamePattern::NamePattern(const std::string& text) : regex_(compiled(text)) {}

}  // namespace moesaic
