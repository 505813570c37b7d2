#include "parallel/threads.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "parallel/initial_values.h"
#include "parallel/quantised_weight.h"
#include "support/threads_for.h"

namespace moesaic {
namespace {

struct Part {
  std::int64_t first, last;
  std::thread::id thread;
};

std::vector<Part> parts_of(std::int64_t count, std::int64_t grain) {
  std::vector<Part> parts;
  std::mutex mutex;
  on_threads(count, grain, [&](std::int64_t first, std::int64_t last) {
    const std::lock_guard lock(mutex);
    parts.push_back({first, last, std::this_thread::get_id()});
  });
  std::sort(parts.begin(), parts.end(), [](auto& a, auto& b) { return a.first < b.first; });
  return parts;
}

TEST(OnThreads, SharesTheWorkAtMultiplesOfTheGrain) {
  const ThreadsFor two(2);
  for (const std::int64_t count : {1, 7, 8, 9, 100, 1000}) {
    const std::vector<Part> parts = parts_of(count, 8);
    EXPECT_EQ(parts.size(), count > 8 ? 2U : 1U) << count;
    std::int64_t end = 0;
    for (const Part& part : parts) {
      EXPECT_EQ(part.first, end);
      EXPECT_EQ(part.first % 8, 0);
      end = part.last;
    }
    EXPECT_EQ(end, count);
    if (parts.size() == 2) {
      EXPECT_NE(parts[0].thread, parts[1].thread)
          << "is parallel/threads.cpp compiled with OpenMP?";
    }
  }
  EXPECT_TRUE(parts_of(0, 8).empty());
}

TEST(OnThreads, StaysOnOneThreadWithinItself) {
  const ThreadsFor two(2);
  std::atomic<int> parts = 0;
  on_threads(2, 1, [&](std::int64_t, std::int64_t) {
    on_threads(100, 1, [&](std::int64_t, std::int64_t) { ++parts; });
  });
  EXPECT_EQ(parts, 2);
}

TEST(OnThreads, PassesAnErrorOn) {
  const ThreadsFor two(2);
  const auto fail = [](std::int64_t first, std::int64_t) {
    if (first > 0) throw std::runtime_error("the second part");
  };
  EXPECT_THROW(on_threads(2, 1, fail), std::runtime_error);
}

TEST(OnThreads, ValuesThatAreDrawnAndQuantisedAreTheSame) {
  for (const auto init : {arch::Init::kNormal, arch::Init::kUniform})
    expect_same_on_any_threads("initial values", [&] {
      arch::ParameterInfo info{.name = "w", .shape = {700, 301}};
      info.init = init;
      info.init_std = 0.02;
      at::Tensor values = at::empty({700, 301});
      fill_initial_values(info, 0, 3, values);
      return std::vector<at::Tensor>{values};
    });
  const at::Tensor values_NK = at::randn({300, 320});
  for (const auto storage : {arch::Storage::kInt8, arch::Storage::kNf4})
    expect_same_on_any_threads("quantised", [&] {
      QuantisedWeight weight(storage, {300, 320}, at::kCPU);
      weight.fill([&](std::int64_t, const at::Tensor& into) { into.copy_(values_NK); });
      return std::vector<at::Tensor>{weight.matrix(0, at::kFloat)};
    });
}

}  // namespace
}  // namespace moesaic
