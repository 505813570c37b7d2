// Scratch memory of a kernel, from LibTorch's allocator: cheap to get for each call.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>

namespace moesaic::cpu {

template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t numel)
      : tensor_(at::empty({numel}, c10::CppTypeToScalarType<T>::value)),
        data_(tensor_.template mutable_data_ptr<T>()) {}
  T* operator()(std::int64_t at = 0) const { return data_ + at; }
  void zero() { std::fill_n(data_, tensor_.numel(), T{0}); }

 private:
  at::Tensor tensor_;
  T* data_;
};

}  // namespace moesaic::cpu
