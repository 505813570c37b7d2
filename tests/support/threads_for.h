// As many threads as a test wants, and what must not depend on their number.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace moesaic {

/// While it lives.
class ThreadsFor {
 public:
  explicit ThreadsFor(int threads) : before_(at::get_num_threads()) {
    at::set_num_threads(threads);
  }
  ~ThreadsFor() { at::set_num_threads(before_); }
  ThreadsFor(const ThreadsFor&) = delete;
  ThreadsFor& operator=(const ThreadsFor&) = delete;

 private:
  int before_;
};

/// Contiguous tensors with the same bytes.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

/// What `work` makes on one thread it must make on two and on three. Its results are contiguous,
/// and its inputs the same at each call.
inline void expect_same_on_any_threads(const std::string& what,
                                       const std::function<std::vector<at::Tensor>()>& work) {
  std::vector<at::Tensor> one;
  {
    const ThreadsFor alone(1);
    one = work();
  }
  for (const int threads : {2, 3}) {
    const ThreadsFor now(threads);
    const std::vector<at::Tensor> some = work();
    ASSERT_EQ(one.size(), some.size());
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(same_bits(one[i], some[i])) << what << ", result " << i << ", " << threads;
  }
}

}  // namespace moesaic
