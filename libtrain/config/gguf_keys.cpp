#include "config/gguf_keys.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "core/json.h"

namespace moesaic {
namespace {

double as_number(const GgufValue& value) {
  if (const auto* const flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  if (const auto* const integer = std::get_if<std::int64_t>(&value))
    return static_cast<double>(*integer);
  const auto* const number = std::get_if<double>(&value);
  return number != nullptr ? *number : std::nan("");
}

// Files hold numbers in float32.
bool same(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

}  // namespace

GgufKeys::GgufKeys(const GgufHeader& header)
    : header_(header), architecture_(header.text("general.architecture").value_or("")) {}

const std::string& GgufKeys::mark(const char* key) {
  return *read_.insert(format("{}.{}", architecture_, key)).first;
}

std::optional<std::int64_t> GgufKeys::integer(const char* key) {
  return header_.integer(mark(key));
}
std::optional<double> GgufKeys::number(const char* key) { return header_.number(mark(key)); }
std::optional<bool> GgufKeys::flag(const char* key) { return header_.flag(mark(key)); }
std::optional<std::string_view> GgufKeys::text(const char* key) { return header_.text(mark(key)); }

std::int64_t GgufKeys::required(const char* key) {
  const auto value = integer(key);
  MOESAIC_CHECK(value, ErrorKind::kCheckpoint, "{}: there is no {}", header_.where, mark(key));
  return *value;
}

double GgufKeys::required_number(const char* key) {
  const auto value = number(key);
  MOESAIC_CHECK(value, ErrorKind::kCheckpoint, "{}: there is no {}", header_.where, mark(key));
  return *value;
}

void GgufKeys::only(const char* key, std::initializer_list<double> allowed,
                    const std::string& reason) {
  const std::string& name = mark(key);
  const auto found = header_.metadata.find(name);
  if (found == header_.metadata.end()) return;
  const double value = as_number(found->second);
  const bool good = std::any_of(allowed.begin(), allowed.end(),
                                [value](double candidate) { return same(value, candidate); });
  if (!good) refuse(format("{} is {}: {}", name, value, reason));
}

void GgufKeys::pass_over(std::initializer_list<const char*> keys) {
  for (const char* key : keys) mark(key);
}

void GgufKeys::refuse_unread() const {
  constexpr std::size_t kMostNamed = 10;
  std::vector<std::string> left;
  for (const auto& [name, value] : header_.metadata) {
    if (name.starts_with(architecture_ + ".") && !read_.contains(name) && left.size() < kMostNamed)
      left.push_back(printable(name));
  }
  if (!left.empty())
    refuse(format("{} could change what the model computes, and is not read", join(left, ", ")));
}

void GgufKeys::refuse(const std::string& what) const {
  throw Error(ErrorKind::kCheckpoint, format("{}: {}", header_.where, what),
              "use the Hugging Face folder of the model");
}

}  // namespace moesaic
