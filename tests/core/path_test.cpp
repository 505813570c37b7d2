#include "core/path.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "core/file_lock.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/text_list.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

class PathTest : public testing::Test {
 protected:
  PathTest() {
    std::string pattern = (fs::temp_directory_path() / "path-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    write_file_atomic(at("file"), "12345");
    make_folder(at("folder/inner"));
    fs::create_symlink("nothing", at("dangling"));
    fs::create_symlink("circle", at("circle"));
    fs::create_symlink("folder", at("link"));
  }
  ~PathTest() override { fs::remove_all(folder_); }

  std::string at(const std::string& name) const { return folder_ + "/" + name; }

  static std::string error_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::string folder_;
};

TEST_F(PathTest, SaysWhatIsThere) {
  EXPECT_EQ(what_is_at(at("file")), PathKind::kFile);
  EXPECT_EQ(what_is_at(at("link")), PathKind::kFolder);
  EXPECT_EQ(what_is_at("/dev/null"), PathKind::kOther);
  for (const char* name : {"nowhere", "dangling", "file/below", ""})
    EXPECT_EQ(what_is_at(name[0] == '\0' ? name : at(name)), PathKind::kNothing) << name;
  EXPECT_TRUE(entry_exists(at("dangling")));
  EXPECT_FALSE(entry_exists(at("nowhere")));
  EXPECT_EQ(link_target(at("link")), "folder");
  EXPECT_EQ(link_target(at("file")), "");
  EXPECT_EQ(file_size(at("file")), 5U);
  EXPECT_EQ(names_in(folder_),
            (std::vector<std::string>{"circle", "dangling", "file", "folder", "link"}));
}

// Every question gives an Error, whatever std::filesystem would have thrown.
TEST_F(PathTest, OfWhichTheSystemCannotTellIsAnError) {
  const std::string too_long = at(std::string(300, 'x'));
  const std::string very_long = at(std::string(5000, 'x'));
  for (const std::string& path : {too_long, very_long, at("circle"), at("circle/x")}) {
    for (const std::function<void()>& question : std::vector<std::function<void()>>{
             [&] { what_is_at(path); }, [&] { path_exists(path); }, [&] { names_in(path); },
             [&] { file_size(path); }, [&] { read_file(path); }, [&] { make_folder(path); }}) {
      EXPECT_NE(error_of(question), "") << path.size();
    }
  }
  EXPECT_LT(error_of([&] { what_is_at(very_long); }).size(), 400U);  // readable
  EXPECT_NE(error_of([&] { names_in(at("nowhere")); }), "");
}

TEST_F(PathTest, OfALinkToNothingIsNamedWithWhereItLeads) {
  EXPECT_NE(error_of([&] { read_file(at("dangling")); }).find("a link to nothing, which"),
            std::string::npos);
}

TEST_F(PathTest, KnowsWhatLiesInWhat) {
  EXPECT_EQ(canonical_path(at("link/inner/")), canonical_path(at("folder/inner")));
  EXPECT_EQ(canonical_path(at("folder/../nowhere")), canonical_path(at("nowhere")));
  EXPECT_TRUE(lies_in("/a/b", "/a"));
  EXPECT_TRUE(lies_in("/a", "/a"));
  EXPECT_TRUE(lies_in("/a", "/"));
  EXPECT_FALSE(lies_in("/ab", "/a"));
  EXPECT_EQ(file_name("a/b/c"), "c");
}

TEST_F(PathTest, RemovesATreeAndNoLinkedOne) {
  remove_tree(at("link"));
  EXPECT_TRUE(is_folder(at("folder/inner")));
  remove_tree(at("folder"));
  remove_tree(at("folder"));
  EXPECT_FALSE(path_exists(at("folder")));
}

TEST_F(PathTest, LocksAFileOrAFolderForOneAtATime) {
  for (const char* name : {"lock", "folder"}) {
    FileLock first(at(name), FileLock::Wait::kNo);
    EXPECT_EQ(first.error(), 0);
    EXPECT_TRUE(first.is_at(at(name)));
    EXPECT_TRUE(FileLock(at(name), FileLock::Wait::kNo).is_taken());
    fs::rename(at(name), at("moved"));
    EXPECT_FALSE(first.is_at(at(name)));
    first = FileLock();
    EXPECT_EQ(FileLock(at("moved"), FileLock::Wait::kNo).error(), 0);
    fs::rename(at("moved"), at(name));
  }
  const FileLock nowhere(at("nowhere/lock"), FileLock::Wait::kNo);
  EXPECT_FALSE(nowhere.is_open());
  EXPECT_FALSE(nowhere.is_taken());
  EXPECT_EQ(nowhere.error(), ENOENT);
}

TEST_F(PathTest, KnowsTheFolderOfTheProgramThatRuns) {
  EXPECT_TRUE(is_file(program_folder() + "/" + file_name(link_target("/proc/self/exe"))));
  EXPECT_TRUE(program_folder().starts_with("/"));
}

TEST(TextList, GivesBackAnyBytesButZero) {
  for (const std::vector<std::string>& texts :
       {std::vector<std::string>{}, {""}, {"a", "", "\xff\n/b"}, {"a"}}) {
    EXPECT_EQ(unpack_texts(pack_texts(texts)), texts);
  }
}

TEST(JsonText, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(json_text({{"path", "a\xff"}}), "{\"path\":\"a\xef\xbf\xbd\"}");
  EXPECT_EQ(json_text({{"a", 1}}, 1), "{\n \"a\": 1\n}");
}

}  // namespace
}  // namespace moesaic
