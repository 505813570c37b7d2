#include "data/corpus.h"

#include <functional>
#include <memory>

#include "data/folder_lock.h"
#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::silent;
using testing::TemporaryFolder;
using Ids = std::vector<std::int64_t>;

std::string build(const TemporaryFolder& folder, const std::string& pattern,
                  const std::string& kind) {
  return build_token_file({.path = folder.path() + "/" + pattern, .format = kind},
                          *byte_tokenizer(), folder.path() + "/cache", silent())
      .file.path;
}

Ids ids_in(const std::string& path) {
  const auto file = TokenFile::open(path);
  Ids ids(static_cast<std::size_t>(file->ids()));
  file->copy_ids(0, file->ids(), ids.data());
  return ids;
}

std::filesystem::file_time_type written(const std::string& path) {
  return std::filesystem::last_write_time(path);
}

TEST(BuildTokenFile, TextFilesAreDocumentsInOrderOfTheirNames) {
  const TemporaryFolder folder;
  folder.file("b.txt", "yz");
  folder.file("a.txt", "x\n");
  folder.file("empty.txt", "");
  const auto path = build(folder, "*.txt", "text");
  EXPECT_EQ(ids_in(path), (Ids{'x', '\n', 256, 'y', 'z', 256}));
  EXPECT_EQ(TokenFile::open(path)->documents(), 2);
  EXPECT_EQ(TokenFile::open(path)->header().id_bytes, 2U);
}

TEST(BuildTokenFile, TextIsTakenAsBytes) {
  const TemporaryFolder folder;
  folder.file("a.txt", std::string("\xff\x00\xc3(\r\n", 6));
  EXPECT_EQ(ids_in(build(folder, "a.txt", "text")), (Ids{255, 0, 0xc3, '(', '\r', '\n', 256}));
}

TEST(BuildTokenFile, TextLargerThanABlockIsWhole) {
  const TemporaryFolder folder;
  std::string text((1 << 20) + 12345, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 % 251);
  folder.file("a.txt", text);
  const auto ids = ids_in(build(folder, "a.txt", "text"));
  ASSERT_EQ(ids.size(), text.size() + 1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    ASSERT_EQ(ids[i], static_cast<unsigned char>(text[i])) << i;
  }
}

TEST(BuildTokenFile, JsonlLinesAreDocuments) {
  const TemporaryFolder folder;
  folder.file("a.jsonl",
              "{\"text\": \"ab\", \"id\": 1}\n\n  \r\n{\"text\": \"\"}\n{\"text\": \"c\"}");
  const auto path = build(folder, "a.jsonl", "jsonl");
  EXPECT_EQ(ids_in(path), (Ids{'a', 'b', 256, 'c', 256}));
  EXPECT_EQ(TokenFile::open(path)->documents(), 2);
}

TEST(BuildTokenFile, JsonlErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  folder.file("a.jsonl", "{\"text\": \"ab\"}\n\n{\"txt\": \"c\"}\n");
  expect_error(ErrorKind::kData, "/a.jsonl:3: key \"text\" is missing",
               [&] { build(folder, "a.jsonl", "jsonl"); });
  folder.file("b.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"\xff\"}\n");
  expect_error(ErrorKind::kData, "/b.jsonl:2: invalid JSON",
               [&] { build(folder, "b.jsonl", "jsonl"); });
  EXPECT_EQ(folder.names("cache"), std::vector<std::string>{".lock"});  // nothing half made
}

TEST(BuildTokenFile, OwnersComeFromTheLines) {
  const TemporaryFolder folder;
  folder.file("a.jsonl",
              "{\"text\": \"ab\", \"user\": \"zoe\"}\n{\"text\": \"\", \"user\": \"eve\"}\n"
              "{\"ids\": [1], \"text\": \"c\", \"user\": 7}\n{\"text\": \"d\", \"user\": \"zoe\"}");
  const BuiltSource built =
      build_token_file({.path = folder.path() + "/a.jsonl", .format = "jsonl"}, *byte_tokenizer(),
                       folder.path() + "/cache", silent(), {.owners = true});
  const auto file = TokenFile::open(built.file.path);
  ASSERT_EQ(file->documents(), 3);
  ASSERT_EQ(file->owners(), 2);
  std::string owners;
  for (std::int64_t i = 0; i < 3; ++i)
    owners += std::string(file->owner_name(file->owner(i))) + " ";
  EXPECT_EQ(owners, "zoe 7 zoe ");
  EXPECT_NE(build(folder, "a.jsonl", "jsonl"), built.file.path);  // without owners another file
}

