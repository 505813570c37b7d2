#include "store/hdf5_tables.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"
#include "store/hdf5.h"

namespace moesaic {
namespace {

using testing::TempFolder;

const std::vector<Hdf5Table> kTables = {{"matrix", {3, 2}, {1, 2, 3, 4, 5, 6.5}},
                                        {"baseline", {2}, {1, 2}}};
const std::vector<std::pair<std::string, Hdf5Attribute>> kAttributes = {
    {"tasks", std::vector<std::string>{"a", "b"}},
    {"metric", std::string("loss")},
    {"average", 0.5}};

TEST(Hdf5Tables, CanBeReadAsOtherFiles) {
  const TempFolder folder;
  const std::string path = folder.path() + "/tables.h5";
  write_hdf5_tables(path, kTables, kAttributes);
  const Hdf5File file = Hdf5File::open(path);
  EXPECT_EQ(file.dataset_names(), (std::vector<std::string>{"baseline", "matrix"}));
  const Hdf5Dataset matrix = file.dataset("matrix");
  EXPECT_EQ(matrix.spec().shape, (std::vector<std::int64_t>{3, 2}));
  std::vector<double> values(6);
  matrix.read_rows(0, 3, values.data());
  EXPECT_EQ(values, kTables[0].values);
}

TEST(Hdf5Tables, EqualContentGivesEqualFilesAndNoOtherOnesStay) {
  const TempFolder folder;
  const std::string first = folder.path() + "/a.h5", second = folder.path() + "/b.h5";
  write_hdf5_tables(first, kTables, kAttributes);
  write_hdf5_tables(second, kTables, kAttributes);
  write_hdf5_tables(second, kTables, kAttributes);
  EXPECT_EQ(read_file(first), read_file(second));
  EXPECT_FALSE(std::filesystem::exists(second + ".tmp"));
}

TEST(Hdf5Tables, SayWhyTheyCannotBeWritten) {
  try {
    write_hdf5_tables("/nowhere/at/all/tables.h5", kTables, kAttributes);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    EXPECT_NE(std::string(error.what()).find("/nowhere/at/all"), std::string::npos);
  }
}

}  // namespace
}  // namespace moesaic
