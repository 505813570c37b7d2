#include "data/parallel_encoder.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <numeric>
#include <thread>

namespace moesaic {
namespace {

constexpr std::size_t kBytesPerThread = 256 << 10;  // for less a thread is not worth its start

}  // namespace

ParallelEncoder::ParallelEncoder(const Tokenizer& tokenizer, int threads)
    : tokenizer_(tokenizer),
      threads_(threads > 0 ? static_cast<std::size_t>(threads)
                           : std::max(1U, std::thread::hardware_concurrency())) {}

std::vector<std::vector<std::uint32_t>> ParallelEncoder::encode(
    const std::vector<std::string>& texts) {
  const std::size_t bytes =
      std::transform_reduce(texts.begin(), texts.end(), std::size_t{0}, std::plus<>(),
                            [](const std::string& text) { return text.size(); });
  const std::size_t helpers =
      std::min({threads_, texts.size(), bytes / kBytesPerThread + 1}) - (texts.empty() ? 0 : 1);
  while (clones_.size() < helpers) clones_.push_back(tokenizer_.clone());

  std::vector<std::vector<std::uint32_t>> ids(texts.size());
  std::vector<std::exception_ptr> errors(texts.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&](const Tokenizer& tokenizer) {
    for (std::size_t i = next++; i < texts.size(); i = next++) {
      try {
        tokenizer.encode(texts[i], ids[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;  // joined at the end of the block
    for (std::size_t i = 0; i < helpers; ++i) threads.emplace_back([&, i] { work(*clones_[i]); });
    work(tokenizer_);
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return ids;
}

}  // namespace moesaic
