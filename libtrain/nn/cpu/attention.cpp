#include "nn/cpu/attention.h"

#include <algorithm>

#include "nn/cpu/attention_loops.h"
#include "nn/cpu/buffer.h"
#include "nn/cpu/dtypes.h"
#include "nn/cpu/tile_layout.h"
#include "nn/cpu/tile_product.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kQueries = 64;  // of a tile
constexpr std::int64_t kKeys = 512;    // of a tile: 64 x 512 scores are 128 kB

constexpr std::int64_t kProductsAtOnce = 16;  // of an operation

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

// Rows [begin, begin + count) of a head, then zeros up to `padded` rows.
template <class T, class E>
void pack(const Head<T>& head, std::int64_t begin, std::int64_t count, std::int64_t padded,
          E* out) {
  const std::int64_t rows = std::min(count, head.rows - begin);
  for (std::int64_t r = 0; r < rows; ++r) {
    if constexpr (std::is_same_v<T, E>)
      std::copy_n(head.row(begin + r), head.width, out + r * head.width);
    else
      scaled_copy(head.row(begin + r), out + r * head.width, head.width, Wide<T>{1});
  }
  std::fill_n(out + rows * head.width, (padded - rows) * head.width, E{0});
}

// in [m, k] as left operand, in `buffer` where that is another type.
template <class A, class E>
const E* as_left(std::int64_t m, std::int64_t k, const A* in, const Buffer<E>& buffer) {
  if constexpr (std::is_same_v<A, E>) {
    return in;
  } else {
    round_tile(m, k, in, k, buffer(), k);
    return buffer();
  }
}

// in [k, n] as right operand, in `buffer` where that is another layout.
template <class E>
const E* as_right(std::int64_t k, std::int64_t n, const E* in, const Buffer<E>& buffer) {
  if constexpr (!std::is_same_v<E, c10::BFloat16>) return in;
  pack_right(k, n, k, in, n, buffer(), n);
  return buffer();
}

struct Work {
  const CausalAttention& op;
  std::int64_t groups, heads_per_group;
  std::int64_t operations_each;  // of a group, in a sequence of the mean length

  Work(const CausalAttention& o, const at::Tensor& q, const at::Tensor& k)
      : op(o), groups(k.size(1)), heads_per_group(q.size(1) / std::max<std::int64_t>(1, groups)) {
    const auto sequences = std::max<std::int64_t>(1, std::ssize(op.sequence_offsets) - 1);
    const std::int64_t length = q.size(0) / sequences;
    operations_each = length * length * heads_per_group * q.size(2) / kProductsAtOnce;
  }

  // Calls visit(begin, length, group) for each group of heads of each sequence, in parallel.
  template <class Visit>
  void for_each(const Visit& visit) const {
    const auto sequences = static_cast<std::int64_t>(op.sequence_offsets.size()) - 1;
    on_threads(sequences * groups, worth_a_thread(operations_each),
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t i = first; i < last; ++i) {
                   const auto b = static_cast<std::size_t>(i / groups);
                   const std::int64_t begin = op.sequence_offsets[b];
                   const std::int64_t length = op.sequence_offsets[b + 1] - begin;
                   if (length > 0) visit(begin, length, i % groups);
                 }
               });
  }
};

// The types of a pass: T of tensors, E of the operands of tile products, A of sums.
template <class T_, class E_>
struct Types {
  using T = T_;
  using E = E_;
  using A = Wide<T>;
};

// Room for one tile of the forward pass. `rounded`: where E is not A.
template <class A, class E>
struct ForwardTile {
  Buffer<E> query, rounded;
  Buffer<A> score, out;

  ForwardTile(std::int64_t d, std::int64_t w)
      : query(kQueries * d),
        rounded(std::is_same_v<A, E> ? 0 : kQueries * kKeys),
        score(kQueries * kKeys),
        out(kQueries * w) {}
};

