// Properties of characters as patterns name them, and letters that differ only in their case.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "data/text/character_set.h"

namespace moesaic {

/// \p{name}: a general category ("L", "Lu", "Letter"), a script ("Han"), "Alphabetic", "Any" and
/// the names of POSIX ("alpha", "space", "word" ...), whatever its case, blanks, - and _. nullopt
/// for another name.
std::optional<CharacterSet> property_set(std::string_view name);
/// [:name:], whose "punct" has the symbols, too, and whose "word" has no raised digits and
/// fractions.
std::optional<CharacterSet> posix_set(std::string_view name);

/// Capital letters with their small ones, in order; U+0130, which has two, is left out.
std::vector<std::pair<char32_t, char32_t>> capital_letters();
/// `set`, and what differs from its characters only in case.
CharacterSet of_any_case(const CharacterSet& set);

}  // namespace moesaic
