// RenderedChat: a conversation as a template wrote it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace moesaic {

/// Bytes [begin, end) of a text.
struct TextSpan {
  std::size_t begin = 0, end = 0;
  bool operator==(const TextSpan&) const = default;
};

struct RenderedChat {
  std::string text;
  std::vector<TextSpan> generated;  // what `{% generation %}` marks, in order; none is empty
};

}  // namespace moesaic
