#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "core/digest.h"
#include "core/divisors.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/json.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path;
  Folder() {
    std::string name = fs::temp_directory_path() / "moesaic-core-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
};

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Nearest, FindsTypingMistakesAndNothingElse) {
  const std::vector<std::string> names = {"max_steps", "micro_batch_size", "precision"};
  EXPECT_EQ(nearest("max_step", names), "max_steps");
  EXPECT_EQ(nearest("percision", names), "precision");
  EXPECT_EQ(nearest("banana", names), "");
}

TEST(ErrorKind, IsAnExitCodeWithANameOfItsOwn) {
  std::set<std::string> names;
  for (int code = 2; code <= 9; ++code) {
    ASSERT_TRUE(kind_of(code)) << code;
    EXPECT_EQ(Error(*kind_of(code), "").exit_code(), code);
    EXPECT_TRUE(names.insert(name_of(*kind_of(code))).second) << name_of(*kind_of(code));
  }
  EXPECT_EQ(Error(ErrorKind::kBudget, "").exit_code(), 9);
  EXPECT_EQ(name_of(ErrorKind::kBudget), std::string("budget"));
  for (const int code : {-1, 0, 1, 10, kExitStopped}) EXPECT_FALSE(kind_of(code)) << code;
}

TEST(CommonDivisors, DivideBothNumbers) {
  using Sizes = std::vector<std::int64_t>;
  EXPECT_EQ(common_divisors(12, 8), (Sizes{1, 2, 4}));
  EXPECT_EQ(common_divisors(6, 0), (Sizes{1, 2, 3, 6}));
  EXPECT_EQ(common_divisors(5, 7), Sizes{1});
}

TEST(ParseJson, RefusesWhatALenientReaderWouldAccept) {
  EXPECT_NE(message_of([] { parse_json("{\"a\": 1, \"a\": 2}", "x"); }).find("duplicate key 'a'"),
            std::string::npos);
  EXPECT_NE(message_of([] { parse_json(std::string(100000, '['), "x"); }).find("deeper"),
            std::string::npos);
  EXPECT_NE(message_of([] { parse_json("{\"a\": \"\xff\"}", "x"); }).find("invalid JSON"),
            std::string::npos);
  EXPECT_NE(message_of([] { parse_json("{\"a\": 1", "here"); }).find("here"), std::string::npos);
  EXPECT_EQ(parse_json("{\"b\": 1, \"a\": [2, {}]}", "x").dump(), "{\"b\":1,\"a\":[2,{}]}");
  const std::string gap = "[1," + std::string(5000, '\n');
  EXPECT_NE(message_of([&] {
              parse_json(gap, "x", ErrorKind::kData, {.token = 1000});
            }).find("a piece of JSON of more than 1000 bytes"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              parse_json("{\"a\":1,\"b\":2}", "x", ErrorKind::kData, {.members = 1});
            }).find("more than 1 keys"),
            std::string::npos);
}

TEST(WriteFileAtomic, ReplacesTheWholeContent) {
  const Folder folder;
  const std::string path = folder.path / "file";
  write_file_atomic(path, "first and longer");
  write_file_atomic(path, "second");
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 1);
}

TEST(WriteFileAtomic, LeavesWhatIsNoRegularFileInItsPlace) {
  const Folder folder;
  const std::string pipe = folder.path / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  fs::create_directory(folder.path / "folder");
  fs::create_symlink("/dev/null", folder.path / "device");
  for (const char* name : {"pipe", "folder", "device"}) {
    const std::string path = folder.path / name;
    const auto before = fs::symlink_status(path).type();
    EXPECT_NE(message_of([&] { write_file_atomic(path, "x"); }).find("cannot write " + path),
              std::string::npos);
    EXPECT_EQ(fs::symlink_status(path).type(), before);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path), {}), 3);  // and no leftovers
}

TEST(WriteFileAtomic, ReplacesALinkToAFileAndOneThatPointsNowhere) {
  const Folder folder;
  write_file_atomic(folder.path / "file", "old");
  fs::create_symlink("file", folder.path / "link");
  fs::create_symlink("gone", folder.path / "dangling");
  for (const char* name : {"link", "dangling"}) {
    write_file_atomic(folder.path / name, "new");
    EXPECT_EQ(read_file(folder.path / name), "new");
  }
  EXPECT_EQ(read_file(folder.path / "file"), "old");
}

TEST(ReadFile, NamesThePathAndHasABound) {
  const Folder folder;
  EXPECT_NE(message_of([&] { read_file(folder.path / "none"); }).find("none"), std::string::npos);
  EXPECT_NE(message_of([&] { read_file(folder.path); }).find("folder"), std::string::npos);
  write_file_atomic(folder.path / "file", "0123456789");
  EXPECT_NE(
      message_of([&] { read_file(folder.path / "file", ErrorKind::kData, 5); }).find("10 bytes"),
      std::string::npos);
}

TEST(PointLink, MovesAtomically) {
  const Folder folder;
  point_link(folder.path / "latest", "a");
  point_link(folder.path / "latest", "b");
  EXPECT_EQ(fs::read_symlink(folder.path / "latest"), "b");
}

TEST(Digest, IsXxh3OfTheBytesHoweverTheyCome) {
  EXPECT_EQ(digest_of(""),
            "99aa06d3014798d86001c324468d497f");  // published value of XXH3-128 of nothing
  EXPECT_EQ(Digest().update("ab").update("c").hex(), digest_of("abc"));
  EXPECT_NE(digest_of("abc"), digest_of("abd"));
}

TEST(MappedFile, ShowsTheBytesAndAcceptsAnEmptyFile) {
  const Folder folder;
  write_file_atomic(folder.path / "file", "bytes");
  write_file_atomic(folder.path / "empty", "");
  EXPECT_EQ(MappedFile(folder.path / "file").bytes(), "bytes");
  EXPECT_EQ(MappedFile(folder.path / "empty").bytes(), "");
}

}  // namespace
}  // namespace moesaic
