#include "data/parallel_encoder.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

namespace moesaic {
namespace {

constexpr std::size_t kBytesPerThread = 256 << 10;  // for less a thread is not worth its start

}  // namespace

ParallelEncoder::ParallelEncoder(const Tokenizer& tokenizer, int threads)
    : tokenizer_(tokenizer),
      threads_(threads > 0 ? static_cast<std::size_t>(threads)
                           : std::max(1U, std::thread::hardware_concurrency())) {}

void ParallelEncoder::for_each(std::size_t count, std::size_t bytes, const Work& work) {
  const std::size_t helpers =
      std::min({threads_, count, bytes / kBytesPerThread + 1}) - (count == 0 ? 0 : 1);
  while (clones_.size() < helpers) clones_.push_back(tokenizer_.clone());

  std::vector<std::exception_ptr> errors(count);
  std::atomic<std::size_t> next = 0;
  const auto work_on = [&](const Tokenizer& tokenizer) {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(tokenizer, i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;  // joined at the end of the block
    for (std::size_t i = 0; i < helpers; ++i)
      threads.emplace_back([&, i] { work_on(*clones_[i]); });
    work_on(tokenizer_);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace moesaic
