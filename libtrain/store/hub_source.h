// The weights of a Hugging Face folder, under the names and with the shapes that they have here.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "store/hub_folder.h"
#include "store/hub_weights.h"
#include "store/model_source.h"

namespace moesaic {

class HubSource : public ModelSource {
 public:
  /// Collective over world.
  static std::unique_ptr<HubSource> open(const RankContext& context, const std::string& path);
  /// By this process alone.
  explicit HubSource(HubFolder folder);

  Json tokenizer() const override { return nullptr; }
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& name, std::int64_t first, const at::Tensor& into) const override;

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  HubFolder folder_;
  HubWeights weights_;
};

}  // namespace moesaic
