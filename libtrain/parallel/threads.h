// Loops on the threads of this rank.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace moesaic {

/// Calls work(first, last) for parts of [0, count) that together are all of it, each on one thread.
/// A part begins at a multiple of `grain`, whatever the number of threads: a loop whose results
/// depend on nothing outside of their block of `grain` has the same bits on any number of them.
/// Within `work` operations of LibTorch and other such loops stay on the thread they are on; there
/// are no gradients to record, and MPI is not called.
void on_threads(std::int64_t count, std::int64_t grain,
                const std::function<void(std::int64_t first, std::int64_t last)>& work);

/// The grain of items that cost so many simple operations each: what is worth the meeting of
/// threads.
inline std::int64_t worth_a_thread(std::int64_t operations) {
  constexpr std::int64_t kOperations = 1 << 14;
  return std::max<std::int64_t>(1, kOperations / std::max<std::int64_t>(1, operations));
}

}  // namespace moesaic
