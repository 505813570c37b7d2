// The colors of a report's SVG files: those of its page in the light (report/themes.json).
#pragma once

#include <array>
#include <string>
#include <vector>

namespace moesaic {

struct SvgTheme {
  using Rgb = std::array<double, 3>;

  std::string paper, ink, faint, line, restart;
  std::vector<std::string> series;
  Rgb even, nothing, above, below;  // of shares of an expert

  static SvgTheme light();
};

}  // namespace moesaic
