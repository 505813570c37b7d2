// Picture: an image of 8-bit colors, drawn by boxes and short texts, written as PNG.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

using Color = std::array<std::uint8_t, 3>;  // red, green, blue

class Picture {
 public:
  /// All pixels have the color `background`.
  Picture(std::size_t width, std::size_t height, const Color& background);

  /// A box from its upper left corner; what lies outside is left out.
  void fill(std::size_t x, std::size_t y, std::size_t width, std::size_t height,
            const Color& color);

  /// Text in a font of 5 x 7 dots, each `dot` pixels wide, on what is there. Letters are capitals;
  /// characters that the font has not are boxes.
  void text(std::size_t x, std::size_t y, std::string_view text, const Color& color,
            std::size_t dot = 2);
  static std::size_t text_width(std::string_view text, std::size_t dot = 2);
  static std::size_t text_height(std::size_t dot = 2) { return 7 * dot; }

  /// False where the file cannot be written: pictures are no reason to stop a run.
  bool write(const std::string& path) const;

 private:
  std::size_t width_, height_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace moesaic
