#include "cli/stacks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/format.h"

namespace moesaic::cli {
namespace {

TEST(StackReader, SaysWhatTheKernelKnowsWithoutADebugger) {
  const std::string text = StackReader(0).read(::getpid());
  EXPECT_NE(text.find("State:"), std::string::npos) << text;
  EXPECT_NE(text.find(format("thread {}: State:", ::getpid())), std::string::npos) << text;
  EXPECT_NE(text.find("debugger"), std::string::npos) << text;
}

TEST(StackReader, AProcessThatIsGoneIsNoError) {
  EXPECT_NO_THROW(StackReader(0).read(1 << 30));
}

}  // namespace
}  // namespace moesaic::cli
