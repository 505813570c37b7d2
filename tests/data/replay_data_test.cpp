#include "data/replay_data.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/batch_builder.h"

namespace moesaic {
namespace {

// Draw n is a sequence whose ids are all first + n, of n % 3 + 1 tokens in one or two documents.
class Numbers : public StepData {
 public:
  explicit Numbers(std::int64_t first) : first_(first) {}
  StepSize size(std::int64_t step) const override {
    const Batch batch = micro_batch(step, 0);
    return {.target_tokens = batch.tokens(),
            .input_tokens = batch.tokens(),
            .micro_batches = 1,
            .documents = batch.documents()};
  }
  Batch micro_batch(std::int64_t step, std::int64_t) const override {
    BatchBuilder batch;
    batch.add(std::vector<std::int64_t>(static_cast<std::size_t>(step % 3 + 2), first_ + step),
              {.example = 0});
    if (step % 2 == 1) batch.add(std::vector<std::int64_t>(2, first_ + step), {.example = 0});
    return batch.build();
  }

 private:
  std::int64_t first_;
};

ReplayData replay(double share, std::int64_t global, std::int64_t micro) {
  return {std::make_unique<Numbers>(1000), std::make_unique<Numbers>(5000),
          ReplayData::Options{share, global, micro}};
}

// The first id of each example of a step, in the order of the examples.
std::vector<std::int64_t> ids_of(const ReplayData& data, std::int64_t step) {
  std::map<std::int64_t, std::int64_t> id_of;
  for (std::int64_t i = 0; i < data.size(step).micro_batches; ++i) {
    const Batch batch = data.micro_batch(step, i);
    for (std::int64_t t = 0; t < batch.tokens(); ++t)
      id_of[batch.example_id_T[t].item<std::int64_t>()] = batch.ids_T[t].item<std::int64_t>();
  }
  std::vector<std::int64_t> ids;
  for (const auto& [example, id] : id_of) {
    EXPECT_EQ(example, std::ssize(ids));
    ids.push_back(id);
  }
  return ids;
}

TEST(ReplayData, DrawsBothKindsInOrderAndHoldsTheShareOverTheSteps) {
  const ReplayData data = replay(0.05, 8, 4);  // 0.4 sequences a step
  std::int64_t fresh = 0, old = 0;
  for (std::int64_t step = 0; step < 50; ++step) {
    const auto ids = ids_of(data, step);
    ASSERT_EQ(ids.size(), 8U);
    std::int64_t here = 0;
    for (const std::int64_t id : ids) {
      EXPECT_EQ(id, id < 5000 ? 1000 + fresh : 5000 + old);
      ++(id < 5000 ? fresh : old);
      here += id >= 5000;
    }
    EXPECT_LE(here, 1);
    EXPECT_LE(std::abs(static_cast<double>(old) - 0.4 * static_cast<double>(step + 1)), 0.5);
  }
  EXPECT_EQ(old, 20);
}

TEST(ReplayData, TheCutIntoMicroBatchesDoesNotChangeAStep) {
  const ReplayData whole = replay(0.3, 8, 8), cut = replay(0.3, 8, 2);
  for (std::int64_t step = 0; step < 5; ++step) {
    EXPECT_EQ(ids_of(whole, step), ids_of(cut, step));
    EXPECT_EQ(whole.size(step).target_tokens, cut.size(step).target_tokens);
    EXPECT_EQ(whole.size(step).documents, cut.size(step).documents);
    std::int64_t tokens = 0;
    std::set<std::int64_t> places;
    for (std::int64_t i = 0; i < 4; ++i) {
      const Batch batch = cut.micro_batch(step, i);
      tokens += batch.tokens();
      EXPECT_EQ(batch.attention_offsets.back(), batch.tokens());
      EXPECT_EQ(batch.document_offsets.back(), batch.tokens());
      for (std::int64_t t = 0; t < batch.tokens(); ++t)
        places.insert(batch.place_T[t].item<std::int64_t>());
    }
    EXPECT_EQ(tokens, cut.size(step).input_tokens);
    EXPECT_EQ(std::ssize(places), tokens);  // no two tokens share one
  }
}

TEST(ReplayData, WithoutAShareIsTheNewDataAlone) {
  const ReplayData data = replay(0, 4, 2);
  EXPECT_EQ(ids_of(data, 2), (std::vector<std::int64_t>{1008, 1009, 1010, 1011}));
}

// As the builder makes it of all examples at once.
TEST(Batch, JoinedExamplesAreOneBatch) {
  BatchBuilder together;
  std::vector<Batch> apart;
  for (std::int64_t e = 0; e < 3; ++e) {
    const std::vector<std::int64_t> ids = {e, e + 1, e + 2};
    together.add(ids, {.example = 4 + e});
    BatchBuilder one;
    one.add(ids, {.example = 0});
    apart.push_back(one.build());
  }
  const Batch expected = together.build(), batch = joined(apart, 4);
  EXPECT_TRUE(at::equal(batch.ids_T, expected.ids_T));
  EXPECT_TRUE(at::equal(batch.targets_T, expected.targets_T));
  EXPECT_TRUE(at::equal(batch.positions_T, expected.positions_T));
  EXPECT_TRUE(at::equal(batch.example_id_T, expected.example_id_T));
  EXPECT_TRUE(at::equal(batch.place_T, expected.place_T));
  EXPECT_EQ(batch.attention_offsets, expected.attention_offsets);
  EXPECT_EQ(batch.document_offsets, expected.document_offsets);
}

}  // namespace
}  // namespace moesaic
