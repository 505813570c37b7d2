#include "observe/svg_pictures.h"

#include <set>
#include <utility>

#include "core/format.h"
#include "observe/svg_chart.h"
#include "observe/svg_loads.h"

namespace moesaic {
namespace {

constexpr std::size_t kLongestName = 80;

// The title with a '-' for whatever is no letter, digit, '.' or '_'; as the page names what it
// saves.
std::string file_name_of(const std::string& title) {
  std::string name;
  for (const char c : title) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_';
    if (plain)
      name += c;
    else if (name.empty() || name.back() != '-')
      name += '-';
  }
  return name.substr(0, kLongestName);
}

class Pictures {
 public:
  void add(const std::string& title, std::string text) {
    const std::string name = file_name_of(title);
    std::string file = name + ".svg";
    for (int number = 2; !taken_.insert(file).second; ++number)
      file = format("{}-{}.svg", name, number);
    all_.push_back({file, std::move(text)});
  }

  std::vector<SvgPicture> take() { return std::move(all_); }

 private:
  std::set<std::string> taken_;
  std::vector<SvgPicture> all_;
};

}  // namespace

std::vector<SvgPicture> svg_pictures(const Json& data) {
  const SvgTheme theme = SvgTheme::light();
  const Json& runs = data.at("runs");
  Pictures pictures;
  for (const Json& chart : data.at("charts"))
    pictures.add(chart.at("title").get<std::string>(), svg_chart(chart, runs, theme));
  for (const Json& run : runs) {
    if (run.at("loads").is_null()) continue;
    const std::string title = "Load of the experts of " + run.at("name").get<std::string>();
    pictures.add(title, svg_loads(title, run.at("loads"), theme));
  }
  return pictures.take();
}

}  // namespace moesaic
