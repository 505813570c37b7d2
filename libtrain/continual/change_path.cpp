#include "continual/change_path.h"

#include <ATen/ops/zeros.h>

#include <utility>

namespace moesaic {

ChangePath::ChangePath(const std::vector<LowRankPair>& pairs) {
  for (const LowRankPair& pair : pairs) {
    const auto zeros = [&pair] {
      return at::zeros(pair.weight.tensor.sizes(), pair.a.tensor.options());
    };
    of_.emplace(pair.weight.index, Of{pair, zeros(), zeros(), {}, {}});
  }
}

void ChangePath::add(const ParameterUse& use, MatmulKernel kernel) {
  add_gradient(use, of_.at(use.parameter.index).gradient, kernel);
}

void ChangePath::before(const Step& /*step*/) {
  for (const auto& [index, of] : of_) at::Tensor(of.gradient).zero_();
}

void ChangePath::gradient_done(const RankContext& context, const Step& /*step*/) {
  for (auto& [index, of] : of_) {
    const bool dense = of.pair.weight.scope == Scope::kDense;
    const Communicator& group = dense ? context.world : context.expert_data;
    group.all_reduce(of.gradient, ReduceOp::kSum, "path.gradient");
    of.a = of.pair.a.tensor.detach().clone();
    of.b = of.pair.b.tensor.detach().clone();
  }
}

void ChangePath::after(const RankContext& /*context*/, const Step& /*step*/) {
  for (const auto& [index, of] : of_) add_work(of.pair, of.a, of.b, of.gradient, of.path);
}

StateDict ChangePath::state() const {
  StateDict state;
  for (const auto& [index, of] : of_) state.push_back(entry_like(of.pair.weight, "path", of.path));
  return state;
}

namespace {

class FollowingSink : public PassingSink {
 public:
  FollowingSink(ChangePath& path, std::unique_ptr<GradientSink> sink, MatmulKernel kernel)
      : PassingSink(*sink), path_(path), sink_(std::move(sink)), kernel_(kernel) {}

  bool wants(const Parameter& parameter) const override {
    return path_.follows(parameter) || next_.wants(parameter);
  }
  void open(const Parameter& parameter) override {
    if (!path_.follows(parameter)) next_.open(parameter);
  }
  void add(const ParameterUse& use) override {
    if (path_.follows(use.parameter))
      path_.add(use, kernel_);
    else
      next_.add(use);
  }
  void close(const Parameter& parameter, const HandOverAgain& again) override {
    if (!path_.follows(parameter)) next_.close(parameter, again);
  }

 private:
  ChangePath& path_;
  std::unique_ptr<GradientSink> sink_;
  MatmulKernel kernel_;
};

}  // namespace

std::unique_ptr<GradientSink> followed_by(ChangePath& path, std::unique_ptr<GradientSink> sink,
                                          MatmulKernel kernel) {
  return std::make_unique<FollowingSink>(path, std::move(sink), kernel);
}

}  // namespace moesaic
