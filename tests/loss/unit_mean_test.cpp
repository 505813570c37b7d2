#include "loss/unit_mean.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "data/batch_builder.h"

namespace moesaic {
namespace {

/// Unit 3: documents of 2 and 3 rows, the first without targets; unit 5: one of 4 rows.
Batch two_units() {
  BatchBuilder batch;
  const std::vector<std::int64_t> ids{1, 2, 3, 4, 5};
  batch.add(std::span(ids).first(3), {.example = 3, .has_targets = false});
  batch.add(std::span(ids).first(4), {.example = 3});
  batch.add(ids, {.example = 5});
  return batch.build();
}

TEST(UnitMean, CountsEachUnitOnceWhateverItsLength) {
  const UnitMean mean{.units = 10};
  const Batch batch = two_units();
  const at::Tensor weight = mean.of_targets(batch);
  EXPECT_TRUE(at::allclose(weight, at::tensor({1. / 30, 1. / 30, 1. / 30, 1. / 30, 1. / 30, 1. / 40,
                                               1. / 40, 1. / 40, 1. / 40},
                                              at::kDouble)));
  EXPECT_EQ(mean.of_documents(batch), (std::vector<double>{1. / 20, 1. / 20, 1. / 10}));
  EXPECT_TRUE(at::allclose(
      mean.of_rows(batch),
      at::tensor({1. / 40, 1. / 40, 1. / 60, 1. / 60, 1. / 60, 1. / 40, 1. / 40, 1. / 40, 1. / 40},
                 at::kDouble)));
}

TEST(UnitMean, OfNothing) {
  const UnitMean mean{.units = 10};
  EXPECT_EQ(mean.of_targets(empty_batch()).numel(), 0);
  EXPECT_TRUE(mean.of_documents(empty_batch()).empty());
  EXPECT_EQ(mean.of_rows(empty_batch()).numel(), 0);
}

}  // namespace
}  // namespace moesaic
