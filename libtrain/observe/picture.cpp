#include "observe/picture.h"

#include <png.h>

#include <algorithm>
#include <cctype>
#include <iterator>

#include "core/fs.h"

namespace moesaic {
namespace {

constexpr std::size_t kGlyphColumns = 5, kGlyphRows = 7;
constexpr std::uint64_t kBoxDots = 0x7ffffffff;  // all dots

/// 35 dots, from the upper left one in the highest bit, row after row.
struct Glyph {
  char character;
  std::uint64_t dots;
};
constexpr Glyph kFont[] = {{'0', 0x3a33ae62e}, {'1', 0x11842108e}, {'2', 0x3a211111f},
                           {'3', 0x7c441062e}, {'4', 0x08ca97c42}, {'5', 0x7e1e0862e},
                           {'6', 0x1910f462e}, {'7', 0x7c2222108}, {'8', 0x3a317462e},
                           {'9', 0x3a317844c}, {'A', 0x3a31fc631}, {'B', 0x7a31f463e},
                           {'C', 0x3a308422e}, {'D', 0x72518c65c}, {'E', 0x7e10f421f},
                           {'F', 0x7e10f4210}, {'G', 0x3a30bc62f}, {'H', 0x4631fc631},
                           {'I', 0x38842108e}, {'J', 0x1c4210a4c}, {'K', 0x4654c5251},
                           {'L', 0x42108421f}, {'M', 0x4775ac631}, {'N', 0x4639ace31},
                           {'O', 0x3a318c62e}, {'P', 0x7a31f4210}, {'Q', 0x3a318d64d},
                           {'R', 0x7a31f5251}, {'S', 0x3e107043e}, {'T', 0x7c8421084},
                           {'U', 0x46318c62e}, {'V', 0x46318c544}, {'W', 0x4631ad771},
                           {'X', 0x462a22a31}, {'Y', 0x462a21084}, {'Z', 0x7c222221f},
                           {'.', 0x00000018c}, {'-', 0x0000f8000}, {'+', 0x0084f9080},
                           {'_', 0x00000001f}, {'/', 0x042222210}, {' ', 0}};

std::uint64_t dots_of(char character) {
  const char capital = static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  const auto* const found = std::find_if(std::begin(kFont), std::end(kFont),
                                         [&](const Glyph& g) { return g.character == capital; });
  return found == std::end(kFont) ? kBoxDots : found->dots;
}

bool has_dot(std::uint64_t dots, std::size_t row, std::size_t column) {
  const std::size_t place = kGlyphColumns * kGlyphRows - 1 - (row * kGlyphColumns + column);
  return ((dots >> place) & 1U) != 0;
}

}  // namespace

Picture::Picture(std::size_t width, std::size_t height, const Color& background)
    : width_(width), height_(height), pixels_(background.size() * width * height) {
  fill(0, 0, width, height, background);
}

void Picture::fill(std::size_t x, std::size_t y, std::size_t width, std::size_t height,
                   const Color& color) {
  for (std::size_t row = y; row < std::min(y + height, height_); ++row) {
    for (std::size_t column = x; column < std::min(x + width, width_); ++column) {
      std::copy(
          color.begin(), color.end(),
          pixels_.begin() + static_cast<std::ptrdiff_t>(color.size() * (row * width_ + column)));
    }
  }
}

void Picture::text(std::size_t x, std::size_t y, std::string_view text, const Color& color,
                   std::size_t dot) {
  for (const char character : text) {
    const std::uint64_t dots = dots_of(character);
    for (std::size_t row = 0; row < kGlyphRows; ++row) {
      for (std::size_t column = 0; column < kGlyphColumns; ++column) {
        if (has_dot(dots, row, column)) fill(x + column * dot, y + row * dot, dot, dot, color);
      }
    }
    x += (kGlyphColumns + 1) * dot;
  }
}

std::size_t Picture::text_width(std::string_view text, std::size_t dot) {
  return text.empty() ? 0 : (text.size() * (kGlyphColumns + 1) - 1) * dot;
}

bool Picture::write(const std::string& path) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (png_image_write_get_memory_size(image, size, 0, pixels_.data(), 0, nullptr) == 0)
    return false;
  std::string file(size, '\0');
  if (png_image_write_to_memory(&image, file.data(), &size, 0, pixels_.data(), 0, nullptr) == 0)
    return false;
  file.resize(size);
  try {
    write_file_atomic(path, file);
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace moesaic
