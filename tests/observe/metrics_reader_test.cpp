#include "observe/metrics_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

class MetricsReaderTest : public ::testing::Test {
 protected:
  void append(const std::string& text) { std::ofstream(path, std::ios::app) << text; }
  std::vector<std::int64_t> read() {
    std::vector<std::int64_t> steps;
    reader.read([&] { ++begun; }, [&](const MetricsRow& row) { steps.push_back(row.step); });
    return steps;
  }

  testing::TempFolder folder;
  std::string path = folder.file("metrics.jsonl");
  MetricsReader reader{path};
  int begun = 0;
};

using Steps = std::vector<std::int64_t>;

TEST(MetricsRowText, HoldsNumbersAndListsOfThem) {
  const auto row = metrics_row(
      R"({"step":7,"loss":0.5,"lost":null,"name":"x","on":true,"load":[1,null,0.5],)"
      R"("new":{"step":9,"a":[1]}})");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->step, 7);
  ASSERT_EQ(row->values.size(), 2U);
  EXPECT_EQ(*row->find("loss"), 0.5);
  EXPECT_TRUE(std::isnan(*row->find("lost")));
  ASSERT_EQ(row->vectors.size(), 1U);
  EXPECT_EQ(row->vectors[0].first, "load");
  EXPECT_EQ(row->vectors[0].second.size(), 3U);
  EXPECT_TRUE(std::isnan(row->vectors[0].second[1]));
}

TEST(MetricsRowText, IsNothingElse) {
  for (const char* text :
       {"", "{", "[1]", "7", "\"step\"", R"({"loss":1})", R"({"step":"7"})", R"({"step":1.5})",
        R"({"step":-1})", R"({"step":1} {)", R"({"step":99999999999999999999})", R"([{"step":1}])"})
    EXPECT_FALSE(metrics_row(text)) << text;
}

TEST_F(MetricsReaderTest, FollowsAFileThatGrows) {
  append("{\"step\":1}\n{\"step\":2}\n{\"st");
  EXPECT_EQ(read(), (Steps{1, 2}));
  EXPECT_TRUE(reader.found().torn);
  append("ep\":3}\n");
  EXPECT_EQ(read(), (Steps{3}));
  EXPECT_FALSE(reader.found().torn);
  EXPECT_EQ(read(), Steps{});
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(reader.found().rows, 3);
  EXPECT_TRUE(reader.remarks().empty());
}

TEST_F(MetricsReaderTest, StartsAnewWhereTheFileWasCutBackOrReplaced) {
  append("{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  EXPECT_EQ(read(), (Steps{1, 2, 3}));
  std::filesystem::resize_file(path, 11);
  EXPECT_EQ(read(), (Steps{1}));
  const std::string other = folder.file("other");
  std::ofstream(other) << "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"step\":4}\n";
  std::filesystem::rename(other, path);
  EXPECT_EQ(read(), (Steps{1, 2, 3, 4}));
  EXPECT_EQ(begun, 3);
}

TEST_F(MetricsReaderTest, LeavesOutWhatIsDamagedOrDisorderedAndSaysSo) {
  append("{\"step\":1}\nrubbish\n{\"step\":2}\n{\"step\":2}\n\xff\xfe\n{\"step\":3}\n");
  EXPECT_EQ(read(), (Steps{1, 2, 3}));
  EXPECT_EQ(reader.found().damaged, 2);
  EXPECT_EQ(reader.found().first_damaged, 2);
  EXPECT_EQ(reader.found().disordered, 1);
  ASSERT_EQ(reader.remarks().size(), 2U);
  EXPECT_NE(reader.remarks()[0].find("2 lines of"), std::string::npos);
  EXPECT_NE(reader.remarks()[0].find("line 2"), std::string::npos);
}

TEST_F(MetricsReaderTest, OfAnotherProgramSaysThatThereAreNoRows) {
  append("epoch,loss\n1,0.5\n");
  EXPECT_EQ(read(), Steps{});
  ASSERT_EQ(reader.remarks().size(), 1U);
  EXPECT_NE(reader.remarks()[0].find("no row of metrics"), std::string::npos);
}

TEST_F(MetricsReaderTest, IsNotFilledByALineWithoutEnd) {
  append("{\"step\":1}\n" + std::string(40U << 20, 'x'));
  EXPECT_EQ(read(), (Steps{1}));
  append("\n{\"step\":2}\n");
  EXPECT_EQ(read(), (Steps{2}));
  EXPECT_EQ(reader.found().damaged, 1);
}

TEST_F(MetricsReaderTest, NeedsAFile) {
  EXPECT_THROW(read(), Error);
  std::filesystem::create_directory(path);
  EXPECT_THROW(read(), Error);
}

}  // namespace
}  // namespace moesaic
