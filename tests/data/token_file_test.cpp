#include "data/token_file.h"

#include <signal.h>
#include <sys/resource.h>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using testing::write_tokens;

std::vector<std::int64_t> all_ids(const TokenFile& file) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(file.ids()));
  file.copy_ids(0, file.ids(), ids.data());
  return ids;
}

TEST(TokenFile, GivesBackWhatWasWritten) {
  for (const int id_bytes : {2, 4}) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/a.tokens";
    write_tokens(path, {{3, 1, 4}, {1}, {65535, 9}}, id_bytes);
    const auto file = TokenFile::open(path);
    EXPECT_EQ(all_ids(*file), (std::vector<std::int64_t>{3, 1, 4, 1, 65535, 9}));
    EXPECT_EQ(file->documents(), 3);
    EXPECT_EQ(file->document_start(0), 0);
    EXPECT_EQ(file->document_start(1), 3);
    EXPECT_EQ(file->document_start(2), 4);
    EXPECT_EQ(file->document_start(3), 6);
    EXPECT_EQ(file->max_id(), 65535);
    EXPECT_EQ(file->header().id_bytes, static_cast<std::uint32_t>(id_bytes));
    EXPECT_TRUE(file->verify());
    const std::uint64_t ids_padded = id_bytes == 2 ? 16 : 24;
    EXPECT_EQ(std::filesystem::file_size(path), 128 + ids_padded + 4 * 8);
  }
}

TEST(TokenFile, HoldsIdsUpTo32Bits) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{0xffffffffU, 65536}}, 4);
  EXPECT_EQ(all_ids(*TokenFile::open(path)), (std::vector<std::int64_t>{0xffffffffLL, 65536}));
}

TEST(TokenFile, LongDocumentsCrossTheWritersBlocks) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {testing::counting(10001)}, 2);
  const auto ids = all_ids(*TokenFile::open(path));
  ASSERT_EQ(ids.size(), 10001U);
  for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], static_cast<std::int64_t>(i));
}

TEST(TokenFile, EveryTruncationIsAnError) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}});
  const std::string whole = read_file(path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = folder.file("cut.tokens", whole.substr(0, size));
    expect_error(ErrorKind::kData, "cut.tokens", [&] { TokenFile::open(cut); });
  }
  const std::string longer = folder.file("longer.tokens", whole + '\0');
  expect_error(ErrorKind::kData, "its header says", [&] { TokenFile::open(longer); });
}

TEST(TokenFile, EveryFlippedBitIsDetected) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}});
  const std::string whole = read_file(path);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const std::string damaged = folder.file("flipped.tokens", flipped);
    if (bit / 8 < sizeof(TokenFileHeader)) {
      expect_error(ErrorKind::kData, "flipped.tokens", [&] { TokenFile::open(damaged); });
      continue;
    }
    try {
      EXPECT_FALSE(TokenFile::open(damaged)->verify()) << "bit " << bit;
    } catch (const Error& error) {  // an offset: refused on opening
      EXPECT_EQ(error.kind(), ErrorKind::kData);
    }
  }
}

// A header whose digest is right may lie all the same: it must not lead outside the file.
TEST(TokenFile, ConsistentLiesInTheHeaderAreErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}});
  const std::string whole = read_file(path);
  const auto open_with = [&](const std::function<void(TokenFileHeader&)>& change) {
    TokenFileHeader header;
    std::memcpy(&header, whole.data(), sizeof header);
    change(header);
    header.digest().copy(header.header_digest, sizeof header.header_digest);
    std::string changed = whole;
    std::memcpy(changed.data(), &header, sizeof header);
    TokenFile::open(folder.file("lies.tokens", changed));
  };
  EXPECT_NO_THROW(open_with([](TokenFileHeader&) {}));
  using Change = std::function<void(TokenFileHeader&)>;
  const std::vector<Change> lies = {
      [](auto& h) { h.version = 2; },       [](auto& h) { h.id_bytes = 0; },
      [](auto& h) { h.id_bytes = 8; },      [](auto& h) { h.ids = 0; },
      [](auto& h) { h.ids = 6; },           [](auto& h) { h.ids = ~std::uint64_t{0}; },
      [](auto& h) { h.ids = 1ULL << 63U; }, [](auto& h) { h.documents = 0; },
      [](auto& h) { h.documents = 1; },     [](auto& h) { h.documents = ~std::uint64_t{0}; },
      [](auto& h) { h.max_id = 65536; }};
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    expect_error(ErrorKind::kData, "lies.tokens", [&] { open_with(lies[i]); });
  }
}

TEST(TokenFile, ReadingAnIdAboveTheLargestIsAnError) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}});
  std::string content = read_file(path);
  content[sizeof(TokenFileHeader) + 1] = 1;  // the first id becomes 259
  const auto file = TokenFile::open(folder.file("b.tokens", content));
  expect_error(ErrorKind::kData, "id 259", [&] { all_ids(*file); });
}

TEST(TokenFile, OtherFilesAreNamed) {
  const TemporaryFolder folder;
  const std::string text = folder.file("a.txt", std::string(500, 'x'));
  expect_error(ErrorKind::kData, "a.txt is not a token file", [&] { TokenFile::open(text); });
  expect_error(ErrorKind::kData, "missing.tokens",
               [&] { TokenFile::open(folder.path() + "/missing.tokens"); });
}

TEST(TokenFileWriter, LeavesNothingWhenItIsNotPublished) {
  const TemporaryFolder folder;
  {
    TokenFileWriter writer(folder.path() + "/a.tokens", 2);
    writer.add(testing::counting(100));
  }
  EXPECT_TRUE(folder.names("").empty());
}

TEST(TokenFileWriter, KeepsTheOldFileWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{1, 2, 3}});
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error(ErrorKind::kCheckpoint, "a.tokens.tmp",
               [&] { write_tokens(path, {testing::counting(60000)}); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(folder.names(""), std::vector<std::string>{"a.tokens"});
  EXPECT_TRUE(TokenFile::open(path)->verify());
}

}  // namespace
}  // namespace moesaic
