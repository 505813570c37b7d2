// Patterns of tokenizer files, in the syntax of Oniguruma, as patterns over bytes: each byte stands
// for characters that the pattern does not tell apart.
#pragma once

#include <string>

#include "data/text/character_map.h"

namespace moesaic {

struct BytePattern {
  std::string pattern;   // for a matcher of bytes with the syntax of PCRE2, ^ and $ at lines
  CharacterMap symbols;  // what stands for a character beyond ASCII: 128 to 255; ASCII for itself
};

/// Error(kData) naming `where` for what Oniguruma does not read, for constructs that are not
/// supported (references to groups, \R, \X, \K, conditions, calls), and for patterns that tell more
/// than 128 kinds of characters apart.
BytePattern byte_pattern(const std::string& pattern, const std::string& where);

}  // namespace moesaic
