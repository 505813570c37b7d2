// SvgText: a picture as SVG, element by element. Texts of others may be in it: they are escaped.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace moesaic {

class SvgText {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;

  /// Of this size on that paper; `label` says what it shows.
  SvgText(double width, double height, const std::string& label, const std::string& paper);

  /// An element with a text, "" = none, or with a title that is shown over it.
  void add(std::string_view tag, Attributes attributes, const std::string& text = "");
  void add_titled(std::string_view tag, Attributes attributes, const std::string& title,
                  const std::string& text = "");

  /// The whole picture.
  std::string text() const { return text_ + "</svg>\n"; }

  /// A place or a size, to a tenth.
  static std::string number(double value);

 private:
  void open(std::string_view tag, Attributes attributes);

  std::string text_;
};

}  // namespace moesaic
