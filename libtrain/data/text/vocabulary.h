// Vocabulary: tokens and their ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace moesaic {

class Vocabulary {
 public:
  using Entry = std::pair<std::string, std::uint32_t>;

  /// Error(kData) naming `where` for a token or an id that is there twice, and for ids with wide
  /// gaps.
  Vocabulary(std::vector<Entry> entries, const std::string& where);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  std::optional<std::uint32_t> id(std::string_view token) const;
  /// nullptr where no token has this id.
  const std::string* token(std::uint32_t id) const;
  const std::vector<Entry>& entries() const { return entries_; }
  /// The largest id plus 1.
  std::uint32_t size() const { return static_cast<std::uint32_t>(by_id_.size()); }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;  // views of entries_
  std::vector<std::int32_t> by_id_;                          // position in entries_, or -1
};

}  // namespace moesaic
