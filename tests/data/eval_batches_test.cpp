#include "data/eval_batches.h"

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::counting;
using testing::TemporaryFolder;
using testing::tokens_of;
using testing::values;
using Ids = std::vector<std::int64_t>;

TEST(EvalBatches, RunThroughAllSourcesInOrderAndEndSmaller) {
  const TemporaryFolder folder;
  const auto first = Sequences::packed(tokens_of(folder, {counting(7)}, "first"), 2);        // 3
  const auto second = Sequences::packed(tokens_of(folder, {counting(5, 50)}, "second"), 2);  // 2
  const EvalBatches batches({first, second}, 2);
  ASSERT_EQ(batches.count(), 3);
  EXPECT_EQ(batches.sequences(), 5);
  EXPECT_EQ(batches.target_tokens(), 10);
  EXPECT_EQ(batches.max_token_id(), 54);
  EXPECT_EQ(values(batches.micro_batch(0).ids_T), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(values(batches.micro_batch(1).ids_T), (Ids{4, 5, 50, 51}));  // crosses the sources
  EXPECT_EQ(values(batches.micro_batch(2).ids_T), (Ids{52, 53}));
  EXPECT_EQ(values(batches.micro_batch(2).targets_T), (Ids{53, 54}));
  EXPECT_EQ(values(batches.micro_batch(2).example_id_T), (Ids{4, 4}));
}

TEST(EvalBatches, WithoutSourcesThereAreNone) {
  const EvalBatches batches({}, 4);
  EXPECT_EQ(batches.count(), 0);
  EXPECT_EQ(batches.sequences(), 0);
  EXPECT_EQ(batches.target_tokens(), 0);
}

}  // namespace
}  // namespace moesaic
