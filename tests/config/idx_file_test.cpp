#include "config/idx_file.h"

#include "support/idx_maker.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::gzip_file;
using testing::idx_bytes;
using testing::TemporaryFolder;
using Shape = std::vector<std::int64_t>;
using Bytes = std::vector<std::uint8_t>;

void expect_bad(const std::string& path, const std::string& part) {
  expect_error(ErrorKind::kData, part, [&] { IdxFile(path).read(); });
}

TEST(IdxFile, ReadsPlainAndPackedFiles) {
  const TemporaryFolder folder;
  const Bytes values = {0, 1, 2, 253, 254, 255};
  const std::string bytes = idx_bytes({3, 1, 2}, values);
  for (const std::string& path :
       {folder.file("plain.idx", bytes), gzip_file(folder, "packed.gz", bytes)}) {
    IdxFile file(path);
    EXPECT_EQ(file.shape(), (Shape{3, 1, 2}));
    EXPECT_EQ(file.items(), 3);
    EXPECT_EQ(file.item_values(), 2);
    EXPECT_EQ(file.read(), values);
  }
}

TEST(IdxFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  expect_bad(folder.path() + "/nothing", "there is no such file");
  expect_bad(folder.path(), "it is not a regular file");
  expect_bad(folder.file("empty", ""), "is cut off: it ends after 0 of 4 bytes of its header");
}

TEST(IdxFile, RefusesAnotherFormat) {
  const TemporaryFolder folder;
  expect_bad(folder.file("text", "some text"), "begins with 73 6f 6d 65");
  std::string floats = idx_bytes({1}, {1, 2, 3, 4});
  floats[2] = '\x0d';
  expect_bad(folder.file("floats", floats), "begins with 00 00 0d 01");
  expect_bad(folder.file("scalar", idx_bytes({}, {1})), "begins with 00 00 08 00");
  expect_bad(folder.file("dimensions", idx_bytes(std::vector<std::uint32_t>(9, 1), {1})),
             "begins with 00 00 08 09");
}

TEST(IdxFile, RefusesSizesThatItDoesNotHave) {
  const TemporaryFolder folder;
  const std::string bytes = idx_bytes({2, 3}, {1, 2, 3, 4, 5, 6});
  expect_bad(folder.file("short", bytes.substr(0, bytes.size() - 1)), "is cut off");
  expect_bad(folder.file("long", bytes + "x"), "it is damaged");
  expect_bad(folder.file("header", bytes.substr(0, 6)), "of its header");
  expect_bad(folder.file("zero", idx_bytes({0, 3}, {})), "dimension 0 is 0");
  // Nothing of these sizes is allocated.
  expect_bad(folder.file("large", idx_bytes({4000000000U, 200}, {1})), "is cut off");
  expect_bad(folder.file("absurd", idx_bytes({4294967295U, 4294967295U, 9}, {1})), "more than");
  expect_bad(gzip_file(folder, "large.gz", idx_bytes({4000000000U, 200}, {1})),
             "packed bytes can hold");
}

TEST(IdxFile, RefusesDamagedPackedFiles) {
  const TemporaryFolder folder;
  const Bytes values(5000, 7);
  const std::string bytes = idx_bytes({5000}, values);
  const std::string packed = read_file(gzip_file(folder, "whole.gz", bytes));
  for (const std::size_t left : {packed.size() - 1, packed.size() - 9, packed.size() / 2})
    expect_bad(folder.file("cut.gz", packed.substr(0, left)), "is cut off");
  std::string changed = packed;
  changed[changed.size() - 6] = static_cast<char>(changed[changed.size() - 6] ^ 1);  // its checksum
  expect_bad(folder.file("changed.gz", changed), "is damaged");
  expect_bad(gzip_file(folder, "long.gz", bytes + "x"), "goes on after the 5000 values");
  expect_bad(gzip_file(folder, "short.gz", bytes.substr(0, 4000)), "is cut off");
}

}  // namespace
}  // namespace moesaic
