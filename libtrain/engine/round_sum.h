// RoundSum: the arithmetic of a round of which only the sum over the silos is seen: what a silo
// adds for each of its values, and the mean that the aggregator gets of the sum. Within one job and
// across sites it is the same, to the bit: the masks, which one job does without, cancel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "aggregate/secure_sum.h"
#include "config/recipe.h"
#include "federated/exchange.h"
#include "federated/round_model.h"

namespace moesaic {

/// What a silo's part of a sum depends on beside its change.
struct SumTerm {
  aggregate::SiloReport report;
  double scale = 1;  // norm_bound: what its change is multiplied by
};

class RoundSum {
 public:
  /// Over so many silos. The recipe and the model must outlive it. Local, as all below.
  RoundSum(const Recipe& recipe, const RoundModel& model, std::size_t silos);

  const aggregate::SumFormat& format() const { return format_; }

  /// A part of what is added up of the parameter at `place` of RoundModel::shared(), from value
  /// number `first` on, counted over the whole parameter. Vector 0 has the changes, each times its
  /// weight; vector 1, with scaffold, the changes over the sums of the learning rates. A sum has
  /// sums_of(recipe) of them.
  struct Piece {
    std::size_t vector = 0;
    std::size_t place = 0;
    std::int64_t first = 0;
  };
  /// Under this number a vector is masked.
  std::uint64_t nonce_of(const Piece& piece) const;
  /// What a silo adds for these values of its change.
  std::vector<std::uint64_t> words(const SumTerm& term, const Piece& piece,
                                   std::span<const double> change) const;

  /// experts routed_tokens: how many tokens were routed to each expert, by layer, and with fednova
  /// after them these numbers times the length of the silo's path. They are summed like changes.
  using Counts = std::map<std::string, std::vector<std::uint64_t>>;
  Counts counts(const aggregate::SiloReport& report) const;
  std::uint64_t nonce_of_counts(std::size_t number) const;
  /// As they travel, in the report's place for them. Error(kData) unless they are such words.
  Counts counts_in(const aggregate::SiloReport& report) const;
  void add(const Counts& counts, Counts& sum) const;

  /// Whose changes are in the sum, and what their counts add up to. Error(kData) where they have
  /// trained on nothing.
  void close(std::vector<aggregate::SiloReport> reports, const Counts& sum);
  /// The mean of a sum of words; of vector 1 the mean gradient. An expert without any token stays
  /// as it was: 0.
  void mean(const Piece& piece, std::span<const std::uint64_t> sum, std::span<double> out) const;

 private:
  /// Calls use(begin, end, layer, expert) for each run of values that weigh alike; `layer` is
  /// nullptr for what is no expert's.
  template <class Use>
  void for_runs(const Piece& piece, std::size_t count, const Use& use) const;
  double factor(const SumTerm& term, const std::string* layer, std::size_t expert) const;

  /// What a mean divides by: the silos' weights, and these times the lengths of their paths.
  struct Weight {
    double parts = 0, lengths = 0;
  };

  const Recipe& recipe_;
  const RoundModel& model_;
  aggregate::SumFormat format_, count_format_;
  bool by_length_, by_tokens_;
  double most_length_, whole_rate_;             // of a round of local_steps
  std::map<std::string, std::size_t> experts_;  // of the layers of shared ones: how many are here
  std::size_t answered_ = 0;
  Weight weight_;
  std::map<std::string, std::vector<Weight>> weights_;  // of experts
};

/// norm_bound: what a change is multiplied by, the sum of whose squares this is; else 1.
double scale_in_sum(const Recipe& recipe, double squares);
/// The same of the change that the ranks of a slot have. Collective over the slot.
double scale_in_sum(const Recipe& recipe, const RankContext& slot, const RoundModel& model,
                    const std::vector<at::Tensor>& change);

/// Makes of the silos' changes within one job what the aggregator gets of their sum; `terms` in the
/// order of the changes. The recipe and the model must outlive it.
Exchange::Meeting sum_in_one_job(const Recipe& recipe, const RoundModel& model,
                                 std::vector<SumTerm> terms);

}  // namespace moesaic
