#include "data/text/vocabulary.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostTokens = 4'000'000;

}  // namespace

Vocabulary::Vocabulary(std::vector<Entry> entries, const std::string& where)
    : entries_(std::move(entries)) {
  MOESAIC_CHECK(entries_.size() <= kMostTokens, ErrorKind::kData, "{}: {} tokens, {} are allowed",
                where, entries_.size(), kMostTokens);
  ids_.reserve(entries_.size());
  std::uint32_t largest = 0;
  for (const auto& [token, id] : entries_) {
    MOESAIC_CHECK(ids_.emplace(token, id).second, ErrorKind::kData, "{}: token '{}' is there twice",
                  where, printable(token));
    largest = std::max(largest, id);
  }
  MOESAIC_CHECK(largest < 2 * entries_.size() + 100'000, ErrorKind::kData,
                "{}: id {} in a vocabulary of {} tokens", where, largest, entries_.size());
  by_id_.assign(entries_.empty() ? 0 : std::size_t{largest} + 1, -1);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::int32_t& place = by_id_[entries_[i].second];
    MOESAIC_CHECK(place < 0, ErrorKind::kData, "{}: tokens '{}' and '{}' have the same id {}",
                  where, printable(entries_[static_cast<std::size_t>(std::max(place, 0))].first),
                  printable(entries_[i].first), entries_[i].second);
    place = static_cast<std::int32_t>(i);
  }
}

std::optional<std::uint32_t> Vocabulary::id(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Vocabulary::token(std::uint32_t id) const {
  if (id >= by_id_.size() || by_id_[id] < 0) return nullptr;
  return &entries_[static_cast<std::size_t>(by_id_[id])].first;
}

}  // namespace moesaic
