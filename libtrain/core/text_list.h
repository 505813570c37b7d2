// Texts as one text, as ranks send paths to each other. JSON would not do: a path need not be
// UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

/// The texts have no '\0' in them; they may be empty.
std::string pack_texts(const std::vector<std::string>& texts);
std::vector<std::string> unpack_texts(std::string_view packed);

}  // namespace moesaic
