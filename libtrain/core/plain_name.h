// Names of silos: they become folders, columns of a table and names of certificates.
#pragma once

#include <string_view>

namespace moesaic {

/// What a plain name is, for messages.
inline constexpr std::string_view kPlainName =
    "1 to 64 letters, digits, '-', '_' and '.', the first not '.'";

/// Letters and digits are those of ASCII.
bool is_plain_name(std::string_view name);

}  // namespace moesaic
