// The classifier of rows of features (model_type mlp): linear layers with ReLU between them, the
// last of which is the head. The first layer's input are the batch's features.
#pragma once

#include <vector>

#include "arch/arch.h"
#include "loss/model.h"
#include "models/module_builder.h"
#include "parallel/parameter_set.h"

namespace moesaic {

class Classifier : public Model {
 public:
  /// Local. `parameters`, made from the table of `arch`, must outlive the model; `adapters` may be
  /// nullptr, and is used while the model is made.
  Classifier(const arch::Options& arch, const AdapterFactory* adapters,
             const ParameterSet& parameters);

  /// Local. A batch without rows may be without features.
  ModelOutput forward(const ForwardContext& context) const override;
  const Linear& head() const override { return layers_.back(); }

 private:
  at::Tensor features(const ForwardContext& context) const;  // [T, F], compute dtype

  std::int64_t input_size_;
  std::vector<Linear> layers_;
};

}  // namespace moesaic
