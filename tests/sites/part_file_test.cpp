#include "sites/part_file.h"

#include <gtest/gtest.h>

#include "core/fs.h"
#include "core/path.h"
#include "sites/inbox.h"
#include "support/temporary_folder.h"

namespace moesaic::sites {
namespace {

using moesaic::testing::expect_error;
using moesaic::testing::TemporaryFolder;

Blob blob_with(const std::string& content) {
  return {identity::sha256_of(content), content.size()};
}

TEST(PartFile, GoesOnWhereAnEarlierOneStopped) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/model";
  const std::string content = "one two three";
  {
    PartFile file(path, blob_with(content));
    file.write(0, content.substr(0, 4));
  }
  EXPECT_EQ(PartFile::bytes_there(path, blob_with(content)), 4U);
  PartFile file(path, blob_with(content));
  EXPECT_EQ(file.bytes(), 4U);
  EXPECT_FALSE(file.is_whole());
  file.write(4, content.substr(4));
  EXPECT_FALSE(path_exists(path));
  file.finish();
  EXPECT_EQ(read_file(path), content);
  EXPECT_EQ(folder.names(""), std::vector<std::string>{"model"});
}

TEST(PartFile, TakesOnlyTheNextPieceAndNoMoreThanWasAnnounced) {
  const TemporaryFolder folder;
  PartFile file(folder.path() + "/model", blob_with("12345678"));
  file.write(0, "123");
  const auto refused = [&](std::uint64_t offset, const std::string& piece, const char* part) {
    expect_error(ErrorKind::kData, part, [&] { file.write(offset, piece); });
    EXPECT_EQ(file.bytes(), 3U);
  };
  refused(0, "123", "out of order: from byte 0 on, not 3");
  refused(4, "5", "out of order");
  refused(3, "456789", "a piece of 6 bytes came, 1 to 5 are due");
  refused(3, "", "a piece of 0 bytes");
  file.write(3, "45678");
  file.finish();
  const Blob large{std::string(64, '0'), 4 * kChunkBytes};
  PartFile other(folder.path() + "/large", large);
  EXPECT_THROW(other.write(0, std::string(kChunkBytes + 1, 'x')), Error);
}

TEST(PartFile, WhatHasAnotherDigestIsGone) {
  const TemporaryFolder folder;
  PartFile file(folder.path() + "/model", blob_with("right"));
  file.write(0, "wrong");
  expect_error(ErrorKind::kData, "another digest", [&] { file.finish(); });
  EXPECT_TRUE(folder.names("").empty());
}

TEST(PartFile, WhatDoesNotFitOnTheDiskIsNotBegun) {
  const TemporaryFolder folder;
  const Blob huge{std::string(64, '0'), std::uint64_t{1} << 60};
  expect_error(ErrorKind::kCheckpoint, "are free on its disk",
               [&] { PartFile(folder.path() + "/model", huge); });
  EXPECT_TRUE(folder.names("").empty());
}

class InboxTest : public ::testing::Test {
 protected:
  void bring(const std::string& silo, const std::string& content) {
    const auto upload = inbox_.begin(silo, blob_with(content));
    EXPECT_EQ(inbox_.add(*upload, 0, content), content.size());
  }
  TemporaryFolder folder_;
  Inbox inbox_{folder_.path(), 100};
};

TEST_F(InboxTest, AFileIsTakenOnceItIsWholeAndGoneWhenItIsReleased) {
  const Blob blob = blob_with("change");
  EXPECT_EQ(inbox_.expect("north", blob), 0U);
  inbox_.add(*inbox_.begin("north", blob), 0, "cha");
  EXPECT_EQ(inbox_.expect("north", blob), 3U);
  EXPECT_EQ(inbox_.take("north", blob), "");
  inbox_.add(*inbox_.begin("north", blob), 3, "nge");
  EXPECT_EQ(inbox_.expect("north", blob), 6U);
  EXPECT_EQ(inbox_.take("south", blob), "");
  const std::string path = inbox_.take("north", blob);
  EXPECT_EQ(read_file(path), "change");
  inbox_.release("north");
  EXPECT_FALSE(path_exists(path));
}

TEST_F(InboxTest, ASiloHasAtMostTwoFiles) {
  bring("north", "first");
  const std::string first = inbox_.take("north", blob_with("first"));
  bring("north", "second");
  expect_error(ErrorKind::kData, "is being looked at",
               [&] { inbox_.take("north", blob_with("second")); });
  bring("north", "third");  // in place of the second
  EXPECT_EQ(folder_.names("north").size(), 2U);
  EXPECT_EQ(read_file(first), "first");
  inbox_.release("north");
  EXPECT_EQ(read_file(inbox_.take("north", blob_with("third"))), "third");
}

TEST_F(InboxTest, ALaterLookOrTransferTakesThePlaceOfTheEarlierOne) {
  const Blob blob = blob_with("change");
  const auto stuck = inbox_.begin("north", blob);
  inbox_.add(*stuck, 0, "ch");
  const auto next = inbox_.begin("north", blob);
  EXPECT_THROW(inbox_.add(*stuck, 2, "an"), Error);
  EXPECT_EQ(inbox_.add(*next, 2, "an"), 4U);
  EXPECT_EQ(inbox_.expect("north", blob), 4U);
  EXPECT_THROW(inbox_.add(*next, 4, "ge"), Error);
}

TEST_F(InboxTest, TooLargeAFileIsRefusedBeforeItComes) {
  EXPECT_THROW(inbox_.expect("north", {std::string(64, '0'), 101}), Error);
  EXPECT_THROW(inbox_.expect("north", {std::string(64, '0'), 0}), Error);
  EXPECT_THROW(inbox_.expect("north", {"../" + std::string(61, '0'), 1}), Error);
}

TEST_F(InboxTest, WhatAnEarlierProcessGotIsFoundAgain) {
  bring("north", "change");
  Inbox later(folder_.path(), 100);
  EXPECT_EQ(later.expect("north", blob_with("change")), 6U);
  EXPECT_NE(later.take("north", blob_with("change")), "");
}

}  // namespace
}  // namespace moesaic::sites
