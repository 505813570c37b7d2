#include "nn/cpu/attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "nn/cpu/attention_loops.h"
#include "nn/cpu/dtypes.h"
#include "nn/cpu/tile_product.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kQueries = 64;  // of a tile
constexpr std::int64_t kKeys = 512;    // of a tile: 64 x 512 scores are 128 kB

// Tiles come in few sizes, because the micro-kernel keeps code for each.
std::int64_t padded_queries(std::int64_t n) { return n <= 16 ? 16 : n <= 32 ? 32 : 64; }
std::int64_t padded_keys(std::int64_t n) {
  return n <= 64 ? (n + 15) / 16 * 16 : (n + 63) / 64 * 64;
}

// The rows of one head of one sequence in a [T, H, d] tensor.
template <class T>
struct Head {
  T* data;
  std::int64_t stride, rows, width;

  Head(const at::Tensor& x, std::int64_t begin, std::int64_t rows_, std::int64_t head)
      : data(const_cast<T*>(x.const_data_ptr<T>()) + begin * x.stride(0) + head * x.stride(1)),
        stride(x.stride(0)),
        rows(rows_),
        width(x.size(2)) {
    MOESAIC_ASSERT(x.stride(2) == 1);
  }
  T* row(std::int64_t r) const { return data + r * stride; }
};

template <class A>
class Buffer {
 public:
  explicit Buffer(std::int64_t numel)
      : tensor_(at::empty({numel}, c10::CppTypeToScalarType<A>::value)),
        data_(tensor_.template mutable_data_ptr<A>()) {}
  A* operator()(std::int64_t at = 0) { return data_ + at; }
  const A* operator()(std::int64_t at = 0) const { return data_ + at; }
  void zero() { std::fill_n(data_, tensor_.numel(), A{0}); }

 private:
  at::Tensor tensor_;
  A* data_;
};

// Rows [begin, begin + count) of a head, times `factor`, then zeros up to `padded` rows.
template <class T, class A>
void pack(const Head<T>& head, std::int64_t begin, std::int64_t count, std::int64_t padded,
          A factor, A* out) {
  const std::int64_t rows = std::min(count, head.rows - begin);
  for (std::int64_t r = 0; r < rows; ++r)
    scaled_copy(head.row(begin + r), out + r * head.width, head.width, factor);
  std::fill_n(out + rows * head.width, (padded - rows) * head.width, A{0});
}

struct Work {
  const CausalAttention& op;
  std::int64_t groups, heads_per_group;

  Work(const CausalAttention& o, const at::Tensor& q, const at::Tensor& k)
      : op(o), groups(k.size(1)), heads_per_group(q.size(1) / std::max<std::int64_t>(1, groups)) {}

  // Calls visit(begin, length, group) for each group of heads of each sequence, in parallel.
  template <class Visit>
  void for_each(const Visit& visit) const {
    const auto sequences = static_cast<std::int64_t>(op.sequence_offsets.size()) - 1;
    at::parallel_for(0, sequences * groups, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const auto b = static_cast<std::size_t>(i / groups);
        const std::int64_t begin = op.sequence_offsets[b];
        const std::int64_t length = op.sequence_offsets[b + 1] - begin;
        if (length > 0) visit(begin, length, i % groups);
      }
    });
  }
};

// Keys and values of a group of heads, packed, and the keys transposed: what the products want.
template <class T>
struct Group {
  using A = Wide<T>;
  std::int64_t d, w, padded;  // padded: keys
  Buffer<A> keys_Ld, keys_dL, values_Lw;

  Group(const Head<T>& key, const Head<T>& value)
      : d(key.width),
        w(value.width),
        padded(padded_keys(key.rows)),
        keys_Ld(padded * d),
        keys_dL(padded * d),
        values_Lw(padded * w) {
    pack(key, 0, key.rows, padded, A{1}, keys_Ld());
    transpose_tile(padded, d, keys_Ld(), d, keys_dL(), padded);
    pack(value, 0, value.rows, padded, A{1}, values_Lw());
  }
};

