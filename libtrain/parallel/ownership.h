// Ownership: which rank owns which rows of the trainable parameters, where state is spread over the
// ranks (optim: sharded moments). Whoever owns rows updates, saves and loads what belongs to them.
// A pure function of the parameters and the sizes of the groups, so every rank knows it of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"
#include "parallel/row_blocks.h"

namespace moesaic {

/// The ranks that hold the same values of a parameter share it out: a dense one over world, experts
/// over expert_data. What is shared out are digest blocks (row_blocks.h), those of all parameters
/// of a scope in the order of the ParameterSet: the first ranks own the first blocks, and so on. So
/// a rank owns one range of rows of a parameter, and no rank has more bytes than an even share and
/// one block. A frozen parameter is not updated: nobody owns rows of it.
class Ownership {
 public:
  /// This rank's place in a group that shares out.
  struct Group {
    int rank = 0;
    int size = 1;
  };
  struct Groups {
    Group dense;   // world
    Group expert;  // expert_data
  };

  /// Local.
  Ownership(const ParameterSet& parameters, const Groups& groups);
  static Ownership make(const ParameterSet& parameters, const RankContext& context);

  /// The rows of parameter.tensor that rank `rank` of its group owns; perhaps none.
  RowRange of(const Parameter& parameter, int rank) const;
  /// This rank's.
  RowRange own(const Parameter& parameter) const;

  /// For reduce_scatter and all_gather of a flat buffer that holds these parameters whole, one
  /// after the other: the values in it of each rank of their group, in rank order. They are
  /// positions in the ParameterSet that ascend, of one scope, trainable; else Error(kInternal).
  std::vector<std::int64_t> counts(const std::vector<std::size_t>& positions) const;

 private:
  /// What is known of one parameter. Few ranks share one, so they alone are listed.
  struct Shares {
    Scope scope = Scope::kDense;
    std::int64_t row_values = 0;
    int first_rank = 0;              // owner of the first row
    std::vector<std::int64_t> ends;  // rows before `ends[i]` belong to rank first_rank + i or less
  };
  void share_out(const ParameterSet& parameters, Scope scope);
  const Group& group(Scope scope) const;

  Groups groups_;
  std::vector<Shares> shares_;  // by position in the ParameterSet
};

}  // namespace moesaic
