// HubWeights: which tensors of a Hugging Face folder make which parameter of a model, and whether
// they are all there.
#pragma once

#include <c10/core/ScalarType.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "arch/parameter_table.h"
#include "store/hub_folder.h"

namespace moesaic {

/// The values of a parameter, or of one of its experts: a tensor, or a part of one.
struct HubPart {
  HubTensor item;
  std::int64_t first = 0;  // of the values of the tensor
};

class HubWeights {
 public:
  /// Error(kCheckpoint) with the number and the first names of what is missing, unexpected, or of
  /// another shape or type than `options` ask for. Experts may have a tensor each or all be in one.
  /// Passed over are rotary frequencies, which are computed; an output head where the model uses
  /// the embedding; and the layers for multi-token prediction that config.json announces
  /// (num_nextn_predict_layers).
  HubWeights(const HubFolder& folder, const arch::Options& options);

  /// Of one parameter: its part, or those of its experts in order.
  const std::vector<HubPart>& of(const std::string& parameter) const;
  /// Every parameter -> the widest type of its tensors.
  std::map<std::string, at::ScalarType> dtypes() const;
  /// What was passed over and may be missed, and what no single type can hold.
  std::vector<std::string> warnings() const;
  /// Error(kCheckpoint) when there is an output head beside the embedding that it is tied to, or a
  /// copy of either in a layer for multi-token prediction, with other values: either it or
  /// config.json is wrong. Reads both.
  void check_copies() const;

 private:
  std::map<std::string, std::vector<HubPart>> parts_;
  std::vector<std::pair<HubTensor, bool>> copies_;  // of the embedding; true: of the head
  HubTensor tied_head_;                             // empty: there is none in the folder
  std::size_t skipped_ = 0;                         // tensors of layers for multi-token prediction
};

}  // namespace moesaic
