#include "data/best_fit.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

using Bin = std::vector<std::size_t>;  // indices of pieces

constexpr std::size_t kPiecesAtOnce = 1U << 16U;  // of a window

// The bins of a window.
std::vector<Bin> bins_of(std::span<const Piece> pieces, std::int64_t room) {
  std::vector<std::size_t> longest_first(pieces.size());
  std::iota(longest_first.begin(), longest_first.end(), std::size_t{0});
  std::stable_sort(longest_first.begin(), longest_first.end(),
                   [&](std::size_t a, std::size_t b) { return pieces[a].ids > pieces[b].ids; });
  std::vector<Bin> bins;
  std::set<std::pair<std::int64_t, std::size_t>> open;  // (inputs that are left, bin)
  for (const std::size_t index : longest_first) {
    const std::int64_t inputs = pieces[index].inputs();
    MOESAIC_ASSERT(inputs >= 1 && inputs <= room);
    const auto fullest = open.lower_bound({inputs, 0});
    std::pair<std::int64_t, std::size_t> bin = {room, bins.size()};
    if (fullest != open.end()) {
      bin = *fullest;
      open.erase(fullest);
    } else {
      bins.emplace_back();
    }
    bins[bin.second].push_back(index);
    if (bin.first > inputs) open.insert({bin.first - inputs, bin.second});
  }
  for (Bin& bin : bins) std::sort(bin.begin(), bin.end());
  std::sort(bins.begin(), bins.end());
  return bins;
}

}  // namespace

std::vector<std::int64_t> pack_best_fit(std::vector<Piece>& pieces, std::int64_t sequence_length) {
  std::vector<std::int64_t> firsts = {0};
  std::vector<Piece> packed;
  packed.reserve(pieces.size());
  for (std::size_t begin = 0; begin < pieces.size(); begin += kPiecesAtOnce) {
    const std::size_t count = std::min(kPiecesAtOnce, pieces.size() - begin);
    const auto window = std::span<const Piece>(pieces).subspan(begin, count);
    for (const Bin& bin : bins_of(window, sequence_length)) {
      for (const std::size_t index : bin) packed.push_back(window[index]);
      firsts.push_back(std::ssize(packed));
    }
  }
  pieces = std::move(packed);
  return firsts;
}

}  // namespace moesaic