// Queries [first, first + rows) of one head against all keys that they may see.
template <class T>
void forward_tile(const Head<T>& q, const Head<T>& y, Wide<T> scale, const Group<T>& group,
                  std::int64_t first, Wide<T>* lse, std::int64_t lse_stride) {
  using A = Wide<T>;
  const std::int64_t rows = std::min(kQueries, q.rows - first), tile = padded_queries(rows);
  const std::int64_t d = group.d, w = group.w, seen = first + rows;
  Buffer<A> query(tile * d), score(tile * kKeys), out(tile * w);
  A highest[kQueries], sum[kQueries] = {};
  std::fill_n(highest, kQueries, -std::numeric_limits<A>::infinity());
  pack(q, first, rows, tile, scale, query());
  for (std::int64_t key = 0; key < seen; key += kKeys) {
    const std::int64_t keys = padded_keys(std::min(kKeys, seen - key));
    tile_product({tile, keys, d, d, group.padded, keys}, query(), group.keys_dL(key), score(),
                 false);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t valid = std::clamp<std::int64_t>(first + r + 1 - key, 0, keys);
      const A shrink = softmax_row(score(r * keys), valid, keys, highest[r], sum[r]);
      if (key > 0) scaled_copy(out(r * w), out(r * w), w, shrink);
    }
    tile_product({tile, w, keys, keys, w, w}, score(), group.values_Lw(key * w), out(), key > 0);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    scaled_copy(out(r * w), y.row(first + r), w, 1 / sum[r]);
    lse[(first + r) * lse_stride] = highest[r] + std::log(sum[r]);
  }
}

template <class T>
void forward(const CausalAttention& op, const at::Tensor& q, const at::Tensor& k,
             const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse) {
  using A = Wide<T>;
  const Work work(op, q, k);
  work.for_each([&](std::int64_t begin, std::int64_t length, std::int64_t group) {
    const Group<T> part({k, begin, length, group}, {v, begin, length, group});
    for (std::int64_t i = 0; i < work.heads_per_group; ++i) {
      const std::int64_t head = group * work.heads_per_group + i;
      const Head<T> query(q, begin, length, head), out(y, begin, length, head);
      A* const sums = lse.mutable_data_ptr<A>() + begin * lse.stride(0) + head;
      for (std::int64_t first = 0; first < length; first += kQueries)
        forward_tile<T>(query, out, static_cast<A>(op.scale), part, first, sums, lse.stride(0));
    }
  });
}

// The gradients of what a group holds, added up over its heads.
template <class T>
struct GroupGradient {
  Buffer<Wide<T>> keys_Ld, values_Lw;

  explicit GroupGradient(const Group<T>& group)
      : keys_Ld(group.padded * group.d), values_Lw(group.padded * group.w) {
    keys_Ld.zero();
    values_Lw.zero();
  }
};

// One head's rows that the backward pass reads and the one it writes.
template <class T>
struct HeadGradient {
  Head<T> query, out, dout, dquery;
  const Wide<T>* lse;
  std::int64_t lse_stride;
  Wide<T> scale;
};