TEST(BuildTokenFile, TokensAreTakenAsTheyAre) {
  const TemporaryFolder folder;
  folder.file("a.jsonl", "{\"ids\": [5, 70000]}\n{\"ids\": []}\n{\"ids\": [6]}\n");
  const auto path = build(folder, "a.jsonl", "tokens");
  EXPECT_EQ(ids_in(path), (Ids{5, 70000, 6}));
  EXPECT_EQ(TokenFile::open(path)->max_id(), 70000);
  folder.file("b.jsonl", "{\"ids\": [5]}\n{\"ids\": [5, -1]}\n");
  expect_error(ErrorKind::kData, "/b.jsonl:2: \"ids\"[1] is -1",
               [&] { build(folder, "b.jsonl", "tokens"); });
}

TEST(BuildTokenFile, EmptyCorporaAreErrors) {
  const TemporaryFolder folder;
  folder.file("a.txt", "");
  folder.file("b.txt", "");
  expect_error(ErrorKind::kData, "a.txt and 1 more file", [&] { build(folder, "*.txt", "text"); });
  expect_error(ErrorKind::kData, "a.txt", [&] { build(folder, "a.txt", "jsonl"); });
}

TEST(BuildTokenFile, UnknownFormatsGetTheNearestName) {
  const TemporaryFolder folder;
  folder.file("a.txt", "x");
  try {
    build(folder, "a.txt", "json");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(error.hint().find("jsonl"), std::string::npos);
  }
}

TEST(BuildTokenFile, TheSecondTimeTheCachedFileIsUsed) {
  const TemporaryFolder folder;
  folder.file("a.txt", "hello");
  const auto path = build(folder, "a.txt", "text");
  const auto first = written(path);
  EXPECT_EQ(build(folder, "a.txt", "text"), path);
  EXPECT_EQ(written(path), first);
  folder.file("moved/b.txt", "hello");
  EXPECT_EQ(build(folder, "moved/b.txt", "text"), path);
  folder.file("a.txt", "hellp");
  EXPECT_NE(build(folder, "a.txt", "text"), path);
}

TEST(BuildTokenFile, TellsThatItGoesOnWhileItReadsTokenisesAndWaits) {
  const TemporaryFolder folder;
  folder.file("a.txt", "abc");
  const std::string cache = folder.path() + "/cache";
  int signs = 0;
  const auto signs_after = [&](const std::function<void()>& alive) {
    build_token_file({.path = folder.path() + "/a.txt"}, *byte_tokenizer(), cache, silent(), {},
                     alive);
    return signs;
  };
  const int whole = signs_after([&] { ++signs; });
  EXPECT_GE(whole, 2);  // a block is read, a block is tokenised
  const int cached = signs_after([&] { ++signs; }) - whole;
  EXPECT_GE(cached, 1);
  EXPECT_LT(cached, whole);
  auto other_job = std::make_unique<FolderLock>(cache, silent());
  signs_after([&] { other_job.reset(); });
  EXPECT_EQ(other_job, nullptr);  // else it waits for ever
}

TEST(BuildTokenFile, TheKeySeesFormatAndHowTextIsSplitIntoFiles) {
  const TemporaryFolder folder;
  folder.file("one/a.txt", "{\"text\": \"x\", \"ids\": [1, 2]}\n");
  const auto text = build(folder, "one/a.txt", "text");
  EXPECT_NE(build(folder, "one/a.txt", "jsonl"), text);
  EXPECT_NE(build(folder, "one/a.txt", "tokens"), text);
  folder.file("two/a.txt", "{\"text\": \"x\", ");
  folder.file("two/b.txt", "\"ids\": [1, 2]}\n");
  EXPECT_NE(build(folder, "two/*.txt", "text"), text);
}

TEST(BuildTokenFile, ADamagedCachedFileIsBuiltAgain) {
  const TemporaryFolder folder;
  folder.file("a.txt", "hello");
  const auto path = build(folder, "a.txt", "text");
  const std::string whole = read_file(path);
  std::string flipped = whole;
  flipped[sizeof(TokenFileHeader)] ^= 1;  // the first id
  for (const std::string& damaged :
       {flipped, whole.substr(0, whole.size() - 1), std::string("x"), std::string()}) {
    write_file_atomic(path, damaged);
    EXPECT_EQ(build(folder, "a.txt", "text"), path);
    EXPECT_EQ(read_file(path), whole);
  }
}

TEST(BuildTokenFile, ATokenFileIsASourceOfItsOwn) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a.tokens";
  testing::write_tokens(path, {{1, 2, 3}});
  EXPECT_EQ(build(folder, "a.tokens", "tokens"), path);
  EXPECT_EQ(build(folder, "*.tokens", "tokens"), path);
  testing::write_tokens(folder.path() + "/b.tokens", {{1, 2, 3}});
  expect_error(ErrorKind::kData, "matches 2 files", [&] { build(folder, "*.tokens", "tokens"); });
  std::string damaged = read_file(path);
  damaged[sizeof(TokenFileHeader)] ^= 1;
  write_file_atomic(path, damaged);
  expect_error(ErrorKind::kData, "a.tokens is damaged",
               [&] { build(folder, "a.tokens", "tokens"); });
}

