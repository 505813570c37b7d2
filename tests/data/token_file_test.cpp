#include "data/token_file.h"

#include <signal.h>
#include <sys/resource.h>

#include "core/digest.h"
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

using Change = std::function<void(TokenFileHeader&)>;

// `content` with another header whose digest is right.
std::string with_header(const std::string& content, const Change& change) {
  TokenFileHeader header;
  std::memcpy(&header, content.data(), sizeof header);
  change(header);
  header.digest().copy(header.header_digest, sizeof header.header_digest);
  std::string changed = content;
  std::memcpy(changed.data(), &header, sizeof header);
  return changed;
}

// A header whose digest is right may lie all the same: it must not lead outside the file.
void expect_lies_are_errors(const TemporaryFolder& folder, const std::string& content,
                            const std::vector<Change>& lies) {
  EXPECT_NO_THROW(
      TokenFile::open(folder.file("lies.tokens", with_header(content, [](TokenFileHeader&) {}))));
  for (std::size_t i = 0; i < lies.size(); ++i) {
    SCOPED_TRACE(i);
    const std::string path = folder.file("lies.tokens", with_header(content, lies[i]));
    expect_error(ErrorKind::kData, "lies.tokens", [&] { TokenFile::open(path); });
  }
}

TEST(TokenFile, ConsistentLiesInTheHeaderAreErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}});
  expect_lies_are_errors(
      folder, read_file(path),
      {[](auto& h) { h.version = 0; }, [](auto& h) { h.version = 3; },
       [](auto& h) { h.id_bytes = 0; }, [](auto& h) { h.id_bytes = 8; }, [](auto& h) { h.ids = 0; },
       [](auto& h) { h.ids = 6; }, [](auto& h) { h.ids = 1ULL << 63U; },
       [](auto& h) { h.ids = ~std::uint64_t{0}; }, [](auto& h) { h.documents = 0; },
       [](auto& h) { h.documents = 1; }, [](auto& h) { h.max_id = 65536; },
       [](auto& h) { h.documents = ~std::uint64_t{0}; }, [](auto& h) { h.sections = 1; },
       [](auto& h) { h.version = 2, h.sections = 1; }, [](auto& h) { h.owners = 1; },
       [](auto& h) { h.version = 2, h.sections = 2; }, [](auto& h) { h.reserved = 1; },
       [](auto& h) { h.owner_name_bytes = 1; }});
}

std::vector<std::uint8_t> target_bits(const TokenFile& file, std::int64_t start,
                                      std::int64_t count) {
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(count));
  file.copy_target_bits(start, count, bits.data());
  return bits;
}

TEST(TokenFile, SaysOfEachIdWhetherItMayBeATarget) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  std::vector<std::uint8_t> bits(200);  // over more than one word of 64 bits
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = i % 3 == 0 || i > 190;
  write_tokens(path, {testing::counting(200), {1, 2}}, 2, {bits, {0, 1}});
  const auto file = TokenFile::open(path);
  bits.insert(bits.end(), {0, 1});
  ASSERT_TRUE(file->has_target_bits());
  EXPECT_EQ(target_bits(*file, 0, 202), bits);
  using Ranges = std::vector<std::pair<int, int>>;
  for (const auto& [start, count] :
       Ranges{{0, 202}, {0, 0}, {1, 64}, {63, 2}, {64, 64}, {5, 190}, {201, 1}, {202, 0}}) {
    EXPECT_EQ(file->targets(start, count),
              std::count(bits.begin() + start, bits.begin() + start + count, 1))
        << start << " " << count;
  }
  EXPECT_TRUE(file->verify());
}

TEST(TokenFile, WithoutTargetBitsEveryIdMayBeOne) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}});
  const auto file = TokenFile::open(path);
  EXPECT_FALSE(file->has_target_bits());
  EXPECT_EQ(file->targets(1, 3), 3);
  EXPECT_EQ(file->owners(), 0);
}

TEST(TokenFile, NamesTheOwnerOfEachDocument) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{1}, {2}, {3}, {4}}, 2, {}, {"eve", "bob", "eve", ""});
  const auto file = TokenFile::open(path);
  ASSERT_EQ(file->owners(), 3);
  std::vector<std::string> names, of_documents;
  for (int i = 0; i < 3; ++i) names.emplace_back(file->owner_name(i));
  for (int i = 0; i < 4; ++i) of_documents.emplace_back(file->owner_name(file->owner(i)));
  EXPECT_EQ(names, (std::vector<std::string>{"", "bob", "eve"}));
  EXPECT_EQ(of_documents, (std::vector<std::string>{"eve", "bob", "eve", ""}));
  EXPECT_FALSE(file->has_target_bits());
  EXPECT_TRUE(file->verify());
}