// Keys and values of a group of heads as right operands of the forward products.
template <class E>
struct Seen {
  std::int64_t d, w, padded;  // padded: keys
  Buffer<E> keys_dL, values_Lw;

  template <class T>
  Seen(const Head<T>& key, const Head<T>& value)
      : d(key.width),
        w(value.width),
        padded(padded_keys(key.rows)),
        keys_dL(padded * d),
        values_Lw(padded * w) {
    const Buffer<E> rows(padded * std::max(d, w));
    pack(key, 0, key.rows, padded, rows());
    pack_right_transposed(padded, d, rows(), d, keys_dL(), padded);
    pack(value, 0, value.rows, padded, rows());
    pack_right(padded, w, padded, rows(), w, values_Lw(), w);
  }
};

// Queries [first, first + rows) of one head against all keys that they may see.
template <class Y>
void forward_tile(const Head<typename Y::T>& q, const Head<typename Y::T>& y, typename Y::A scale,
                  const Seen<typename Y::E>& seen,
                  const ForwardTile<typename Y::A, typename Y::E>& room, std::int64_t first,
                  typename Y::A* lse, std::int64_t lse_stride) {
  using A = typename Y::A;
  using E = typename Y::E;
  const std::int64_t rows = std::min(kQueries, q.rows - first), tile = padded_queries(rows);
  const std::int64_t d = seen.d, w = seen.w, visible = first + rows;
  const auto& [query, rounded, score, out] = room;
  RunningSoftmax<A> running[kQueries];
  pack(q, first, rows, tile, query());
  for (std::int64_t key = 0; key < visible; key += kKeys) {
    const std::int64_t keys = padded_keys(std::min(kKeys, visible - key));
    tile_product({tile, keys, d, d, seen.padded, keys}, query(),
                 seen.keys_dL(key * kValuesPerColumn<E>), score(), false);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t valid = std::clamp<std::int64_t>(first + r + 1 - key, 0, keys);
      const A shrink = softmax_row(score(r * keys), scale, valid, keys, running[r]);
      if (key > 0) scaled_copy(out(r * w), out(r * w), w, shrink);
    }
    const E* const p = as_left(tile, keys, score(), rounded);
    tile_product({tile, w, keys, keys, w, w}, p, seen.values_Lw(key * w), out(), key > 0);
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    scaled_copy(out(r * w), y.row(first + r), w, 1 / running[r].sum);
    lse[(first + r) * lse_stride] = running[r].highest + std::log(running[r].sum);
  }
}

template <class Y>
void forward(const CausalAttention& op, const at::Tensor& q, const at::Tensor& k,
             const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse) {
  using T = typename Y::T;
  using A = typename Y::A;
  const Work work(op, q, k);
  work.for_each([&](std::int64_t begin, std::int64_t length, std::int64_t group) {
    const TileRegion region;
    const Seen<typename Y::E> seen(Head<T>(k, begin, length, group),
                                   Head<T>(v, begin, length, group));
    const ForwardTile<A, typename Y::E> room(seen.d, seen.w);
    for (std::int64_t i = 0; i < work.heads_per_group; ++i) {
      const std::int64_t head = group * work.heads_per_group + i;
      const Head<T> query(q, begin, length, head), out(y, begin, length, head);
      A* const sums = lse.mutable_data_ptr<A>() + begin * lse.stride(0) + head;
      for (std::int64_t first = 0; first < length; first += kQueries)
        forward_tile<Y>(query, out, static_cast<A>(op.scale), seen, room, first, sums,
                        lse.stride(0));
    }
  });
}

// Keys and values of a group of heads as left operands of the backward products, and their
// gradients, added up over the heads of the group.
template <class Y>
struct Group {
  using E = typename Y::E;
  using A = typename Y::A;
  std::int64_t d, w, padded;  // padded: keys
  Buffer<E> keys_Ld, keys_dL, values_Lw;
  Buffer<A> dkeys_Ld, dvalues_Lw;

