#include "engine/replica_check.h"

#include <algorithm>
#include <map>
#include <vector>

#include "comm/trace_span.h"
#include "core/digest.h"
#include "core/host_name.h"
#include "core/text_list.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

/// Ranks that hold the same bits.
using Side = std::vector<int>;

bool has_replicas(const StateEntry& entry) { return !entry.spread; }

std::vector<std::string> replica_digests(const StateDict& state) {
  std::vector<std::string> digests;
  for (const StateEntry& entry : state) {
    if (!has_replicas(entry)) continue;
    const at::Tensor values = entry.tensor.cpu().contiguous();
    digests.push_back(digest_of(values.const_data_ptr(), values.nbytes()));
  }
  return digests;
}

// One digest of all entries of a scope.
std::string digest_of_scope(const StateDict& state, const std::vector<std::string>& digests,
                            Scope scope) {
  Digest whole;
  std::size_t next = 0;
  for (const StateEntry& entry : state) {
    if (!has_replicas(entry)) continue;
    if (entry.scope == scope) whole.update(digests[next]);
    ++next;
  }
  return whole.hex();
}

// Whose copies of a scope are replicas of this rank's: those of the same number.
int group_of(const Plan& plan, Scope scope, int rank) {
  return scope == Scope::kExpert ? plan.expert_rank_of(rank) : 0;
}

// The sides of the first group whose ranks do not all hold the same; the smallest side first, empty
// where all do. `held`: by rank.
std::vector<Side> sides_of(const Plan& plan, Scope scope, const std::vector<std::string>& held) {
  std::map<int, std::map<std::string, Side>> groups;
  for (int rank = 0; rank < plan.world; ++rank)
    groups[group_of(plan, scope, rank)][held[static_cast<std::size_t>(rank)]].push_back(rank);
  for (const auto& [group, by_digest] : groups) {
    if (by_digest.size() == 1) continue;
    std::vector<Side> sides;
    for (const auto& [digest, ranks] : by_digest) sides.push_back(ranks);
    std::sort(sides.begin(), sides.end(), [](const Side& a, const Side& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    return sides;
  }
  return {};
}

std::string ranks_text(const Side& ranks) {
  constexpr std::size_t kMostShown = 8;
  const std::size_t shown = std::min(kMostShown, ranks.size());
  const auto end = ranks.begin() + static_cast<std::ptrdiff_t>(shown);
  return format("{} {}{}", ranks.size() == 1 ? "rank" : "ranks", join(ranks.begin(), end, ", "),
                shown < ranks.size() ? format(" and {} more", ranks.size() - shown) : "");
}

// `held`: of each rank the digests of what has replicas, then its host.
[[noreturn]] void throw_difference(const std::string& when, const std::string& name,
                                   const std::vector<Side>& sides,
                                   const std::vector<std::vector<std::string>>& held) {
  std::vector<std::string> texts;
  for (const Side& side : sides) texts.push_back(ranks_text(side));
  const int odd = sides.front().front();
  const std::string& host = held[static_cast<std::size_t>(odd)].back();
  const bool known = sides.front().size() < sides.back().size();
  const std::string machine = known ? format("of {} (rank {})", host, odd) : "of one machine";
  throw SharedError(
      Error(ErrorKind::kDevice,
            format("{}: replicas differ: {} is not the same on {}", when, name,
                   join(texts, " as on ")),
            format("the memory or a processor {} may be faulty, or a library is another one there; "
                   "go on without it by --resume auto: the checkpoints of this run were compared "
                   "before they were saved",
                   machine)),
      odd, static_cast<int>(held.size()));
}

// Names the first entry whose replicas differ, of which there is one. Collective over world.
[[noreturn]] void tell_difference(const RankContext& context, const StateDict& state,
                                  std::vector<std::string> digests, const std::string& when) {
  digests.push_back(host_name());
  std::vector<std::vector<std::string>> held;
  for (const std::string& texts :
       context.world.all_gather(pack_texts(digests), "replicas: digests"))
    held.push_back(unpack_texts(texts));
  std::size_t next = 0;
  for (const StateEntry& entry : state) {
    if (!has_replicas(entry)) continue;
    std::vector<std::string> copies;
    for (const auto& of_rank : held) copies.push_back(of_rank.at(next));
    const std::vector<Side> sides = sides_of(context.plan, entry.scope, copies);
    if (!sides.empty()) throw_difference(when, entry.name, sides, held);
    ++next;
  }
  throw Error(ErrorKind::kInternal, when + ": replicas differ, and none of their entries does");
}

}  // namespace

void require_equal_replicas(const RankContext& context, const StateDict& state,
                            const std::string& when) {
  const std::vector<std::string> digests = replica_digests(state);
  const std::string both = digest_of_scope(state, digests, Scope::kDense) +
                           digest_of_scope(state, digests, Scope::kExpert);
  std::vector<std::string> dense, experts;  // by rank
  for (const std::string& of_rank : context.world.all_gather(both, "replicas")) {
    dense.push_back(of_rank.substr(0, of_rank.size() / 2));
    experts.push_back(of_rank.substr(of_rank.size() / 2));
  }
  const bool same = sides_of(context.plan, Scope::kDense, dense).empty() &&
                    sides_of(context.plan, Scope::kExpert, experts).empty();
  if (!same) tell_difference(context, state, digests, when);
}

void ReplicaCheck::finished(const RankContext& context, const Step& step) {
  step_ = step.number;
  if (step_ % every_steps_ == 0) check(context);
}

void ReplicaCheck::before_save(const RankContext& context, const LiveState& /*live*/) {
  if (checked_ != step_) check(context);
}

void ReplicaCheck::check(const RankContext& context) {
  const Span span("replicas");
  StateDict state = moving_state_of(parameters_);
  for (const StateEntry& entry : optimizer_.state()) state.push_back(entry);
  require_equal_replicas(context, state, format("step {}", step_));
  checked_ = step_;
}

}  // namespace moesaic