TEST(TokenFile, SectionsThatAreNotNeededAreNotThere) {
  const TemporaryFolder folder;
  const auto written = [&](const testing::TargetBits& bits, const testing::Owners& owners) {
    write_tokens(folder.path() + "/a.tokens", {{3, 1, 4}, {1, 5}}, 2, bits, owners);
    return read_file(folder.path() + "/a.tokens");
  };
  const std::string plain = written({}, {});
  EXPECT_EQ(plain.size(), 128U + 16 + 3 * 8);
  EXPECT_EQ(written({{1, 1, 1}, {1, 1}}, {}), plain);
  EXPECT_EQ(written({{1, 1, 1}, {1, 0}}, {}).size(), plain.size() + 8);
  EXPECT_EQ(written({}, {"a", "b"}).size(), plain.size() + 8 + 3 * 8 + 8);
}

// The file of the documents 3 1 4 | 1 5 as the program wrote it before there were sections.
std::string version_1() {
  std::string payload;
  const auto number = [](std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 255);
  };
  for (const int id : {3, 1, 4, 1, 5}) number(payload, static_cast<std::uint64_t>(id), 2);
  payload += std::string(6, '\0');
  for (const int start : {0, 3, 5}) number(payload, static_cast<std::uint64_t>(start), 8);
  std::string header = "MOESAICT";
  number(header, 1, 4);  // version
  number(header, 2, 4);  // bytes of an id
  number(header, 5, 8);  // ids
  number(header, 2, 8);  // documents
  number(header, 5, 8);  // largest id
  header += digest_of(payload) + std::string(24, '\0');
  return header + digest_of(header) + payload;
}

TEST(TokenFile, ReadsVersion1AndWritesItWhereNoSectionIsNeeded) {
  const TemporaryFolder folder;
  const auto file = TokenFile::open(folder.file("old.tokens", version_1()));
  EXPECT_EQ(all_ids(*file), (std::vector<std::int64_t>{3, 1, 4, 1, 5}));
  EXPECT_EQ(file->document_start(1), 3);
  EXPECT_TRUE(file->verify());
  write_tokens(folder.path() + "/new.tokens", {{3, 1, 4}, {1, 5}});
  EXPECT_EQ(read_file(folder.path() + "/new.tokens"), version_1());
}

TEST(TokenFile, EveryTruncationOfItsSectionsIsAnError) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}}, 2, {{1, 0, 1}, {1, 1}}, {"eve", "bob"});
  const std::string whole = read_file(path);
  ASSERT_EQ(whole.size(), 128U + 16 + 24 + 8 + 8 + 24 + 8);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = folder.file("cut.tokens", whole.substr(0, size));
    expect_error(ErrorKind::kData, "cut.tokens", [&] { TokenFile::open(cut); });
  }
}

TEST(TokenFile, ConsistentLiesAboutItsSectionsAreErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}}, 2, {{1, 0, 1}, {1, 1}}, {"eve", "bob"});
  expect_lies_are_errors(
      folder, read_file(path),
      {[](auto& h) { h.version = 1; }, [](auto& h) { h.sections = 0; },
       [](auto& h) { h.sections = 1; }, [](auto& h) { h.sections = 2; },
       [](auto& h) { h.sections = 7; }, [](auto& h) { h.reserved = 1; },
       [](auto& h) { h.ids = 1U << 20U; },  // the bits are too few
       [](auto& h) { h.owners = 0; }, [](auto& h) { h.owners = 1; }, [](auto& h) { h.owners = 3; },
       [](auto& h) { h.owners = ~std::uint64_t{0}; }, [](auto& h) { h.owner_name_bytes = 5; },
       [](auto& h) { h.owner_name_bytes = 7; }, [](auto& h) { h.owner_name_bytes = 0; },
       [](auto& h) { h.owner_name_bytes = ~std::uint64_t{0}; }});
}

// The sections of the file lie at 168 (bits), 176 (owners), 184 (offsets of the names 0 3 6), 208.
TEST(TokenFile, OwnersThatLeadNowhereAreErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  write_tokens(path, {{3, 1, 4}, {1, 5}}, 2, {{1, 0, 1}, {1, 1}}, {"eve", "bob"});
  const std::string whole = read_file(path);
  const auto refused = [&](std::size_t at, char value, const std::string& why) {
    std::string changed = whole;
    changed[at] = value;
    const std::string lie = folder.file("lie.tokens", changed);
    expect_error(ErrorKind::kData, "lie.tokens is damaged: " + why, [&] { TokenFile::open(lie); });
  };
  refused(176, 2, "document 1 has owner 2 of 2");
  refused(183, 1, "document 2 has owner 16777216 of 2");
  refused(184, 1, "name 1 of its owners begins at byte 1 of 6");
  refused(192, 7, "name 2 of its owners begins at byte 7 of 6");
  refused(200, 5, "name 3 of its owners begins at byte 5 of 6");
  refused(208, 'z', "name 2 is out of order");  // "zob", "eve"
  write_tokens(path, {{1}, {2}}, 2, {}, {"a", "b"});
  std::string twice = read_file(path);
  ASSERT_EQ(twice.rfind("ab"), twice.size() - 8);
  twice[twice.size() - 8] = 'b';
  const std::string lie = folder.file("twice.tokens", twice);
  expect_error(ErrorKind::kData, "twice.tokens is damaged: name 2 is out of order",
               [&] { TokenFile::open(lie); });
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
