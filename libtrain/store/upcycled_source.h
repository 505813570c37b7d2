// UpcycledSource: the weights of a dense model as those of one with experts (arch/upcycle.h).
// Nothing is written: each weight is made when it is read.
#pragma once

#include <memory>
#include <string>

#include "arch/upcycle.h"
#include "store/model_source.h"

namespace moesaic {

class UpcycledSource : public ModelSource {
 public:
  /// Local. Error(kRecipe) when the model at `dense` cannot be upcycled so. Routers, noise and new
  /// units are functions of the seed and the global names, the same on every layout.
  UpcycledSource(std::unique_ptr<ModelSource> dense, const arch::UpcycleOptions& options,
                 std::uint64_t seed);

  Json tokenizer() const override { return dense_->tokenizer(); }
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& parameter, std::int64_t first,
            const at::Tensor& into) const override {
    into.copy_(rows(parameter, first, into.size(0)));
  }
  at::Tensor rows(const std::string& parameter, std::int64_t first,
                  std::int64_t count) const override;

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  enum class Part { kCopied, kRouter, kGate, kUp, kDown };
  /// What a parameter is made of.
  struct Origin {
    Part part = Part::kCopied;
    std::string dense;  // name of the weight; of a router: of one beside it, for its dtype
  };
  Origin origin_of(const std::string& parameter) const;
  at::Tensor whole(const std::string& dense) const;
  at::Tensor router(const std::string& parameter, std::int64_t first, std::int64_t count) const;
  at::Tensor expert(const std::string& parameter, Part part, const at::Tensor& dense,
                    std::int64_t index) const;
  /// Noise, and new values for the units (rows; columns of a down projection) that begin anew.
  void disturb(const std::string& parameter, std::int64_t index, bool by_column,
               at::Tensor& values) const;

  std::unique_ptr<ModelSource> dense_;
  arch::UpcycleOptions options_;
  std::uint64_t seed_;
};

/// `source`, upcycled; as it is where options.num_experts is 0.
std::unique_ptr<ModelSource> upcycled(std::unique_ptr<ModelSource> source,
                                      const arch::UpcycleOptions& options, std::uint64_t seed);

}  // namespace moesaic
