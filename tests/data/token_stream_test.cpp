#include "data/token_stream.h"

#include <map>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::counting;
using testing::expect_error;
using testing::TemporaryFolder;
using testing::tokens_of;
using testing::values;
using Ids = std::vector<std::int64_t>;

// Ten sequences of three inputs: sequence k has the inputs 3k, 3k + 1, 3k + 2.
Sequences ten(const TemporaryFolder& folder) {
  return Sequences::packed(tokens_of(folder, {counting(31)}), 3);
}

TEST(TokenStream, MicroBatchesHoldInputsTargetsPositionsAndExamples) {
  const TemporaryFolder folder;
  const TokenStream stream({ten(folder)}, {1.0},
                           {.shuffle = false, .global_batch_size = 4, .micro_batch_size = 2});
  EXPECT_EQ(stream.micro_batches_per_step(), 2);
  const Batch batch = stream.micro_batch(1, 1);  // sequences 6 and 7
  EXPECT_EQ(values(batch.ids_T), (Ids{18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(values(batch.targets_T), (Ids{19, 20, 21, 22, 23, 24}));
  EXPECT_EQ(values(batch.positions_T), (Ids{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{2, 2, 2, 3, 3, 3}));
  const std::int64_t second = std::int64_t{2} << kPlaceBits, third = std::int64_t{3} << kPlaceBits;
  EXPECT_EQ(values(batch.place_T),
            (Ids{second, second + 1, second + 2, third, third + 1, third + 2}));
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 3, 6}));
}

TEST(TokenStream, RaggedSequencesKeepTheirLengths) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {{1, 2}, {3, 4, 5, 6}, {7, 8, 9}});
  const TokenStream stream({Sequences::per_document(tokens, 8, {TooLong::kStop})},
                           {1.0},
                           {.shuffle = false, .global_batch_size = 3, .micro_batch_size = 3});
  const Batch batch = stream.micro_batch(0, 0);
  EXPECT_EQ(values(batch.ids_T), (Ids{1, 3, 4, 5, 7, 8}));
  EXPECT_EQ(values(batch.targets_T), (Ids{2, 4, 5, 6, 8, 9}));
  EXPECT_EQ(values(batch.positions_T), (Ids{0, 0, 1, 2, 0, 1}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{0, 1, 1, 1, 2, 2}));
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 1, 4, 6}));
  EXPECT_EQ(batch.document_offsets, batch.attention_offsets);
  const StepSize size = stream.size(0);
  EXPECT_EQ(size.target_tokens, 6);
  EXPECT_EQ(size.input_tokens, 6);
  EXPECT_EQ(size.micro_batches, 1);
  EXPECT_EQ(size.documents, 3);
}

// A step is one set of sequences: how it is cut into micro-batches changes neither order nor ids.
TEST(TokenStream, TheCutIntoMicroBatchesDoesNotChangeAStep) {
  const TemporaryFolder folder;
  const auto other =
      Sequences::per_document(tokens_of(folder, {counting(5, 100), counting(3, 200)}, "other"), 3,
                              {TooLong::kChunk});
  const auto step_of = [&](std::int64_t micro, std::int64_t step) {
    const TokenStream stream({ten(folder), other}, {2.0, 1.0},
                             {.seed = 9, .global_batch_size = 12, .micro_batch_size = micro});
    Ids all;
    std::int64_t targets = 0;
    for (std::int64_t i = 0; i < stream.micro_batches_per_step(); ++i) {
      const Batch batch = stream.micro_batch(step, i);
      for (const auto* tensor : {&batch.ids_T, &batch.targets_T, &batch.example_id_T}) {
        EXPECT_EQ(tensor->numel(), batch.tokens());
      }
      const Ids ids = values(batch.ids_T), examples = values(batch.example_id_T);
      for (std::size_t t = 0; t < ids.size(); ++t) all.insert(all.end(), {ids[t], examples[t]});
      targets += batch.tokens();
    }
    EXPECT_EQ(targets, stream.size(step).target_tokens);
    return all;
  };
  for (const std::int64_t step : {0, 1, 7, 1000}) {
    const Ids whole = step_of(12, step);
    for (const std::int64_t micro : {1, 2, 3, 4, 6}) EXPECT_EQ(step_of(micro, step), whole);
  }
}

TEST(TokenStream, EveryEpochHasEachSequenceOnceAcrossSteps) {
  const TemporaryFolder folder;
  const TokenStream stream({ten(folder)}, {1.0},
                           {.seed = 2, .global_batch_size = 4, .micro_batch_size = 4});
  std::map<std::int64_t, int> seen;
  for (std::int64_t step = 0; step < 5; ++step) {  // 20 draws: two epochs of ten, not step-aligned
    for (const std::int64_t id : values(stream.micro_batch(step, 0).ids_T)) ++seen[id];
  }
  EXPECT_EQ(seen.size(), 30U);
  for (const auto& [id, count] : seen) EXPECT_EQ(count, 2) << id;
  EXPECT_EQ(stream.sequences(), 10);
  EXPECT_EQ(stream.max_token_id(), 30);
}

TEST(TokenStream, GlobalBatchMustBeAMultipleOfTheMicroBatch) {
  const TemporaryFolder folder;
  for (const auto& [global, micro] : std::map<int, int>{{5, 2}, {2, 4}, {0, 1}, {4, 0}, {3, -1}}) {
    expect_error(ErrorKind::kRecipe, "train.global_batch_size", [&] {
      TokenStream({ten(folder)}, {1.0}, {.global_batch_size = global, .micro_batch_size = micro});
    });
  }
}

// Of two documents the first has its second and third id as targets, the other one none.
TEST(TokenStream, TargetsAreThoseOfTheTokenFilesBits) {
  const TemporaryFolder folder;
  const auto tokens =
      tokens_of(folder, {{1, 2, 3, 4}, {5, 6, 7}}, "source", {{1, 1, 1, 0}, {1, 0, 0}});
  const TokenStream stream({Sequences::per_document(tokens, 8, {TooLong::kStop})},
                           {1.0},
                           {.shuffle = false, .global_batch_size = 2, .micro_batch_size = 2});
  const Batch batch = stream.micro_batch(0, 0);
  EXPECT_EQ(values(batch.ids_T), (Ids{1, 2, 3, 5, 6}));
  EXPECT_EQ(values(batch.targets_T), (Ids{2, 3, kNoTarget, kNoTarget, kNoTarget}));
  EXPECT_EQ(stream.size(0).target_tokens, 2);
  EXPECT_EQ(stream.size(0).input_tokens, 5);
  EXPECT_EQ(stream.size(0).documents, 2);
}

}  // namespace
}  // namespace moesaic
