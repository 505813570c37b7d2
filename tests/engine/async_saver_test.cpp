// What it does on several ranks is in tests/mpi/async_saver_test.cpp.
#include "engine/async_saver.h"

#include <gtest/gtest.h>

#include "comm/single.h"
#include "core/error.h"

namespace moesaic {
namespace {

class OneThreadBackend : public SingleBackend {
 public:
  OneThreadBackend() : SingleBackend("world") {}
  bool serves_threads() const override { return false; }
};

TEST(AsyncSaver, IsRefusedWhereMpiServesOneThreadOnly) {
  RankContext context = RankContext::single();
  context.world = Communicator(std::make_shared<OneThreadBackend>());
  try {
    AsyncSaver saver(context, [](const auto&, auto, const auto&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    EXPECT_NE(std::string(error.what()).find("MPI_THREAD_MULTIPLE"), std::string::npos);
    EXPECT_NE(error.hint().find("checkpoint.async: false"), std::string::npos);
  }
}

}  // namespace
}  // namespace moesaic
