#include "data/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::vector<std::string> lines_of(const std::string& path) {
  InputFile file(path);
  std::vector<std::string> lines;
  for (std::string line; file.next_line(line, 3 << 20);) lines.push_back(line);
  return lines;
}

TEST(InputFile, SplitsLines) {
  const TemporaryFolder folder;
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of(folder.file("a", "")), Lines{});
  EXPECT_EQ(lines_of(folder.file("b", "x\n\ny\n")), (Lines{"x", "", "y"}));
  EXPECT_EQ(lines_of(folder.file("c", "x\ny")), (Lines{"x", "y"}));
  EXPECT_EQ(lines_of(folder.file("d", "\n")), (Lines{""}));
  EXPECT_EQ(lines_of(folder.file("e", "x\r\n\r\ny\rz\r\n")), (Lines{"x", "", "y\rz"}));
}

TEST(InputFile, LinesMayCrossBlocks) {
  const TemporaryFolder folder;
  const std::string one(1 << 20, 'a'), two((1 << 20) + 17, 'b'), three((2 << 20) - 1, 'c');
  const auto lines = lines_of(folder.file("a", one + "\n" + two + "\n" + three));
  EXPECT_TRUE(lines == (std::vector<std::string>{one, two, three}));
}

TEST(InputFile, TooLongLinesAreNumbered) {
  const TemporaryFolder folder;
  InputFile file(folder.file("a", "short\nlonger line\n"));
  std::string line;
  ASSERT_TRUE(file.next_line(line, 8));
  expect_error(ErrorKind::kData, "/a:2: a line of over 8 bytes", [&] { file.next_line(line, 8); });
}

// Idle calls come while the pipe is empty: the first one writes to it, the second one closes it.
TEST(InputFile, StandardInputMayKeepItsReaderWaiting) {
  const int saved = ::dup(STDIN_FILENO);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::dup2(ends[0], STDIN_FILENO);
  int idle = 0;
  {
    InputFile file(0.01, [&] {
      const bool done = ++idle == 1 ? ::write(ends[1], "a\nhalf", 6) == 6 : ::close(ends[1]) == 0;
      EXPECT_TRUE(done);
    });
    ::dup2(saved, STDIN_FILENO);
    ::close(saved);
    ::close(ends[0]);
    std::string line;
    ASSERT_TRUE(file.next_line(line, 8));
    EXPECT_EQ(line, "a");
    EXPECT_EQ(file.where(), "<stdin>:1");
    ASSERT_TRUE(file.next_line(line, 8));
    EXPECT_EQ(line, "half");
    EXPECT_FALSE(file.next_line(line, 8));
  }
  EXPECT_EQ(idle, 2);
}

class WithStandardInput {
 public:
  explicit WithStandardInput(const std::string& path) : saved_(::dup(STDIN_FILENO)) {
    const int fd = ::open(path.c_str(), O_RDONLY);
    ::dup2(fd, STDIN_FILENO);
    ::close(fd);
  }
  ~WithStandardInput() {
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

TEST(InputFile, ReadsAllOfStandardInput) {
  const TemporaryFolder folder;
  const std::string text = std::string(3 << 20, 'a') + "\nb\r\n";
  const WithStandardInput input(folder.file("a", text));
  EXPECT_TRUE(InputFile().rest(std::size_t{4} << 20) == text);
  ::lseek(STDIN_FILENO, 0, SEEK_SET);
  expect_error(ErrorKind::kData, "<stdin>: over 1000 bytes", [] { InputFile().rest(1000); });
}

TEST(InputFile, AFolderAsStandardInputIsNoEmptyText) {
  const TemporaryFolder folder;
  const WithStandardInput input(folder.path());
  std::string line;
  expect_error(ErrorKind::kData, "cannot read <stdin>: Is a directory",
               [] { InputFile().rest(1000); });
  expect_error(ErrorKind::kData, "cannot read <stdin>: Is a directory",
               [&] { InputFile().next_line(line, 1000); });
}

TEST(InputFile, GivesTheRestAsOneText) {
  const TemporaryFolder folder;
  const std::string text = "x\r\n" + std::string(3 << 20, 'y');
  InputFile file(folder.file("a", text));
  std::string line;
  ASSERT_TRUE(file.next_line(line, 8));
  EXPECT_TRUE(file.rest(4 << 20) == text.substr(3));
  EXPECT_EQ(file.rest(4 << 20), "");
  InputFile large(folder.path() + "/a");
  expect_error(ErrorKind::kData, "/a: over 1024 bytes", [&] { large.rest(1024); });
}

TEST(InputFile, LinesOfJsonAreNotReadFromCompressedOrWideText) {
  const TemporaryFolder folder;
  std::string line;
  for (const auto& [content, what] : std::vector<std::pair<std::string, std::string>>{
           {"\x1f\x8b\x08", "/a is gzip data"}, {{"\xff\xfe{\0", 4}, "/a is UTF-16"}}) {
    InputFile file(folder.file("a", content));
    expect_error(ErrorKind::kData, what, [&] { file.next_filled_line(line, 100); });
  }
}

TEST(InputFile, OnlyRegularFilesAreRead) {
  const TemporaryFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_error(ErrorKind::kData, "not a regular file", [&] { InputFile file(pipe); });
  expect_error(ErrorKind::kData, "not a regular file", [&] { InputFile file(folder.path()); });
  expect_error(ErrorKind::kData, "cannot read", [&] { InputFile file(folder.path() + "/no"); });
}

}  // namespace
}  // namespace moesaic