  Group(const Head<typename Y::T>& key, const Head<typename Y::T>& value)
      : d(key.width),
        w(value.width),
        padded(padded_keys(key.rows)),
        keys_Ld(padded * d),
        keys_dL(padded * d),
        values_Lw(padded * w),
        dkeys_Ld(padded * d),
        dvalues_Lw(padded * w) {
    pack(key, 0, key.rows, padded, keys_Ld());
    transpose_tile(padded, d, keys_Ld(), d, keys_dL(), padded);
    pack(value, 0, value.rows, padded, values_Lw());
    dkeys_Ld.zero();
    dvalues_Lw.zero();
  }
};

// One head's rows that the backward pass reads and the one it writes.
template <class Y>
struct HeadGradient {
  Head<typename Y::T> query, out, dout, dquery;
  const typename Y::A* lse;
  std::int64_t lse_stride;
  typename Y::A scale;
};

// A tile's rows of one head as right operands: as they are, and transposed.
template <class E>
struct RightRows {
  Buffer<E> packed, plain, transposed;

  explicit RightRows(std::int64_t width)
      : packed(kQueries * width), plain(kQueries * width), transposed(kQueries * width) {}

  template <class T>
  void take(const Head<T>& head, std::int64_t first, std::int64_t rows, std::int64_t tile) const {
    pack(head, first, rows, tile, packed());
    pack_right_transposed(tile, head.width, packed(), head.width, transposed(), tile);
    pack_right(tile, head.width, tile, packed(), head.width, plain(), head.width);
  }
};

// Room for one tile of the backward pass. `rounded`: where E is not A.
template <class A, class E>
struct BackwardTile {
  RightRows<E> query, dout;
  Buffer<A> score, dp, dquery, dquery_T;
  Buffer<E> rounded_p, rounded_ds, ds_right;

  BackwardTile(std::int64_t d, std::int64_t w)
      : query(d),
        dout(w),
        score(kKeys * kQueries),
        dp(kKeys * kQueries),
        dquery(kQueries * d),
        dquery_T(kQueries * d),
        rounded_p(kRoom),
        rounded_ds(kRoom),
        ds_right(kRoom) {}

 private:
  static constexpr std::int64_t kRoom = std::is_same_v<A, E> ? 0 : kKeys * kQueries;
};

// As forward_tile, with scores transposed, [keys, queries]: then no large tile needs transposing.
template <class Y>
void backward_tile(const HeadGradient<Y>& head, const Group<Y>& group,
                   const BackwardTile<typename Y::A, typename Y::E>& room, std::int64_t first) {
  using A = typename Y::A;
  using E = typename Y::E;
  const std::int64_t rows = std::min(kQueries, head.query.rows - first);
  const std::int64_t tile = padded_queries(rows), d = group.d, w = group.w, visible = first + rows;
  const RightRows<E>&query = room.query, &dout = room.dout;
  const Buffer<A>&score = room.score, &dp = room.dp;
  query.take(head.query, first, rows, tile);
  dout.take(head.dout, first, rows, tile);
  A lse[kQueries] = {}, delta[kQueries] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    lse[r] = head.lse[(first + r) * head.lse_stride];
    delta[r] = dot(head.dout.row(first + r), head.out.row(first + r), w);
  }
  for (std::int64_t key = 0; key < visible; key += kKeys) {
    const std::int64_t keys = padded_keys(std::min(kKeys, visible - key));
    tile_product({keys, tile, d, d, tile, tile}, group.keys_Ld(key * d), query.transposed(),
                 score(), false);
    tile_product({keys, tile, w, w, tile, tile}, group.values_Lw(key * w), dout.transposed(), dp(),
                 false);
    for (std::int64_t r = 0; r < keys; ++r)
      softmax_gradient_row(score(r * tile), dp(r * tile), head.scale, lse, delta,
                           std::clamp<std::int64_t>(key + r - first, 0, tile), tile);
    const E* const p = as_left(keys, tile, score(), room.rounded_p);
    const E* const ds = as_left(keys, tile, dp(), room.rounded_ds);
    tile_product({keys, w, tile, tile, w, w}, p, dout.plain(), group.dvalues_Lw(key * w), true);
    tile_product({keys, d, tile, tile, d, d}, ds, query.plain(), group.dkeys_Ld(key * d), true);
    tile_product({d, tile, keys, group.padded, tile, tile}, group.keys_dL(key),
                 as_right(keys, tile, ds, room.ds_right), room.dquery_T(), key > 0);
  }
  transpose_tile(d, tile, room.dquery_T(), tile, room.dquery(), d);
  for (std::int64_t r = 0; r < rows; ++r)
    scaled_copy(room.dquery(r * d), head.dquery.row(first + r), d, head.scale);
}

