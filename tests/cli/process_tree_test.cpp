#include "cli/process_tree.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace moesaic::cli {
namespace {

// A child with a child of its own, neither of which ends by SIGTERM. Waits until both are there.
pid_t stubborn_family() {
  int ready[2];
  EXPECT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGTERM, SIG_IGN);
    ::fork();
    [[maybe_unused]] const auto told = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char got[2];
  for (int i = 0; i < 2; ++i) EXPECT_EQ(::read(ready[0], got, 1), 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return child;
}

TEST(ProcessTree, EndsAProcessAndWhatComesFromIt) {
  adopt_orphans();
  const pid_t child = stubborn_family();
  const auto family = descendants(child);
  ASSERT_EQ(family.size(), 1U);
  EXPECT_EQ(family[0].parent, child);
  ::kill(family[0].pid, SIGSTOP);
  end_tree(child, 0.1);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, WNOHANG), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(process_info(family[0].pid));
}

TEST(ProcessTree, OrphansAreEndedToo) {
  adopt_orphans();
  const pid_t child = stubborn_family();
  const pid_t orphan = descendants(child).at(0).pid;
  ::kill(child, SIGKILL);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  ASSERT_TRUE(process_info(orphan));
  EXPECT_EQ(end_leftovers(), 0U);
  EXPECT_FALSE(process_info(orphan));
}

TEST(ProcessTree, KnowsAStoppedProcess) {
  const pid_t child = ::fork();
  if (child == 0)
    for (;;) ::pause();
  ::kill(child, SIGSTOP);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, WUNTRACED), child);
  EXPECT_TRUE(process_info(child)->is_stopped());
  EXPECT_EQ(process_info(child)->parent, ::getpid());
  EXPECT_EQ(end_leftovers(), 0U);
}

}  // namespace
}  // namespace moesaic::cli
