// The pictures of a report as SVG files, which need no page around them.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"

namespace moesaic {

struct SvgPicture {
  std::string name;  // of its file: "Loss.svg"
  std::string text;
};

/// Each chart of the report `data`, and the loads of each run that has some; in the light colors of
/// the page, all steps. No two have one name.
std::vector<SvgPicture> svg_pictures(const Json& data);

}  // namespace moesaic
