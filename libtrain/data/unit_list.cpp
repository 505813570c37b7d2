#include "data/unit_list.h"

#include <map>
#include <string_view>

#include "core/error.h"
#include "core/format.h"
#include "core/random.h"
#include "data/token_file.h"
#include "data/units.h"

namespace moesaic {
namespace {

// The document of each sequence of a source.
std::vector<std::int64_t> documents_of(const Sequences& source) {
  std::vector<std::int64_t> documents;
  std::int64_t document = 0;
  for (std::int64_t i = 0; i < source.size(); ++i) {
    while (source.tokens().document_start(document + 1) <= source.start(i)) ++document;
    documents.push_back(document);
  }
  return documents;
}

// Numbers units as they come, and says which one a sequence belongs to.
class UnitNumbers {
 public:
  explicit UnitNumbers(const std::string& unit) : unit_(unit) {}

  void add(const Sequences& source) {
    if (unit_ == "sequence") {
      for (std::int64_t i = 0; i < source.size(); ++i) of_sequence_.push_back(units_++);
    } else if (unit_ == "document") {
      add_documents(source);
    } else {
      add_users(source);
    }
  }
  std::int64_t units() const { return units_; }
  const std::vector<std::int64_t>& of_sequence() const { return of_sequence_; }

 private:
  void add_documents(const Sequences& source) {
    std::int64_t before = -1;
    for (const std::int64_t document : documents_of(source)) {
      if (document != before) ++units_;
      of_sequence_.push_back(units_ - 1);
      before = document;
    }
  }

  void add_users(const Sequences& source) {
    const TokenFile& tokens = source.tokens();
    if (tokens.owners() == 0) {
      throw Error(
          ErrorKind::kData,
          format("{}: its documents have no users, and privacy.unit is user", source.name()),
          "make the token file from lines of JSON that each have a key \"user\"");
    }
    for (const std::int64_t document : documents_of(source)) {
      const std::string name(tokens.owner_name(tokens.owner(document)));
      const auto [user, is_new] = users_.emplace(name, units_);
      if (is_new) ++units_;
      of_sequence_.push_back(user->second);
    }
  }

  std::string unit_;
  std::int64_t units_ = 0;
  std::map<std::string, std::int64_t> users_;
  std::vector<std::int64_t> of_sequence_;  // of all sources, one after the other
};

}  // namespace

UnitList::UnitList(const std::string& unit, const std::vector<Sequences>& sources) {
  UnitNumbers numbers(unit);
  for (const Sequences& source : sources) numbers.add(source);
  const std::vector<std::int64_t>& of_sequence = numbers.of_sequence();
  firsts_.assign(static_cast<std::size_t>(numbers.units() + 1), 0);
  for (const std::int64_t number : of_sequence) ++firsts_[static_cast<std::size_t>(number + 1)];
  for (std::size_t i = 1; i < firsts_.size(); ++i) firsts_[i] += firsts_[i - 1];
  std::vector<std::int64_t> next(firsts_.begin(), firsts_.end() - 1);
  places_.resize(of_sequence.size());
  std::size_t sequence = 0;
  for (std::size_t source = 0; source < sources.size(); ++source) {
    for (std::int64_t i = 0; i < sources[source].size(); ++i) {
      std::int64_t& place = next[static_cast<std::size_t>(of_sequence[sequence++])];
      places_[static_cast<std::size_t>(place++)] = {source, i};
    }
  }
}

std::span<const SequencePlace> UnitList::sequences(std::int64_t unit) const {
  MOESAIC_ASSERT(unit >= 0 && unit < size());
  const auto first = static_cast<std::size_t>(firsts_[static_cast<std::size_t>(unit)]);
  const auto end = static_cast<std::size_t>(firsts_[static_cast<std::size_t>(unit) + 1]);
  return std::span(places_).subspan(first, end - first);
}

std::uint64_t UnitList::fingerprint(std::int64_t unit,
                                    const std::vector<Sequences>& sources) const {
  std::vector<std::int64_t> ids;
  for (const SequencePlace& place : sequences(unit)) {
    const Sequences& source = sources.at(place.source);
    const std::size_t before = ids.size();
    ids.resize(before + static_cast<std::size_t>(source.length(place.index)));
    source.copy_ids(place.index, ids.data() + before);
  }
  return hash_name({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(ids[0])});
}

std::vector<std::uint64_t> UnitList::distinct_fingerprints(
    const std::vector<Sequences>& sources) const {
  std::vector<std::uint64_t> all;
  for (std::int64_t unit = 0; unit < size(); ++unit) all.push_back(fingerprint(unit, sources));
  return distinct_names(all);
}

}  // namespace moesaic
