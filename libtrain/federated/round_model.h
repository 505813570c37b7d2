// RoundModel: the global model of a round, as this rank holds it: what its silo begins with, pulls
// to, and sends the change of.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "parallel/parameter_set.h"

namespace moesaic {

class RoundModel {
 public:
  /// What silos do with a parameter.
  enum class Kind {
    kFixed,    // it never changes
    kShared,   // its change is sent
    kPrivate,  // it is trained, and stays in the silo
    kBase,     // silos leave it as it is; what their adapters make together goes into it
  };
  using KindOf = std::function<Kind(const Parameter&)>;

  /// One parameter: this rank's values.
  struct Entry {
    std::string name;
    std::size_t index = 0;  // in the ParameterSet
    Scope scope = Scope::kDense;
    at::Tensor tensor;
    double scale = 0;  // of a base: its adapter's
  };

  bool is_empty() const { return by_index_.empty(); }
  /// Copies the values of what is not fixed; those of a base are the parameters' own, for silos do
  /// not change them. Local.
  void take(const ParameterSet& parameters, const KindOf& kind_of);
  /// Gives them back, to a ParameterSet of the same table. Private ones, too, where `all`. Local.
  void give(const ParameterSet& parameters, bool all) const;

  const std::vector<Entry>& shared() const { return shared_; }
  const std::vector<Entry>& own() const { return private_; }
  const std::vector<Entry>& base() const { return base_; }
  /// What a silo needs of the model: the shared parameters, after them the base.
  const Entry& at(std::size_t place) const {
    return place < shared_.size() ? shared_[place] : base_.at(place - shared_.size());
  }
  /// The values of a parameter that is shared, else an undefined tensor.
  at::Tensor of(const Parameter& parameter) const;

  /// For each shared parameter, what training has made of it: after less before. Local.
  std::vector<at::Tensor> change(const ParameterSet& parameters) const;

 private:
  std::vector<Entry> shared_, private_, base_;
  std::vector<at::Tensor> by_index_;  // of the shared ones
};

}  // namespace moesaic
