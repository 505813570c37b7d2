#include "parallel/threads.h"

#include <ATen/Parallel.h>

#include <algorithm>

#ifndef _OPENMP
#error "without -fopenmp at::parallel_for is a plain loop"
#endif

namespace moesaic {

void on_threads(std::int64_t count, std::int64_t grain,
                const std::function<void(std::int64_t first, std::int64_t last)>& work) {
  const std::int64_t blocks = (count + grain - 1) / grain;
  at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    work(first * grain, std::min(last * grain, count));
  });
}

}  // namespace moesaic
