#include "continual/fisher_sample.h"

#include <gtest/gtest.h>

#include "data/batch_builder.h"

namespace moesaic {
namespace {

using Ids = std::vector<std::int64_t>;

Ids values(const at::Tensor& tensor) {
  const at::Tensor whole = tensor.contiguous();
  const auto* first = whole.const_data_ptr<std::int64_t>();
  return {first, first + whole.numel()};
}

/// Two sequences a micro-batch, two micro-batches a step; a sequence has documents of two tokens
/// and of one, whose ids say which sequence of all it is.
class PackedData : public StepData {
 public:
  StepSize size(std::int64_t) const override { return {.micro_batches = 2}; }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    BatchBuilder batch;
    for (std::int64_t i = 2 * index; i < 2 * index + 2; ++i) {
      const std::int64_t id = 10 * (4 * step + i);
      batch.add(Ids{id, id + 1, id + 2}, {.example = i});
      batch.add(Ids{id + 5, id + 6}, {.example = i});
    }
    return batch.build();
  }
};

struct Taken {
  Ids ids, examples, places;
  std::int64_t examples_counted = 0, micro_batches = 0;
};

Taken take(const FisherSample::Options& options) {
  const PackedData data;
  FisherSample sample(data, options, Communicator::single());
  Taken taken;
  const auto append = [](Ids& all, const Ids& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  while (const auto batch = sample.next()) {
    append(taken.ids, values(batch->ids_T));
    append(taken.examples, values(batch->example_id_T));
    for (const std::int64_t place : values(batch->place_T))
      taken.places.push_back(place & ((std::int64_t{1} << kPlaceBits) - 1));
  }
  taken.examples_counted = sample.examples();
  taken.micro_batches = sample.micro_batches();
  return taken;
}

TEST(FisherSample, IsTheFirstDrawsNumberedThroughSteps) {
  const Taken taken = take({.examples = 5});
  EXPECT_EQ(taken.ids, (Ids{0, 1, 5, 10, 11, 15, 20, 21, 25, 30, 31, 35, 40, 41, 45}));
  EXPECT_EQ(taken.examples, (Ids{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}));
  EXPECT_EQ(taken.places, (Ids{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(taken.examples_counted, 5);
  EXPECT_EQ(taken.micro_batches, 3);
}

TEST(FisherSample, IsAllSequencesWhereThereAreFewer) {
  const Taken taken = take({.examples = 100, .sequences = 3});
  EXPECT_EQ(taken.ids, (Ids{0, 1, 5, 10, 11, 15, 20, 21, 25}));
  EXPECT_EQ(taken.examples_counted, 3);
  EXPECT_EQ(taken.micro_batches, 2);
}

TEST(FisherSample, TakesDocumentsApart) {
  const Taken taken = take({.examples = 3, .documents = true});
  EXPECT_EQ(taken.ids, (Ids{0, 1, 5, 10, 11}));
  EXPECT_EQ(taken.examples, (Ids{0, 0, 1, 2, 2}));
  EXPECT_EQ(taken.places, (Ids{0, 1, 0, 0, 1}));
}

}  // namespace
}  // namespace moesaic
