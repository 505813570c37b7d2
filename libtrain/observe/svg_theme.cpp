#include "observe/svg_theme.h"

#include "core/json.h"
#include "observe/report_page_text.h"  // made of libtrain/observe/report

namespace moesaic {

SvgTheme SvgTheme::light() {
  const Json themes = parse_json(kReportThemes, "themes.json", ErrorKind::kInternal);
  const Json& light = themes.at("light");
  return {.paper = light.at("paper").get<std::string>(),
          .ink = light.at("ink").get<std::string>(),
          .faint = light.at("faint").get<std::string>(),
          .line = light.at("line").get<std::string>(),
          .restart = light.at("restart").get<std::string>(),
          .series = light.at("series").get<std::vector<std::string>>(),
          .even = light.at("even").get<Rgb>(),
          .nothing = light.at("nothing").get<Rgb>(),
          .above = light.at("above").get<Rgb>(),
          .below = light.at("below").get<Rgb>()};
}

}  // namespace moesaic
