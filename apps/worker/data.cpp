#include "verbs.h"

namespace moesaic::worker {

void add_data(CLI::App&, int&) {}

}  // namespace moesaic::worker
