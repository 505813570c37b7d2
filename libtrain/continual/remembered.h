// Remembered: what a run knows of earlier learning: how much each value matters and where it is
// pulled to. Of parameters that are trained, the values that this rank updates; of weights with
// low-rank factors, the change that those make.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "continual/low_rank.h"
#include "parallel/importance.h"
#include "parallel/ownership.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"

namespace moesaic {

/// How what was learned joins what was before. F, a: importance and anchor so far; f, b: the new.
enum class Joining {
  kTerm,     // a term of its own: F <- F + f, a <- the mean of a and b by F and f
  kRunning,  // F <- decay F + f, a <- b (Schwarz et al. 2018, arXiv 1805.06370)
  kAnchor,   // there is no F, a <- b
};

class Remembered {
 public:
  struct Options {
    Joining joining = Joining::kTerm;
    double decay = 1;
    /// Anchors of changes are kept; otherwise they are 0: no change was learned before.
    bool changes = false;
    /// The weights as they are know something; otherwise what is joined does.
    bool knows = false;
  };

  /// Nothing yet: F is 0 (kAnchor: not there), the anchors are the weights as they are, and the
  /// changes that there are. `ownership` as for optimizers. Local. The parameters must outlive it.
  Remembered(const ParameterSet& parameters, std::vector<LowRankPair> pairs,
             const Ownership* ownership, const Options& options);

  /// Of a parameter that is trained, by its rows that this rank updates, or of a weight with a
  /// pair; none of what nothing is kept of.
  struct Of {
    at::Tensor fisher;  // kAnchor: not defined
    at::Tensor anchor;  // of a weight with a pair: of its change; not defined: 0
  };
  const Of* find(const Parameter& parameter) const;
  const std::vector<LowRankPair>& pairs() const { return pairs_; }

  /// Adds what was learned last; of what is not defined there, importances stay as they are and
  /// anchors become the weights. Collective over world. A sum of terms
  /// F (w - a)^2 + f (w - b)^2 is (F + f)(w - mean)^2 + what does not depend on w, so that the
  /// state does not grow with the tasks (cf. Huszar 2017, arXiv 1712.03847).
  /// `newest`: importances whose anchors are the model as it is now, before the first step, with
  /// what its adapters change. Without them the weights with a pair are the anchors without it.
  void join(const RankContext& context, const Importance& learned, const Importance& newest = {});

  /// Whether there is something to be kept: until then nothing is pulled.
  bool knows() const;
  /// What does not depend on w: of routers, and of all others.
  double rest(bool routers) const;
  /// The largest importance. Collective over world.
  double largest(const RankContext& context) const;

  /// fisher/<parameter>, anchor/<parameter>, and remembered/counts.
  const StateDict& state() const { return state_; }

 private:
  void keep(const Parameter& parameter);
  void keep(const LowRankPair& pair);
  /// What the anchor of a weight is as a change of it.
  static at::Tensor change_to(const LowRankPair& pair, const at::Tensor& anchor,
                              const Importance& newest);
  RowRange rows(const Parameter& parameter) const;
  const Ownership* ownership() const { return ownership_ ? &*ownership_ : nullptr; }
  /// -> what does not depend on w.
  double join(const Of& of, const at::Tensor& fisher, const at::Tensor& anchor) const;

  const ParameterSet& parameters_;
  std::vector<LowRankPair> pairs_;
  std::optional<Ownership> ownership_;
  Options options_;
  std::map<std::int64_t, Of> of_;  // by position in the ParameterSet
  at::Tensor counts_;              // float64 [3]: rest of others, rest of routers, times joined
  StateDict state_;
};

}  // namespace moesaic
