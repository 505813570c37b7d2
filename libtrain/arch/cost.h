// What a step costs: parameters, FLOPs, memory and bytes moved, by arithmetic alone. Used by `plan`
// and by the FLOP rate that the trainer reports.
//
// FLOPs count a multiply-add as 2. Forward, per token: 2 x the weights that the token meets
// (experts: top k of them), plus causal attention over a sequence of S tokens, 4 H d (S+1)/2 per
// layer (scores and weighted sum, each 2 H d per key, and (S+1)/2 keys on average). Backward costs
// as much again for the gradient of the input of a product, above the lowest parameter that is
// trained, and for that of its weight, where it is trained; of attention twice as much, above that
// parameter. Norms, rotary, softmax and the optimizer are left out.
#pragma once

#include <cstdint>

#include "arch/activations.h"
#include "arch/parameter_table.h"

namespace moesaic::arch {

/// Forward FLOPs of one token in a sequence of `sequence_length`, which meets `active_experts` in
/// each MoE layer (on average; num_experts_per_tok when negative).
double forward_flops_per_token(const Options& options, const ParameterTable& table,
                               std::int64_t sequence_length, double active_experts = -1);

/// The same, forward and backward, of the training that the table says.
double training_flops_per_token(const Options& options, const ParameterTable& table,
                                std::int64_t sequence_length, double active_experts = -1);

/// What of that is attention over the sequence: scores and weighted sums.
double attention_training_flops(const Options& options, const ParameterTable& table,
                                std::int64_t sequence_length);

struct CostOptions {
  std::int64_t ranks = 1;
  std::int64_t expert = 1;             // ranks of an expert group
  std::int64_t global_batch_size = 1;  // sequences
  std::int64_t micro_batch_size = 1;   // sequences
  std::int64_t sequence_length = 1;    // tokens
  std::int64_t master_bytes = 4;       // of one value: parameters, gradients, moments
  std::int64_t compute_bytes =
      4;  // of one value in forward and backward; below master_bytes: copies are kept
  bool expert_copies = true;           // experts have them, too (nn/matmul.h, rounds_right)
  std::int64_t optimizer_moments = 2;  // AdamW 2; SGD with momentum 1; SGD 0
  bool shard_optimizer = false;        // each rank keeps its share of the moments
  bool host_reduction = true;          // gradients are summed on the host (MPI), not by a device
  bool async_checkpoint = false;       // a copy of the state is kept
  bool checkpoint_activations = false;
  bool missing_experts = false;  // experts that were not chosen are run, too
  bool adapter_dropout = false;  // each adapter keeps an input of its own
  bool whole_scores = false;     // attention's scores of a sequence exist as a whole (a device)
  std::int64_t remembered = 0;   // values kept beside each trained one: importance, anchor, path
  std::int64_t remembered_of_adapted = 0;  // beside each value of a weight with an adapter
  bool old_model = false;                  // a frozen copy of the model is kept
};

struct Cost {
  std::int64_t parameters = 0;         // values in model.h5
  std::int64_t active_parameters = 0;  // that one token meets: all dense ones and its top k experts
  std::int64_t rank_parameters = 0;    // held by one rank
  std::int64_t trainable_parameters = 0;
  std::int64_t rank_trainable_parameters = 0;

  std::int64_t micro_batches = 0;  // a step, over all ranks
  std::int64_t rounds = 0;         // micro-batches of the busiest rank
  std::int64_t tokens = 0;         // a step, over all ranks

  double flops_per_token = 0;  // forward and backward
  double step_flops = 0;       // over all ranks

  // Bytes of one rank.
  double parameter_bytes = 0;   // as they are kept, and compute copies where the precision differs
  double gradient_bytes = 0;    // the flat buffer
  double optimizer_bytes = 0;   // moments
  double remembered_bytes = 0;  // importances, anchors, the old model
  double reduction_bytes = 0;   // at most: what the other ranks send of the rows that it owns
  double activation_bytes = 0;  // of one micro-batch, at the moment that needs most
  double snapshot_bytes = 0;    // the copy that is written to a checkpoint beside the training
  double process_bytes = 0;     // before there is a model
  double memory_bytes() const {
    return parameter_bytes + gradient_bytes + optimizer_bytes + remembered_bytes + reduction_bytes +
           activation_bytes + snapshot_bytes + process_bytes;
  }

  // Bytes that one rank sends in one step (and as many that it receives).
  double all_reduce_bytes = 0;  // gradients: dense over world, experts over their expert-data group
  double all_to_all_bytes =
      0;  // tokens to their experts and back, forward and backward, even routing
};

/// Of one rank: its share of the experts, all of the rest.
double values_on_a_rank(const ParameterInfo& info, const CostOptions& sizes);
double bytes_on_a_rank(const ParameterInfo& info, const CostOptions& sizes);

/// What the activations of a micro-batch depend on.
ActivationOptions activation_sizes(const CostOptions& sizes);

/// `table`: that of `options`, as the modes have rewritten it. Sizes must fit: `expert` divides
/// `ranks` and num_experts, `micro_batch_size` divides `global_batch_size`.
Cost cost_of(const Options& options, const ParameterTable& table, const CostOptions& sizes);

/// Values of one group of the table, and how many of them are trained.
struct GroupCount {
  Group group = Group::kDense;
  std::int64_t parameters = 0;
  std::int64_t trainable = 0;
};
/// Of every group that the table has, in the order of Group.
std::vector<GroupCount> count_groups(const ParameterTable& table);

}  // namespace moesaic::arch