template <class Y>
void backward(const CausalAttention& op, const at::Tensor& dy, const at::Tensor& q,
              const at::Tensor& k, const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse,
              const at::Tensor& dq, const at::Tensor& dk, const at::Tensor& dv) {
  using T = typename Y::T;
  using A = typename Y::A;
  const Work work(op, q, k);
  work.for_each([&](std::int64_t begin, std::int64_t length, std::int64_t group) {
    const auto rows_of = [&](const at::Tensor& x, std::int64_t head) {
      return Head<T>(x, begin, length, head);
    };
    const TileRegion region;
    const Group<Y> part(rows_of(k, group), rows_of(v, group));
    const BackwardTile<A, typename Y::E> room(part.d, part.w);
    for (std::int64_t i = 0; i < work.heads_per_group; ++i) {
      const std::int64_t head = group * work.heads_per_group + i;
      const HeadGradient<Y> rows{rows_of(q, head),
                                 rows_of(y, head),
                                 rows_of(dy, head),
                                 rows_of(dq, head),
                                 lse.const_data_ptr<A>() + begin * lse.stride(0) + head,
                                 lse.stride(0),
                                 static_cast<A>(op.scale)};
      for (std::int64_t first = 0; first < length; first += kQueries)
        backward_tile(rows, part, room, first);
    }
    const Head<T> dkey = rows_of(dk, group), dvalue = rows_of(dv, group);
    for (std::int64_t r = 0; r < length; ++r) {
      scaled_copy(part.dkeys_Ld(r * part.d), dkey.row(r), part.d, static_cast<A>(op.scale));
      scaled_copy(part.dvalues_Lw(r * part.w), dvalue.row(r), part.w, A{1});
    }
  });
}

// Calls visit(Types) for the dtype of q and the tiles of this machine.
template <class Visit>
void with_types(const at::Tensor& q, const at::Tensor& v, const Visit& visit) {
  using c10::BFloat16;
  const bool pairs = q.size(2) % 2 == 0 && v.size(2) % 2 == 0;
  with_dtype(q.scalar_type(), [&](auto type) {
    using T = decltype(type);
    if constexpr (std::is_same_v<T, BFloat16>) {
      if (pairs && has_bfloat16_tiles()) return visit(Types<T, BFloat16>{});
    }
    visit(Types<T, Wide<T>>{});
  });
}

}  // namespace

void attention_forward(const CausalAttention& op, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, const at::Tensor& y, const at::Tensor& lse) {
  with_types(q, v, [&](auto types) { forward<decltype(types)>(op, q, k, v, y, lse); });
}

void attention_backward(const CausalAttention& op, const at::Tensor& dy, const at::Tensor& q,
                        const at::Tensor& k, const at::Tensor& v, const at::Tensor& y,
                        const at::Tensor& lse, const at::Tensor& dq, const at::Tensor& dk,
                        const at::Tensor& dv) {
  with_types(q, v,
             [&](auto types) { backward<decltype(types)>(op, dy, q, k, v, y, lse, dq, dk, dv); });
}

}  // namespace moesaic::cpu
