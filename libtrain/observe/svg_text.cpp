#include "observe/svg_text.h"

#include "core/json_text.h"

namespace moesaic {
namespace {

// Text as XML may hold it: valid UTF-8 without control characters.
std::string escaped(const std::string& raw) {
  const std::string valid = Json::parse(json_text(raw)).get<std::string>();
  std::string text;
  for (const char c : valid) {
    switch (c) {
      case '&':
        text += "&amp;";
        break;
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      case '"':
        text += "&quot;";
        break;
      default:
        text += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return text;
}

}  // namespace

SvgText::SvgText(double width, double height, const std::string& label, const std::string& paper) {
  text_ = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" role=\"img\" aria-label=\"{2}\" font-family=\"sans-serif\" font-size=\"11\">\n",
      number(width), number(height), escaped(label));
  add("rect", {{"width", number(width)}, {"height", number(height)}, {"fill", paper}});
}

void SvgText::add(std::string_view tag, Attributes attributes, const std::string& text) {
  open(tag, attributes);
  text_ += text.empty() ? "/>\n" : format(">{}</{}>\n", escaped(text), tag);
}

void SvgText::add_titled(std::string_view tag, Attributes attributes, const std::string& title,
                         const std::string& text) {
  open(tag, attributes);
  text_ += format("><title>{}</title>{}</{}>\n", escaped(title), escaped(text), tag);
}

std::string SvgText::number(double value) {
  std::string text = format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

void SvgText::open(std::string_view tag, Attributes attributes) {
  text_ += format("<{}", tag);
  for (const auto& [name, value] : attributes) text_ += format(" {}=\"{}\"", name, escaped(value));
}

}  // namespace moesaic
