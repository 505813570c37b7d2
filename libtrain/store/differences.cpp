#include "store/differences.h"

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostShown = 3;

}  // namespace

void Differences::Kind::add(const std::string& name, std::int64_t number) {
  count += number;
  if (first.size() < kMostShown) first.push_back(name);
}

void Differences::require_none(const std::string& problem, const std::string& hint) const {
  std::string text;
  for (const auto& [title, kind] : {std::pair{"missing from " + store_, &missing_},
                                    {"only in " + store_, &unexpected_},
                                    {std::string("different"), &differs_}}) {
    if (kind->count == 0) continue;
    const bool all = std::cmp_equal(kind->count, kind->first.size());
    text += format("{}{} {}: {}{}", text.empty() ? "" : "; ", kind->count, title,
                   join(kind->first, ", "), all ? "" : ", ...");
  }
  if (!text.empty()) throw Error(ErrorKind::kCheckpoint, format("{}: {}", problem, text), hint);
}

}  // namespace moesaic
