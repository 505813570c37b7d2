#include "observe/routing_picture.h"

#include <gtest/gtest.h>
#include <png.h>

#include <filesystem>
#include <fstream>

namespace moesaic {
namespace {

namespace fs = std::filesystem;

class Picture : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  struct Pixels {
    png_uint_32 width = 0, height = 0;
    std::vector<png_byte> rgb;
    std::array<int, 3> at(std::size_t x, std::size_t y) const {
      const png_byte* p = &rgb[3 * (y * width + x)];
      return {p[0], p[1], p[2]};
    }
  };
  Pixels read() const {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    EXPECT_NE(png_image_begin_read_from_file(&image, path_.c_str()), 0);
    image.format = PNG_FORMAT_RGB;
    Pixels pixels{image.width, image.height, std::vector<png_byte>(PNG_IMAGE_SIZE(image))};
    EXPECT_NE(png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr), 0);
    return pixels;
  }
  static MetricsRow row(std::int64_t step, std::vector<double> first, std::vector<double> second) {
    MetricsRow row;
    row.step = step;
    row.vectors = {{"expert_load.0", std::move(first)}, {"expert_load.1", std::move(second)}};
    return row;
  }

  fs::path folder_ = fs::temp_directory_path() / "moesaic-routing-picture";
  std::string path_ = (folder_ / "routing.png").string();
};

TEST_F(Picture, OfManyExpertsHasFewerColumns) {
  {
    RoutingPicture picture({.path = path_, .metrics = ""});
    MetricsRow row;
    for (std::size_t layer = 0; layer < 60; ++layer)
      row.vectors.emplace_back(load_name(layer), std::vector<double>(640, 0.1));
    row.step = 1;  // again and again: the file is written twice only
    for (int i = 0; i < 500; ++i) picture.write(row);
  }
  const Pixels p = read();
  EXPECT_EQ(p.height, 60 * 644 - 4);
  EXPECT_GT(p.width, 200);
  EXPECT_LE(p.width, 16'000'000 / p.height);
}

TEST_F(Picture, ShowsEvenHotColdAndDeadExperts) {
  {
    RoutingPicture picture({.path = path_, .metrics = ""});
    picture.write(row(1, {0.25, 0.25, 0.25, 0.25}, {1.0, 0, 0, 0}));
    picture.write(row(2, {0.5, 0.25, 0.125, 0.125}, {1.0, 0, 0, 0}));
  }
  const Pixels p = read();
  const std::size_t last = p.width - 1, row_height = 12, second = 4 * row_height + 4;
  EXPECT_EQ(p.height, 2 * 4 * row_height + 4);
  EXPECT_EQ(p.at(0, 0), (std::array<int, 3>{255, 255, 255}));
  EXPECT_EQ(p.at(last, 0), (std::array<int, 3>{255, 170, 170}));               // twice its share
  EXPECT_EQ(p.at(last, 3 * row_height), (std::array<int, 3>{170, 170, 255}));  // half of it
  EXPECT_EQ(p.at(0, second + row_height), (std::array<int, 3>{0, 0, 0}));
}

TEST_F(Picture, GoesOnFromTheRowsOfAnEarlierStart) {
  const std::string metrics = (folder_ / "metrics.jsonl").string();
  std::ofstream(metrics) << R"({"step":1,"expert_load.0":[1,0],"expert_load.1":[0.5,0.5]})"
                         << "\n"
                         << "torn {";
  {
    RoutingPicture picture({.path = path_, .metrics = metrics});
    picture.write(row(2, {0.5, 0.5}, {0.5, 0.5}));
  }
  const Pixels p = read();
  EXPECT_EQ(p.at(p.width / 2 - 1, 23), (std::array<int, 3>{0, 0, 0}));
  EXPECT_EQ(p.at(p.width / 2, 23), (std::array<int, 3>{255, 255, 255}));
}

TEST_F(Picture, KeepsItsWidthOverALongRunAndIgnoresRowsWithoutLoads) {
  {
    RoutingPicture picture({.path = path_, .metrics = "", .most_columns = 8});
    for (int step = 1; step <= 100; ++step) picture.write(row(step, {0.5, 0.5}, {0.5, 0.5}));
    picture.write({});
  }
  EXPECT_LT(read().width, 1100U);
  EXPECT_GE(read().width, 900U);
}

}  // namespace
}  // namespace moesaic
