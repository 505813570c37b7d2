#include "core/standard_streams.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

namespace moesaic {
namespace {

// What is done to descriptors is done to a child: `work` gives its exit code.
void expect_of_child(int exit_code, const std::string& on_stderr,
                     const std::function<int()>& work) {
  EXPECT_EXIT(std::_Exit(work()), testing::ExitedWithCode(exit_code), on_stderr);
}

bool is_null_device(int descriptor) {
  struct stat status {};
  struct stat null {};
  return ::fstat(descriptor, &status) == 0 && ::stat("/dev/null", &null) == 0 &&
         status.st_rdev == null.st_rdev && S_ISCHR(status.st_mode);
}

int told(const std::function<void()>& work) {
  try {
    work();
  } catch (const NoReader&) {
    return kExitNoReader;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}

void send_stdout_to(const char* path) { ::dup2(::open(path, O_WRONLY), STDOUT_FILENO); }

// A pipe that nobody reads.
void send_stdout_nowhere() {
  int ends[2];
  if (::pipe(ends) != 0) std::_Exit(99);
  ::dup2(ends[1], STDOUT_FILENO);
  ::close(ends[0]);
}

TEST(StandardStreams, ClosedOnesBecomeTheNullDevice) {
  for (int mask = 0; mask < 8; ++mask) {
    expect_of_child(0, "", [mask] {
      for (int descriptor = 0; descriptor < 3; ++descriptor) {
        if ((mask >> descriptor & 1) != 0) ::close(descriptor);
      }
      open_standard_streams();
      for (int descriptor = 0; descriptor < 3; ++descriptor) {
        const bool closed = (mask >> descriptor & 1) != 0;
        if (closed && !is_null_device(descriptor)) return 10 + descriptor;
        if (::fcntl(descriptor, F_GETFD) == -1) return 20 + descriptor;
      }
      char byte = 0;
      if ((mask & 1) != 0 && ::read(STDIN_FILENO, &byte, 1) != 0) return 30;
      if ((mask & 2) != 0 && ::write(STDOUT_FILENO, "x", 1) != 1) return 31;
      return 0;
    });
  }
}

TEST(StandardStreams, OutputThatIsNotWrittenIsAnErrorOfItsReason) {
  const std::string full = "cannot write <stdout>: No space left on device";
  expect_of_child(7, full, [] {
    send_stdout_to("/dev/full");
    std::puts("short: it fails when the buffer is written at last");
    return told(flush_stdout);
  });
  expect_of_child(7, full, [] {
    send_stdout_to("/dev/full");
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    std::puts("it fails at once, and only the mark of it is left");
    return told(flush_stdout);
  });
  expect_of_child(7, full, [] {
    send_stdout_to("/dev/full");
    const std::string text(1 << 20, 'x');
    return told([&] { write_stdout(text); });
  });
  expect_of_child(0, "", [] {
    send_stdout_to("/dev/null");
    std::puts("all is well");
    return told(flush_stdout);
  });
}

TEST(StandardStreams, AReaderThatIsGoneIsNoError) {
  for (const bool at_once : {false, true}) {
    expect_of_child(kExitNoReader, "^$", [at_once] {
      open_standard_streams();
      send_stdout_nowhere();
      if (at_once) std::setvbuf(stdout, nullptr, _IONBF, 0);
      std::puts("nobody reads this");
      return told(flush_stdout);
    });
  }
  expect_of_child(kExitNoReader, "^$", [] {
    open_standard_streams();
    send_stdout_nowhere();
    const std::string text(1 << 20, 'x');
    return told([&] { write_stdout(text); });
  });
}

TEST(StandardStreams, AnErrorOfAWriteNamesItsFile) {
  EXPECT_THROW(throw_write_error("a", EPIPE), NoReader);
  try {
    throw_write_error("out.jsonl", EIO);
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), std::string("cannot write out.jsonl: Input/output error"));
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
  }
}

}  // namespace
}  // namespace moesaic
