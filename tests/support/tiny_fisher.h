// Examples for importances, tiny models of every kind, and the importances that come of each
// example alone: one backward pass of the training loss for each, squared, on one process.
#pragma once

#include <ATen/ops/zeros_like.h>

#include <cstdint>
#include <string>
#include <vector>

#include "continual/fisher.h"
#include "data/batch_builder.h"
#include "data/step_data.h"
#include "support/tiny_model.h"

namespace moesaic::test {

inline constexpr std::int64_t kFisherVocabulary = 31;

/// Example `number` of all steps: 3 to 6 tokens, one of which is no target; its id within a step
/// counts from 0.
inline void add_example(BatchBuilder& batch, std::int64_t number, std::int64_t id) {
  const auto ids = some_ids(17 * number, 4 + number % 4, kFisherVocabulary);
  std::vector<std::uint8_t> may_be_target(ids.size(), 1);
  may_be_target[2] = static_cast<std::uint8_t>(number % 2);
  batch.add(ids, {.example = id}, may_be_target);
}

inline Batch example_batch(std::int64_t number) {
  BatchBuilder batch;
  add_example(batch, number, number);
  return batch.build();
}

/// Six of them a step.
class ExampleData : public StepData {
 public:
  explicit ExampleData(std::int64_t micro_batch_size) : micro_batch_size_(micro_batch_size) {}
  StepSize size(std::int64_t) const override { return {.micro_batches = 6 / micro_batch_size_}; }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    BatchBuilder batch;
    for (std::int64_t i = index * micro_batch_size_; i < (index + 1) * micro_batch_size_; ++i)
      add_example(batch, 6 * step + i, i);
    return batch.build();
  }

 private:
  std::int64_t micro_batch_size_;
};

inline arch::Options fisher_arch(const std::string& type, const Json& more = Json::object()) {
  Json config = {{"model_type", type},
                 {"vocab_size", kFisherVocabulary},
                 {"hidden_size", 16},
                 {"intermediate_size", 12},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"initializer_range", 0.3},
                 {"max_position_embeddings", 64}};
  if (type == "olmoe") config.update({{"num_experts", 12}, {"num_experts_per_tok", 3}});
  if (type == "qwen2_moe") {
    config.update({{"num_experts", 4},
                   {"moe_intermediate_size", 6},
                   {"num_experts_per_tok", 2},
                   {"shared_expert_intermediate_size", 8}});
  }
  if (type == "deepseek_v3") {
    config.update({{"num_key_value_heads", 4},
                   {"kv_lora_rank", 6},
                   {"q_lora_rank", 5},
                   {"qk_nope_head_dim", 4},
                   {"qk_rope_head_dim", 2},
                   {"v_head_dim", 3},
                   {"n_routed_experts", 12},
                   {"n_shared_experts", 1},
                   {"moe_intermediate_size", 6},
                   {"num_experts_per_tok", 2},
                   {"n_group", 2},
                   {"topk_group", 1},
                   {"first_k_dense_replace", 1}});
  }
  config.update(more);
  return arch::require_options(config, "tiny");
}

/// Dense, tied, with experts, with shared experts, with latent attention, with multi-token
/// prediction.
inline std::vector<arch::Options> fisher_archs() {
  return {
      fisher_arch("llama"),       fisher_arch("llama", {{"tie_word_embeddings", true}}),
      fisher_arch("olmoe"),       fisher_arch("qwen2_moe"),
      fisher_arch("deepseek_v3"), fisher_arch("deepseek_v3", {{"num_nextn_predict_layers", 2}})};
}

/// Of a model on this process alone: its gradients of one example after the other.
class OneByOne {
 public:
  explicit OneByOne(const arch::Options& arch, double mtp_coefficient)
      : mtp_coefficient_(mtp_coefficient),
        parameters_(parameters_of(arch, context_)),
        model_({.arch = arch}, parameters_, context_),
        sink_(parameters_, context_, MatmulKernel::kMkl) {
    for (const Parameter& parameter : parameters_) {
      squares.push_back(at::zeros_like(parameter.tensor));
      examples.push_back(
          at::zeros({parameter.scope == Scope::kExpert ? parameter.shape[0] : 1}, at::kLong));
    }
  }

  /// The loss is a sum over the targets.
  void add(const Batch& batch) {
    const at::AutoGradMode with_gradients(true);
    Computation computation{.precision = Precision::named("float64"), .world = context_.world};
    ForwardContext forward = computation.forward(batch);
    forward.sink = &sink_;
    forward.training = true;
    sink_.gradients().clear();
    sink_.begin({});
    const ModelOutput output = model_.forward(forward);
    const Parameter& head = model_.head().weight();
    forward.open(head);
    const StepView view{forward, output, model_.head(), {.target_tokens = 1}};
    at::Tensor loss = CrossEntropy().evaluate(view).loss;
    if (!output.ahead_TD.empty())
      loss = loss.add(FurtherCrossEntropy(mtp_coefficient_).evaluate(view).loss);
    sink_.close(head, {});
    loss.backward();
    sink_.end();
    for (const GradientEntry& entry : sink_.gradients().entries) {
      const auto i = static_cast<std::size_t>(entry.parameter.index);
      squares[i].add_(entry.gradient.square());
      const bool expert = entry.parameter.scope == Scope::kExpert;
      if (expert) examples[i].add_(entry.gradient.flatten(1).ne(0).any(1));
    }
  }

  std::vector<at::Tensor> squares;   // sums of them, by position in the ParameterSet
  std::vector<at::Tensor> examples;  // how many have moved each expert
  const ParameterSet& parameters() const { return parameters_; }
  const Transformer& model() const { return model_; }

 private:
  RankContext context_ = RankContext::single();
  double mtp_coefficient_;
  ParameterSet parameters_;
  Transformer model_;
  AccumulatingSink sink_;
};

/// A model on the ranks of a context, with the same weights.
struct FisherRun {
  const RankContext& context;
  ParameterSet parameters;
  Transformer model;

  FisherRun(const RankContext& ranks, const arch::Options& arch, BlockPass pass = keep_activations)
      : context(ranks),
        parameters(parameters_of(arch, ranks)),
        model({.arch = arch, .block_pass = pass}, parameters, ranks) {}

  FisherEstimate estimate(const StepData& data, const FisherRequest& request) const {
    return estimate_fisher({model, parameters, Precision::named("float64")}, data, request,
                           context);
  }
};

/// This rank's rows of what is of all.
inline at::Tensor own_rows(const Parameter& parameter, const at::Tensor& all) {
  return all.narrow(0, parameter.offset, parameter.tensor.size(0));
}

}  // namespace moesaic::test
