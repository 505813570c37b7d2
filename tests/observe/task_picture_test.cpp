#include "observe/task_picture.h"

#include <gtest/gtest.h>
#include <png.h>

#include <set>

#include "observe/picture.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

using testing::TempFolder;

struct Pixels {
  std::size_t width = 0, height = 0;
  std::vector<png_byte> rgb;

  explicit Pixels(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    EXPECT_NE(png_image_begin_read_from_file(&image, path.c_str()), 0);
    image.format = PNG_FORMAT_RGB;
    width = image.width, height = image.height;
    rgb.resize(PNG_IMAGE_SIZE(image));
    EXPECT_NE(png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr), 0);
  }
  Color at(std::size_t x, std::size_t y) const {
    const png_byte* p = &rgb[3 * (y * width + x)];
    return {p[0], p[1], p[2]};
  }
};

constexpr Color kWhite = {255, 255, 255}, kRed = {255, 0, 0};

TEST(Drawing, DrawsTheDotsOfItsFont) {
  const TempFolder folder;
  Picture picture(12, 7, kWhite);
  picture.text(0, 0, "1l", kRed, 1);
  ASSERT_TRUE(picture.write(folder.path() + "/p.png"));
  const Pixels pixels(folder.path() + "/p.png");
  std::string drawn;
  for (std::size_t y = 0; y < 7; ++y) {
    for (std::size_t x = 0; x < 12; ++x) drawn += pixels.at(x, y) == kRed ? '#' : '.';
    drawn += '\n';
  }
  EXPECT_EQ(drawn,
            "..#...#.....\n"
            ".##...#.....\n"
            "..#...#.....\n"
            "..#...#.....\n"
            "..#...#.....\n"
            "..#...#.....\n"
            ".###..#####.\n");
  EXPECT_EQ(Picture::text_width("1l", 1), 11U);
}

TEST(Drawing, LeavesOutWhatLiesOutside) {
  const TempFolder folder;
  Picture picture(4, 4, kWhite);
  picture.fill(2, 2, 100, 100, kRed);
  picture.fill(50, 50, 3, 3, kRed);
  picture.text(3, 3, "no room for this", kRed);
  ASSERT_TRUE(picture.write(folder.path() + "/p.png"));
  const Pixels pixels(folder.path() + "/p.png");
  EXPECT_EQ(pixels.at(1, 1), kWhite);
  EXPECT_EQ(pixels.at(2, 2), kRed);
  EXPECT_FALSE(picture.write(folder.path() + "/nowhere/p.png"));
}

// Where the darkest of the pixels of a kind lie says which cells are the best ones.
TEST(TaskPicture, BetterIsDarkerForBothMetrics) {
  const TempFolder folder;
  const std::string path = folder.path() + "/tasks.png";
  const auto corner = [&](const std::string& metric, double value) {
    const TaskMatrix matrix{{"a"}, metric, {{value}, {metric == "loss" ? 4.0 : 0.5}}};
    EXPECT_TRUE(draw_tasks(matrix, path));
    const Pixels pixels(path);
    return pixels.at(pixels.width - 20, 2 * 12 + 14 + 5);  // inside the first cell, beside its text
  };
  EXPECT_GT(corner("accuracy", 0.1)[0], corner("accuracy", 0.9)[0]);
  EXPECT_GT(corner("loss", 5.0)[0], corner("loss", 1.0)[0]);
}

TEST(TaskPicture, OfUnfinishedMatricesAndOddValuesToo) {
  const TempFolder folder;
  const std::string path = folder.path() + "/tasks.png";
  const TaskMatrix matrix{{"legal", "a name that is longer than a column has room for"},
                          "loss",
                          {{3.0, std::numeric_limits<double>::quiet_NaN()}}};
  EXPECT_TRUE(draw_tasks(matrix, path));
  EXPECT_GT(Pixels(path).width, 2U * 96);
  EXPECT_FALSE(draw_tasks({}, path));
}

}  // namespace
}  // namespace moesaic
