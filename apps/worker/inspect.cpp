#include "verbs.h"

namespace moesaic::worker {

void add_inspect(CLI::App&, int&) {}

}  // namespace moesaic::worker
