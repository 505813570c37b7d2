// KvCache: keys and values of the tokens that a model has read of one sequence, so that the next
// ones need only themselves.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

class KvCache {
 public:
  /// All rows of one layer so far.
  struct Rows {
    at::Tensor keys_LGd, values_LGw;
  };

  /// Room for `capacity` tokens; memory is taken as it fills.
  KvCache(std::int64_t layers, std::int64_t capacity)
      : capacity_(capacity), layers_(static_cast<std::size_t>(layers)) {}

  /// Tokens that all layers hold.
  std::int64_t length() const { return length_; }
  /// A layer's rows for the tokens after length(): [T, G, d], [T, G, w]. Views of all of them.
  Rows append(int layer, const at::Tensor& keys_TGd, const at::Tensor& values_TGw);
  /// As above for a layer that keeps one tensor: [T, ...].
  at::Tensor append(int layer, const at::Tensor& rows_T);
  /// After a forward pass over `tokens` tokens: they count from now on.
  void advance(std::int64_t tokens) { length_ += tokens; }
  /// Another cache, for `capacity` tokens, that has read the same.
  KvCache copy(std::int64_t capacity) const;
  /// Back to the first `length` tokens, as if those after had not been read.
  void cut(std::int64_t length);

 private:
  at::Tensor put(at::Tensor& store, const at::Tensor& rows) const;

  std::int64_t capacity_;
  std::int64_t length_ = 0;
  std::vector<Rows> layers_;
};

}  // namespace moesaic
