// write_checkpoint FOLDER [DTYPE]: saves the content of tests/support/sample_checkpoint.h as step
// 100, for readers of other languages. DTYPE is that of the recipe: master (default) or bfloat16.
#include <cstdio>

#include "support/sample_checkpoint.h"

int main(int argc, char** argv) {
  using namespace moesaic;
  if (argc < 2 || argc > 3) return 2;
  try {
    const RankContext context = RankContext::single();
    const CheckpointStore store({.folder = argv[1], .dtype = argc == 3 ? argv[2] : "master"});
    store.save(context, 100, test::sample_content(context));
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return error.exit_code();
  }
}
