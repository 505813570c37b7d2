#include "data/batch.h"

#include "data/batch_builder.h"
#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::values;
using Ids = std::vector<std::int64_t>;

TEST(Batch, TheEmptyOneHasNoTokens) {
  const Batch batch = empty_batch();
  EXPECT_EQ(batch.tokens(), 0);
  EXPECT_EQ(batch.documents(), 0);
  EXPECT_EQ(batch.attention_spans(), 0);
  for (const auto* tensor :
       {&batch.ids_T, &batch.targets_T, &batch.positions_T, &batch.example_id_T, &batch.place_T}) {
    EXPECT_EQ(tensor->numel(), 0);
    EXPECT_EQ(tensor->scalar_type(), at::kLong);
  }
}

// Two documents of one example that share their attention: 1 2 3 (4) and 7 8 (9).
TEST(Batch, LooksAheadWithinADocument) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3, 4}, {.example = 0});
  builder.add(Ids{7, 8, 9}, {.example = 0, .joins_previous = true});
  const Batch batch = builder.build();
  EXPECT_EQ(values(ids_ahead(batch, 1)), (Ids{2, 3, 4, 8, 9}));
  EXPECT_EQ(values(ids_ahead(batch, 2)), (Ids{3, 4, 0, 9, 0}));
  EXPECT_EQ(values(targets_ahead(batch, 1)), (Ids{3, 4, kNoTarget, 9, kNoTarget}));
  EXPECT_EQ(values(targets_ahead(batch, 2)), (Ids{4, kNoTarget, kNoTarget, kNoTarget, kNoTarget}));
}

TEST(Batch, AheadOnlyTargetsAreToBePredicted) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3, 4}, {.example = 0}, std::vector<std::uint8_t>{1, 1, 0, 1});
  const Batch batch = builder.build();
  EXPECT_EQ(values(targets_ahead(batch, 1)), (Ids{kNoTarget, 4, kNoTarget}));
  EXPECT_EQ(values(ids_ahead(batch, 1)), (Ids{2, 3, 4}));  // known all the same
}

TEST(Batch, BeginsWithItsFirstRows) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3}, {.example = 4});
  builder.add(Ids{4, 5}, {.example = 4, .joins_previous = true});
  builder.add(Ids{6, 7, 8}, {.example = 5});
  const Batch first = first_rows(builder.build(), 2), none = first_rows(builder.build(), 0);
  EXPECT_EQ(values(first.ids_T), (Ids{1, 2}));
  EXPECT_EQ(values(first.targets_T), (Ids{2, 3}));
  EXPECT_EQ(first.attention_offsets, (Ids{0, 2}));  // was one span of 3
  EXPECT_EQ(first.document_offsets, (Ids{0, 2}));
  EXPECT_EQ(none.tokens(), 0);
  EXPECT_EQ(first_rows(builder.build(), 5).document_offsets, (Ids{0, 2, 3, 5}));
}

TEST(Batch, IsTheSameOnAnotherDevice) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3}, {.example = 1});
  builder.add(Ids{4, 5}, {.example = 1, .joins_previous = true});
  const Batch batch = builder.build(), other = to_device(batch, at::kCPU);
  EXPECT_EQ(values(other.ids_T), values(batch.ids_T));
  EXPECT_EQ(values(other.targets_T), values(batch.targets_T));
  EXPECT_EQ(values(other.positions_T), values(batch.positions_T));
  EXPECT_EQ(values(other.example_id_T), values(batch.example_id_T));
  EXPECT_EQ(values(other.place_T), values(batch.place_T));
  EXPECT_EQ(other.attention_offsets, batch.attention_offsets);
  EXPECT_EQ(other.document_offsets, batch.document_offsets);
}

}  // namespace
}  // namespace moesaic