// As forward_tile, with scores transposed, [keys, queries]: then no large tile needs transposing.
template <class T>
void backward_tile(const HeadGradient<T>& head, const Group<T>& group, GroupGradient<T>& sum,
                   std::int64_t first) {
  using A = Wide<T>;
  const std::int64_t rows = std::min(kQueries, head.query.rows - first);
  const std::int64_t tile = padded_queries(rows), d = group.d, w = group.w, seen = first + rows;
  Buffer<A> query(tile * d), query_T(tile * d), dout(tile * w), dout_T(tile * w), dquery(tile * d),
      dquery_T(tile * d);
  Buffer<A> p(kKeys * tile), ds(kKeys * tile);
  A lse[kQueries] = {}, delta[kQueries] = {};
  pack(head.query, first, rows, tile, head.scale, query());
  pack(head.dout, first, rows, tile, A{1}, dout());
  transpose_tile(tile, d, query(), d, query_T(), tile);
  transpose_tile(tile, w, dout(), w, dout_T(), tile);
  for (std::int64_t r = 0; r < rows; ++r) {
    lse[r] = head.lse[(first + r) * head.lse_stride];
    delta[r] = dot(dout(r * w), head.out.row(first + r), w);
  }
  for (std::int64_t key = 0; key < seen; key += kKeys) {
    const std::int64_t keys = padded_keys(std::min(kKeys, seen - key));
    tile_product({keys, tile, d, d, tile, tile}, group.keys_Ld(key * d), query_T(), p(), false);
    tile_product({keys, tile, w, w, tile, tile}, group.values_Lw(key * w), dout_T(), ds(), false);
    for (std::int64_t r = 0; r < keys; ++r)
      softmax_gradient_row(p(r * tile), ds(r * tile), lse, delta,
                           std::clamp<std::int64_t>(key + r - first, 0, tile), tile);
    tile_product({keys, w, tile, tile, w, w}, p(), dout(), sum.values_Lw(key * w), true);
    tile_product({keys, d, tile, tile, d, d}, ds(), query(), sum.keys_Ld(key * d), true);
    tile_product({d, tile, keys, group.padded, tile, tile}, group.keys_dL(key), ds(), dquery_T(),
                 key > 0);
  }
  transpose_tile(d, tile, dquery_T(), tile, dquery(), d);
  for (std::int64_t r = 0; r < rows; ++r)
    scaled_copy(dquery(r * d), head.dquery.row(first + r), d, head.scale);
}

template <class T>
void backward(const CausalAttention& op, const at::Tensor& dy, const at::Tensor& q,
              const at::Tensor& k, const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse,
              const at::Tensor& dq, const at::Tensor& dk, const at::Tensor& dv) {
  using A = Wide<T>;
  const Work work(op, q, k);
  work.for_each([&](std::int64_t begin, std::int64_t length, std::int64_t group) {
    const auto rows_of = [&](const at::Tensor& x, std::int64_t head) {
      return Head<T>(x, begin, length, head);
    };
    const Group<T> part(rows_of(k, group), rows_of(v, group));
    GroupGradient<T> sum(part);
    for (std::int64_t i = 0; i < work.heads_per_group; ++i) {
      const std::int64_t head = group * work.heads_per_group + i;
      const HeadGradient<T> rows{rows_of(q, head),
                                 rows_of(y, head),
                                 rows_of(dy, head),
                                 rows_of(dq, head),
                                 lse.const_data_ptr<A>() + begin * lse.stride(0) + head,
                                 lse.stride(0),
                                 static_cast<A>(op.scale)};
      for (std::int64_t first = 0; first < length; first += kQueries)
        backward_tile<T>(rows, part, sum, first);
    }
    const Head<T> dkey = rows_of(dk, group), dvalue = rows_of(dv, group);
    for (std::int64_t r = 0; r < length; ++r) {
      scaled_copy(sum.keys_Ld(r * part.d), dkey.row(r), part.d, A{1});
      scaled_copy(sum.values_Lw(r * part.w), dvalue.row(r), part.w, A{1});
    }
  });
}

}  // namespace

void attention_forward(const CausalAttention& op, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse) {
  with_dtype(q.scalar_type(), [&](auto type) { forward<decltype(type)>(op, q, k, v, y, lse); });
}

void attention_backward(const CausalAttention& op, const at::Tensor& dy, const at::Tensor& q,
                        const at::Tensor& k, const at::Tensor& v, const at::Tensor& y,
                        const at::Tensor& lse, const at::Tensor& dq, const at::Tensor& dk,
                        const at::Tensor& dv) {
  with_dtype(q.scalar_type(),
             [&](auto type) { backward<decltype(type)>(op, dy, q, k, v, y, lse, dq, dk, dv); });
}

}  // namespace moesaic::cpu
