#include "nn/kv_cache.h"

#include <ATen/ops/empty.h>

#include "core/error.h"

namespace moesaic {

at::Tensor KvCache::put(at::Tensor& store, const at::Tensor& rows) const {
  if (!store.defined()) {
    std::vector<std::int64_t> shape = rows.sizes().vec();
    shape[0] = capacity_;
    store = at::empty(shape, rows.options());
  }
  const std::int64_t all = length_ + rows.size(0);
  MOESAIC_ASSERT(all <= capacity_);
  store.narrow(0, length_, rows.size(0)).copy_(rows);
  return store.narrow(0, 0, all);
}

KvCache::Rows KvCache::append(int layer, const at::Tensor& keys_TGd, const at::Tensor& values_TGw) {
  Rows& rows = layers_.at(static_cast<std::size_t>(layer));
  return {put(rows.keys_LGd, keys_TGd), put(rows.values_LGw, values_TGw)};
}

at::Tensor KvCache::append(int layer, const at::Tensor& rows_T) {
  return put(layers_.at(static_cast<std::size_t>(layer)).keys_LGd, rows_T);
}

KvCache KvCache::copy(std::int64_t capacity) const {
  KvCache other(std::ssize(layers_), capacity);
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    const auto put_into = [&](at::Tensor& store, const at::Tensor& mine) {
      if (mine.defined()) other.put(store, mine.narrow(0, 0, length_));
    };
    put_into(other.layers_[layer].keys_LGd, layers_[layer].keys_LGd);
    put_into(other.layers_[layer].values_LGw, layers_[layer].values_LGw);
  }
  other.length_ = length_;
  return other;
}

void KvCache::cut(std::int64_t length) {
  MOESAIC_ASSERT(length >= 0 && length <= length_);
  length_ = length;
}

}  // namespace moesaic
