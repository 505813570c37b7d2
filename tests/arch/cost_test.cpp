#include "arch/cost.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "arch/sample_models.h"

namespace moesaic::arch {
namespace {

using namespace sample;

ParameterTable table() { return parameter_table(tiny_olmoe()); }

TEST(Cost, CountsParametersByHand) {
  const Cost cost = cost_of(tiny_olmoe(), table(), {.ranks = 2, .expert = 2});
  EXPECT_EQ(cost.parameters, kDense + kExperts);
  EXPECT_EQ(cost.active_parameters, kDense + kExperts / 2);
  EXPECT_EQ(cost.rank_parameters, kDense + kExperts / 2);
}

TEST(Cost, CountsFlopsByHand) {
  // Products of a token: attention 192, router 32, two experts 288 per layer; head 80. Attention
  // over 5 tokens: 4 * 8 * 3 per layer.
  const double forward = 2.0 * (2 * (192 + 32 + 288) + 80) + 2 * 96.0;
  EXPECT_EQ(forward_flops_per_token(tiny_olmoe(), table(), 5), forward);
  const Cost cost = cost_of(tiny_olmoe(), table(), {.global_batch_size = 4, .sequence_length = 5});
  EXPECT_EQ(cost.flops_per_token, 3 * forward);
  EXPECT_EQ(cost.step_flops, 3 * forward * 20);
}

TEST(Cost, SharesTheMomentsOut) {
  const CostOptions plain{.ranks = 4, .expert = 2};
  CostOptions sharded = plain;
  sharded.shard_optimizer = true;
  const Cost all = cost_of(tiny_olmoe(), table(), plain);
  const Cost share = cost_of(tiny_olmoe(), table(), sharded);
  EXPECT_EQ(share.optimizer_bytes, 8.0 * (kDense + kExperts) / 4);
  EXPECT_EQ(share.gradient_bytes, all.gradient_bytes);
}

TEST(Cost, RoundsUpWhenTheRanksDoNotDivideTheMicroBatches) {
  const Cost cost =
      cost_of(tiny_olmoe(), table(), {.ranks = 3, .global_batch_size = 16, .micro_batch_size = 2});
  EXPECT_EQ(cost.micro_batches, 8);
  EXPECT_EQ(cost.rounds, 3);
}

TEST(Cost, HoldsMastersGradientsMomentsAndCopies) {
  const double held = static_cast<double>(kDense + kExperts);
  const Cost full = cost_of(tiny_olmoe(), table(), {});
  EXPECT_EQ(full.parameter_bytes, 4 * held);
  EXPECT_EQ(full.gradient_bytes, 4 * held);
  EXPECT_EQ(full.optimizer_bytes, 8 * held);
  EXPECT_EQ(full.memory_bytes(), 16 * held + full.activation_bytes + full.process_bytes);
  // Norms and the embedding have no copies.
  EXPECT_EQ(cost_of(tiny_olmoe(), table(), {.compute_bytes = 2}).parameter_bytes,
            4 * held + 2 * (held - (2 * 28 + 8) - 80));
}

TEST(Cost, CountsCopiesOfWeightsInTheComputeDtype) {
  const auto bytes = [](bool expert_copies) {
    return cost_of(tiny_olmoe(), table(), {.compute_bytes = 2, .expert_copies = expert_copies})
        .parameter_bytes;
  };
  EXPECT_EQ(bytes(true) - bytes(false), 2.0 * kExperts);
}

// Of frozen parameters a rank keeps the masters alone, and nothing of them is reduced.
TEST(Cost, OfFrozenParametersIsThatOfTheirMasters) {
  ParameterTable attention = table();
  for (ParameterInfo& info : attention) info.trainable = info.group == Group::kAttention;
  const CostOptions sizes{.ranks = 2, .expert = 2, .global_batch_size = 2, .sequence_length = 5};
  const Cost cost = cost_of(tiny_olmoe(), attention, sizes);
  constexpr double kTrained = 2 * 192;
  EXPECT_EQ(cost.trainable_parameters, kTrained);
  EXPECT_EQ(cost.rank_trainable_parameters, kTrained);
  EXPECT_EQ(cost.parameters, kDense + kExperts);
  EXPECT_EQ(cost.parameter_bytes, 4.0 * (kDense + kExperts / 2));
  EXPECT_EQ(cost.gradient_bytes, 4 * kTrained);
  EXPECT_EQ(cost.optimizer_bytes, 8 * kTrained);
  EXPECT_EQ(cost.all_reduce_bytes, 4 * kTrained);
  CostOptions narrow = sizes;
  narrow.compute_bytes = 2;
  EXPECT_EQ(cost_of(tiny_olmoe(), attention, narrow).parameter_bytes,
            cost.parameter_bytes + 2 * kTrained);
}

TEST(Cost, HasRoomForAllExpertsOfWhichSomeAreChosen) {
  ParameterTable some = table();
  std::int64_t of_one_each = 0;
  for (ParameterInfo& info : some) {
    info.trainable = info.scope == Scope::kExpert;
    if (!info.trainable) continue;
    info.most_experts = 1;
    of_one_each += info.numel() / info.shape[0];
  }
  const Cost cost = cost_of(tiny_olmoe(), some, {});
  EXPECT_EQ(cost.trainable_parameters, of_one_each);
  EXPECT_EQ(cost.gradient_bytes, 4.0 * kExperts);
  EXPECT_EQ(cost.optimizer_bytes, 8.0 * kExperts);
}

// Beside layer 1's o_proj, of rank 2: backward goes through what follows it, and makes the
// gradients of the factors alone.
TEST(Cost, BackwardEndsAtTheLowestAdapter) {
  ParameterTable adapted;
  for (ParameterInfo& info : table()) {
    info.trainable = false;
    adapted.push_back(info);
    if (info.name != "model.layers.1.self_attn.o_proj.weight") continue;
    ParameterInfo a = info, b = info;
    a.name = "model.layers.1.self_attn.o_proj.lora_A.weight", a.shape = {2, 8};
    b.name = "model.layers.1.self_attn.o_proj.lora_B.weight", b.shape = {8, 2};
    for (ParameterInfo* factor : {&a, &b}) {
      factor->flops_per_token = 32;
      factor->trainable = factor->adapter = true;
      adapted.push_back(*factor);
    }
  }
  const double forward = 2.0 * (2 * (192 + 32 + 288) + 80) + 2 * 96.0 + 64;
  // Gradients of A, of B and its input; of the inputs of router, experts and head.
  const double backward = 32 + 64 + 2.0 * (32 + 288 + 80);
  const CostOptions sizes{.global_batch_size = 4, .sequence_length = 5, .async_checkpoint = true};
  const Cost cost = cost_of(tiny_olmoe(), adapted, sizes);
  EXPECT_EQ(cost.flops_per_token, forward + backward);
  EXPECT_EQ(cost.gradient_bytes, 4.0 * 32);
  EXPECT_EQ(cost.optimizer_bytes, 8.0 * 32);
  EXPECT_EQ(cost.snapshot_bytes, 12.0 * 32) << "a checkpoint holds the adapter alone";
}

// By hand: of a layer 192 values of attention and 4 experts of 3 matrices [6, 8] or [8, 6].
TEST(Cost, CountsWhatIsKeptOtherwise) {
  constexpr double kHeld = 2 * (192 + 2 * 144);  // two experts on a rank
  const auto bytes_less = [](Storage storage) {
    ParameterTable kept = table();
    for (ParameterInfo& info : kept) {
      const bool matrix = info.group == Group::kAttention || info.group == Group::kExperts;
      info.trainable = false;
      if (matrix) info.storage = storage;
    }
    const CostOptions sizes{.ranks = 2, .expert = 2, .async_checkpoint = true};
    const Cost cost = cost_of(tiny_olmoe(), kept, sizes);
    const double others = 4.0 * (2 * (28 + 32) + 8 + 2 * 80);
    EXPECT_EQ(cost.snapshot_bytes, others + (storage == Storage::kMaster ? 4 * kHeld : 0));
    return cost.parameter_bytes - others;
  };
  EXPECT_EQ(bytes_less(Storage::kMaster), 4 * kHeld);
  EXPECT_EQ(bytes_less(Storage::kBfloat16), 2 * kHeld);
  // Rows: 8 + 4 + 4 + 8 of attention, 6 + 6 + 8 of an expert.
  EXPECT_EQ(bytes_less(Storage::kInt8), kHeld + 4 * 2 * (24 + 2 * 20));
  // A block or less in each matrix: a byte and a float for its scale, a float for the mean.
  EXPECT_EQ(bytes_less(Storage::kNf4), kHeld / 2 + 9 * 2 * (4 + 2 * 3));
}

TEST(Cost, CountsEachGroupOfTheTable) {
  ParameterTable frozen = table();
  for (ParameterInfo& info : frozen) info.trainable = info.scope != Scope::kExpert;
  std::int64_t parameters = 0, trainable = 0;
  std::map<std::string, std::int64_t> groups;
  for (const GroupCount& count : count_groups(frozen)) {
    parameters += count.parameters;
    trainable += count.trainable;
    groups[name_of(count.group)] = count.parameters;
  }
  EXPECT_EQ(parameters, kDense + kExperts);
  EXPECT_EQ(trainable, kDense);
  EXPECT_EQ(groups, (std::map<std::string, std::int64_t>{{"attention", 2 * 192},
                                                         {"experts", kExperts},
                                                         {"router", 2 * 32},
                                                         {"embedding", 80},
                                                         {"head", 80},
                                                         {"norms", 2 * 28 + 8}}));
}

TEST(Cost, MovesNothingOnOneRank) {
  const Cost cost = cost_of(tiny_olmoe(), table(), {});
  EXPECT_EQ(cost.all_reduce_bytes, 0);
  EXPECT_EQ(cost.all_to_all_bytes, 0);
}

TEST(Cost, MovesGradientsOnceAndHalfOfTheTokensOnTwoRanks) {
  const Cost split =
      cost_of(tiny_olmoe(), table(),
              {.ranks = 2, .expert = 2, .global_batch_size = 2, .sequence_length = 5});
  EXPECT_EQ(split.all_reduce_bytes, 4.0 * kDense);  // experts have no copy elsewhere
  // 5 tokens a rank, 2 experts each, half of them away, 8 floats, 2 layers, 4 passes
  EXPECT_EQ(split.all_to_all_bytes, 5 * 2 / 2 * 8 * 4.0 * 2 * 4);
  const Cost copied =
      cost_of(tiny_olmoe(), table(), {.ranks = 2, .global_batch_size = 2, .sequence_length = 5});
  EXPECT_EQ(copied.all_reduce_bytes, 4.0 * (kDense + kExperts));
  EXPECT_EQ(copied.all_to_all_bytes, 0);
}

// On the host the owner of a half takes in the other rank's gradients of it.
TEST(Cost, CountsWhatTheOwnerOfRowsTakesIn) {
  CostOptions sizes{.ranks = 2};
  EXPECT_EQ(cost_of(tiny_olmoe(), table(), sizes).reduction_bytes, 0);
  sizes.shard_optimizer = true;
  EXPECT_EQ(cost_of(tiny_olmoe(), table(), sizes).reduction_bytes, 4.0 * (kDense + kExperts) / 2);
  sizes.expert = 2;  // experts have no copy elsewhere
  const Cost cost = cost_of(tiny_olmoe(), table(), sizes);
  EXPECT_EQ(cost.reduction_bytes, 4.0 * kDense / 2);
  sizes.host_reduction = false;
  EXPECT_EQ(cost_of(tiny_olmoe(), table(), sizes).memory_bytes(),
            cost.memory_bytes() - 2.0 * kDense);
}

TEST(Cost, MovesTokensAgainWhenBlocksAreRecomputed) {
  CostOptions sizes{.ranks = 2, .expert = 2, .global_batch_size = 2, .sequence_length = 5};
  const double once = cost_of(tiny_olmoe(), table(), sizes).all_to_all_bytes;
  sizes.checkpoint_activations = true;
  EXPECT_EQ(cost_of(tiny_olmoe(), table(), sizes).all_to_all_bytes, once * 6 / 4);
}

// On a device four tensors of scores, 4 heads of 5 x 5, are there in the backward of a sequence.
TEST(Cost, CountsWholeScores) {
  Options wide = tiny_olmoe();
  CostOptions sizes{.sequence_length = 5000};
  const double tiles = cost_of(wide, table(), sizes).activation_bytes;
  sizes.whole_scores = true;
  const double whole = cost_of(wide, table(), sizes).activation_bytes;
  EXPECT_NEAR(whole - tiles, 4.0 * 4 * 5000 * 5000 * 4, 0.05 * whole);
}

// Two values beside each trained one, shared out with the experts and, where it is, the optimizer.
TEST(Cost, CountsWhatIsRememberedOfEarlierLearning) {
  const auto bytes = [](const CostOptions& sizes) {
    return cost_of(tiny_olmoe(), table(), sizes).remembered_bytes;
  };
  EXPECT_EQ(bytes({.ranks = 2, .expert = 2}), 0);
  EXPECT_EQ(bytes({.ranks = 2, .expert = 2, .remembered = 2}), 8.0 * (kDense + kExperts / 2));
  EXPECT_EQ(bytes({.ranks = 4, .expert = 2, .shard_optimizer = true, .remembered = 2}),
            8.0 * (kDense + kExperts) / 4);
  EXPECT_EQ(bytes({.ranks = 2, .expert = 2, .old_model = true}), 4.0 * (kDense + kExperts / 2));

  ParameterTable adapted = table();
  for (ParameterInfo& info : adapted) info.trainable = false;
  ParameterInfo factor = adapted[1];
  factor.adapter = factor.trainable = true;
  const double weight = static_cast<double>(adapted[1].numel());
  adapted.insert(adapted.begin() + 2, factor);
  const Cost cost = cost_of(tiny_olmoe(), adapted, {.remembered = 2, .remembered_of_adapted = 1});
  EXPECT_EQ(cost.remembered_bytes, 4.0 * weight);
}

}  // namespace
}  // namespace moesaic::arch
