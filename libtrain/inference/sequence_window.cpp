#include "inference/sequence_window.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/shared_beginning.h"

namespace moesaic {
namespace {

// Fewer shared ids are not worth the copies of their keys and values.
constexpr std::int64_t kLeastShared = 16;
// Ids after the shared ones: attention to what was read before holds all scores of a sequence.
constexpr std::int64_t kMostAfter = 256;

at::Tensor tensor_of(const std::vector<std::int64_t>& values) {
  const at::Tensor tensor = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

void broadcast_values(const Communicator& world, std::vector<std::int64_t>& values,
                      std::int64_t count, const char* label) {
  values.resize(static_cast<std::size_t>(count));
  const at::Tensor tensor = tensor_of(values);
  world.broadcast(tensor, 0, label);
  std::copy_n(tensor.const_data_ptr<std::int64_t>(), count, values.begin());
}

// Ids that two sequences begin with and of which neither asks for one. The last one before the
// first that is asked for stays out: its row says how probable that one is.
std::int64_t shared_by(const SequenceWindow& window, std::int64_t a, std::int64_t b) {
  const auto before = [&](std::int64_t sequence) {
    const std::int64_t asked = window.firsts[static_cast<std::size_t>(sequence)];
    return std::max<std::int64_t>(0, std::min(asked, window.length(sequence)) - 1);
  };
  const std::span<const std::int64_t> x = window.of(a), y = window.of(b);
  const auto most = static_cast<std::size_t>(std::min(before(a), before(b)));
  return static_cast<std::int64_t>(shared_beginning(x.first(most), y.first(most)));
}

// `group` with the sequence after it, or as it is where that saves no row.
bool take_next(const SequenceWindow& window, SequenceGroup& group) {
  const std::int64_t next = group.first + group.count;
  if (next == window.sequences() || window.length(next) < 2) return false;
  std::int64_t shared = shared_by(window, group.first, next);
  if (group.count > 1) shared = std::min(shared, group.shared);
  const bool saves = shared * group.count > group.shared * (group.count - 1);
  const std::int64_t longest = std::max(window.length(group.first), window.length(next));
  if (!saves || shared < kLeastShared || longest - shared > kMostAfter) return false;
  group = {group.first, group.count + 1, shared};
  return true;
}

}  // namespace

void SequenceWindow::add(std::span<const std::uint32_t> sequence, std::int64_t first) {
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  offsets.push_back(std::ssize(ids));
  firsts.push_back(first);
}

std::int64_t SequenceWindow::length(std::int64_t sequence) const {
  const auto at = static_cast<std::size_t>(sequence);
  return offsets[at + 1] - offsets[at];
}

std::span<const std::int64_t> SequenceWindow::of(std::int64_t sequence) const {
  return {ids.data() + offsets[static_cast<std::size_t>(sequence)],
          static_cast<std::size_t>(length(sequence))};
}

SequenceWindow broadcast(const Communicator& world, const SequenceWindow& window) {
  SequenceWindow all = window;
  std::vector<std::int64_t> sizes = {std::ssize(window.ids), std::ssize(window.offsets)};
  broadcast_values(world, sizes, 2, "window (sizes)");
  broadcast_values(world, all.ids, sizes[0], "window (ids)");
  broadcast_values(world, all.offsets, sizes[1], "window (offsets)");
  broadcast_values(world, all.firsts, sizes[1] - 1, "window (firsts)");
  return all;
}

std::int64_t SequenceGroup::rows(const SequenceWindow& window) const {
  const auto at = static_cast<std::size_t>(first);
  const auto end = static_cast<std::size_t>(first + count);
  return window.offsets[end] - window.offsets[at] - shared * (count - 1);
}

std::vector<SequenceGroup> groups_of(const SequenceWindow& window, bool may_share) {
  std::vector<SequenceGroup> groups;
  for (std::int64_t i = 0; i < window.sequences();) {
    SequenceGroup group{i};
    if (window.length(i) > 1) {
      while (may_share && take_next(window, group)) {
      }
      groups.push_back(group);
    }
    i += group.count;
  }
  return groups;
}

std::vector<std::vector<SequenceGroup>> micro_batches(const SequenceWindow& window,
                                                      std::vector<SequenceGroup> groups,
                                                      std::int64_t batch_tokens) {
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const SequenceGroup& a, const SequenceGroup& b) {
                     return a.rows(window) > b.rows(window);
                   });
  std::vector<std::vector<SequenceGroup>> batches;
  std::int64_t room = 0;
  for (const SequenceGroup& group : groups) {
    const std::int64_t rows = group.rows(window);
    if (batches.empty() || rows > room) {
      batches.emplace_back();
      room = batch_tokens;
    }
    batches.back().push_back(group);
    room -= rows;
  }
  return batches;
}

}  // namespace moesaic
