#include "kernel_caches.h"

#include <cstdlib>
#include <initializer_list>

namespace moesaic::worker {

void bound_kernel_caches() {
  for (const char* name : {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"}) {
    ::setenv(name, "16", /*overwrite=*/0);  // what the user says goes first
  }
}

}  // namespace moesaic::worker