TEST(BuildTokenFile, AutoGoesByWhatTheFilesHold) {
  const TemporaryFolder folder;
  folder.file("a.JSONL", "{\"text\": \"ab\"}\r\n{\"text\": \"c\"}\r\n");
  const auto path = build(folder, "a.JSONL", "auto");
  EXPECT_EQ(ids_in(path), (Ids{'a', 'b', 256, 'c', 256}));
  EXPECT_EQ(build(folder, "a.JSONL", "jsonl"), path);  // one file for both names of the format
  folder.file("b.jsonl", "{\"ids\": [5, 6]}\n");
  EXPECT_EQ(ids_in(build(folder, "b.jsonl", "auto")), (Ids{5, 6}));
  const std::string tokens = folder.path() + "/c.bin";
  testing::write_tokens(tokens, {{1, 2, 3}});
  EXPECT_EQ(build(folder, "c.bin", "auto"), tokens);
  folder.file("d.jsonl", "prose\n");
  expect_error(ErrorKind::kData, "/d.jsonl:1: invalid JSON",
               [&] { build(folder, "d.jsonl", "auto"); });
}

TEST(BuildTokenFile, TextThatIsNoUtf8IsRefusedByATokenizerOfText) {
  const TemporaryFolder folder;
  folder.file("tokenizer.json",
              R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  const auto tokenizer = make_tokenizer(folder.path() + "/tokenizer.json");
  const auto with = [&](const std::string& text) {
    const std::string path = folder.file("a.txt", text);
    return build_token_file({.path = path}, *tokenizer, folder.path() + "/cache", silent())
        .file.path;
  };
  EXPECT_EQ(ids_in(with("abba")), (Ids{0, 1, 1, 0}));
  expect_error(ErrorKind::kData, "/a.txt: the byte 0xe9 at offset 3 is not valid UTF-8",
               [&] { with("abb\xe9 a"); });
  EXPECT_EQ(folder.names("cache").size(), 2U);  // the lock and the whole one
}

TEST(BuildTokenFile, AFolderThatCannotBeWrittenIsNamed) {
  const TemporaryFolder folder;
  folder.file("a.txt", "x");
  folder.file("cache", "a file where the folder should be");
  expect_error(ErrorKind::kCheckpoint, "/cache", [&] { build(folder, "a.txt", "text"); });
}

TEST(BuildOutput, WritesOneFileOfAllInputs) {
  const TemporaryFolder folder;
  const std::string a = folder.file("a.jsonl", "{\"text\": \"a\"}\n");
  const std::string b = folder.file("b.jsonl", "{\"text\": \"b\"}\n");
  const std::string output = folder.path() + "/out.tokens";
  const Json made = build_output({.inputs = {b, a}, .format = "jsonl", .output = output}, silent());
  EXPECT_EQ(made.at("ids"), 4);
  EXPECT_EQ(ids_in(output), (Ids{'b', 256, 'a', 256}));
  EXPECT_EQ(made.at("first_text"), "ba");
  const Json again = build_output({.inputs = {b, a}, .output = output}, silent());
  EXPECT_EQ(again.at("digest"), made.at("digest")) << "the files say that they are jsonl";
}

TEST(BuildOutput, RefusesWhatItCannotDo) {
  const TemporaryFolder folder;
  const std::string a = folder.file("a.txt", "x");
  const std::string tokens = folder.path() + "/t.tokens";
  testing::write_tokens(tokens, {{1, 2, 3}});
  const auto with = [](std::vector<std::string> inputs, const std::string& output) {
    return [=] { build_output({.inputs = inputs, .output = output}, silent()); };
  };
  expect_error(ErrorKind::kUsage, "must end in .tokens", with({a}, a));
  expect_error(ErrorKind::kUsage, "no input files", with({}, tokens));
  expect_error(ErrorKind::kData, "tokenised already", with({tokens}, tokens));
  const std::string renamed = folder.path() + "/t.bin";
  testing::write_tokens(renamed, {{1, 2, 3}});
  expect_error(ErrorKind::kData, "tokenised already", with({renamed}, tokens));
  EXPECT_TRUE(TokenFile::open(tokens)->verify());
  const std::string lines = folder.file("lines.tokens", "{\"ids\": [1, 2]}\n");
  expect_error(ErrorKind::kUsage, "which is the input", with({lines}, lines));
}

}  // namespace
}  // namespace moesaic
