// TensorBoard's own reader judges these files in tests/parity; here the bytes are checked one by
// one.
#include "observe/tensorboard_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/fs.h"
#include "observe/crc32c.h"
#include "observe/event.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

using namespace std::string_literals;

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The payloads of a file whose every checksum holds.
std::vector<std::string> records(std::string_view file) {
  std::vector<std::string> found;
  while (!file.empty()) {
    const std::string_view length = file.substr(0, 8);
    EXPECT_EQ(little_endian(file.substr(8, 4)), masked_crc32c(length));
    const std::string_view payload = file.substr(12, little_endian(length));
    EXPECT_EQ(little_endian(file.substr(12 + payload.size(), 4)), masked_crc32c(payload));
    found.emplace_back(payload);
    file.remove_prefix(payload.size() + 16);
  }
  return found;
}

const std::string kOne = "\x00\x00\x00\x00\x00\x00\xF0\x3F"s;  // 1.0, little endian

TEST(Event, FileVersionIsTheFirstRecordThatTensorBoardExpects) {
  EXPECT_EQ(event::file_version(1.0), "\x09"s + kOne + "\x1A\x0D" + "brain.Event:2");
}

TEST(Event, SessionStartCarriesStepAndStatus) {
  EXPECT_EQ(event::session_start(1.0, 300), "\x09"s + kOne + "\x10\xAC\x02\x3A\x02\x08\x01");
}

TEST(Event, ScalarsAreSimpleValues) {
  MetricsRow row;
  row.step = 2;
  row.set("loss", 1.0);
  const std::string value = "\x0A\x04loss\x15\x00\x00\x80\x3F"s;
  EXPECT_EQ(event::summary(1.0, row), "\x09"s + kOne + "\x10\x02\x2A\x0D\x0A\x0B" + value);
}

TEST(Event, HistogramsCountEveryFiniteElementOnce) {
  MetricsRow row;
  row.vectors.emplace_back("h",
                           std::vector<double>{1.0, 1.0, std::numeric_limits<double>::quiet_NaN()});
  const std::string two = "\x00\x00\x00\x00\x00\x00\x00\x40"s;
  const std::string histogram = "\x09"s + kOne + "\x11" + kOne + "\x19" + two + "\x21" + two +
                                "\x29" + two + "\x32\x08" + kOne + "\x3A\x08" + two;
  EXPECT_NE(event::summary(1.0, row).find("\x0A\x01h\x2A\x41"s + histogram), std::string::npos);
}

TEST(Event, AnEmptyVectorMakesNoHistogram) {
  MetricsRow row;
  row.vectors.emplace_back("h", std::vector<double>{});
  EXPECT_EQ(event::summary(1.0, row), "\x09"s + kOne + "\x10\x00\x2A\x00"s);
}

TEST(TensorBoardSink, WritesAWholeRecordPerRowAfterVersionAndStart) {
  const testing::TempFolder folder;
  TensorBoardSink sink({folder.path() + "/tensorboard", 4});
  MetricsRow row;
  row.step = 5;
  row.set("loss", 1.0);
  sink.write(row);
  const auto entry = *std::filesystem::directory_iterator(folder.path() + "/tensorboard");
  const auto payloads = records(read_file(entry.path().string()));
  ASSERT_EQ(payloads.size(), 3U);
  EXPECT_NE(payloads[0].find("brain.Event:2"), std::string::npos);
  EXPECT_NE(payloads[1].find("\x10\x05\x3A\x02\x08\x01"), std::string::npos);
  EXPECT_NE(payloads[2].find("loss"), std::string::npos);
}

TEST(TensorBoardSink, FilesOfOneFolderSortInTheOrderTheyWereOpened) {
  const testing::TempFolder folder;
  std::vector<std::string> names;
  for (int start = 0; start < 3; ++start) {
    const TensorBoardSink sink({folder.path()});
    std::vector<std::string> now;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      now.push_back(entry.path().filename().string());
    }
    std::sort(now.begin(), now.end());
    EXPECT_EQ(std::vector(now.begin(), now.end() - 1), names);  // the new one is the last
    names = now;
  }
}

TEST(TensorBoardSink, AFolderThatCannotBeMadeIsACheckpointError) {
  EXPECT_THROW(TensorBoardSink({"/dev/null/tensorboard"}), Error);
}

}  // namespace
}  // namespace moesaic
