#include "data/batch_builder.h"

#include <set>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::values;
using Ids = std::vector<std::int64_t>;
using Bits = std::vector<std::uint8_t>;

std::int64_t place(std::int64_t example, std::int64_t offset) {
  return (example << kPlaceBits) + offset;
}

TEST(BatchBuilder, TellsApartTheDocumentsOfOneExample) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3, 4}, {.example = 5});
  builder.add(Ids{7, 8, 9}, {.example = 5});
  builder.add(Ids{10, 11}, {.example = 6});
  const Batch batch = builder.build();
  EXPECT_EQ(values(batch.ids_T), (Ids{1, 2, 3, 7, 8, 10}));
  EXPECT_EQ(values(batch.targets_T), (Ids{2, 3, 4, 8, 9, 11}));
  EXPECT_EQ(values(batch.positions_T), (Ids{0, 1, 2, 0, 1, 0}));
  EXPECT_EQ(values(batch.example_id_T), (Ids{5, 5, 5, 5, 5, 6}));
  EXPECT_EQ(values(batch.place_T),
            (Ids{place(5, 0), place(5, 1), place(5, 2), place(5, 3), place(5, 4), place(6, 0)}));
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 3, 5, 6}));
  EXPECT_EQ(batch.document_offsets, (Ids{0, 3, 5, 6}));
  EXPECT_EQ(batch.tokens(), 6);
  EXPECT_EQ(batch.documents(), 3);
  EXPECT_EQ(batch.attention_spans(), 3);
}

TEST(BatchBuilder, DocumentsOfOneExampleMayShareTheirAttention) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3, 4}, {.example = 0});
  builder.add(Ids{7, 8, 9}, {.example = 0, .joins_previous = true});
  builder.add(Ids{5, 6}, {.example = 1});
  const Batch batch = builder.build();
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 5, 6}));
  EXPECT_EQ(batch.document_offsets, (Ids{0, 3, 5, 6}));
  EXPECT_EQ(values(batch.positions_T), (Ids{0, 1, 2, 0, 1, 0}));
}

TEST(BatchBuilder, PlacesDifferAlsoWhereAnExampleComesBack) {
  BatchBuilder builder;
  for (const std::int64_t example : {0, 1, 0, 1, 1})
    builder.add(Ids{1, 2, 3}, {.example = example});
  const Ids places = values(builder.build().place_T);
  EXPECT_EQ(std::set<std::int64_t>(places.begin(), places.end()).size(), 10U);
}

TEST(BatchBuilder, TargetsAreTheIdsThatMayBeOne) {
  BatchBuilder builder;
  builder.add(Ids{1, 2, 3, 4}, {.example = 0}, Bits{1, 0, 1, 0});
  builder.add(Ids{5, 6}, {.example = 1}, Bits{0, 1});
  builder.add(Ids{7, 8, 9}, {.example = 2, .last_is_input = true}, Bits{1, 1, 0});
  EXPECT_EQ(values(builder.build().targets_T),
            (Ids{kNoTarget, 3, kNoTarget, 6, 8, kNoTarget, kNoTarget}));
}

TEST(BatchBuilder, TheLastIdMayGoInWithoutATarget) {
  BatchBuilder builder;
  builder.add(Ids{4, 5, 6}, {.example = 3, .last_is_input = true});
  const Batch batch = builder.build();
  EXPECT_EQ(values(batch.ids_T), (Ids{4, 5, 6}));
  EXPECT_EQ(values(batch.targets_T), (Ids{5, 6, kNoTarget}));
}

TEST(BatchBuilder, ADocumentThatWasReadInPartGoesOnAtItsPosition) {
  BatchBuilder builder;
  builder.add(Ids{4, 5}, {.position = 17, .last_is_input = true, .has_targets = false});
  const Batch batch = builder.build();
  EXPECT_EQ(values(batch.positions_T), (Ids{17, 18}));
  EXPECT_EQ(values(batch.targets_T), (Ids{kNoTarget, kNoTarget}));
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 2}));
}

TEST(BatchBuilder, RefusesWhatIsNoDocument) {
  BatchBuilder builder;
  const auto refused = [&](const Ids& ids, const BatchBuilder::Document& document,
                           const Bits& bits) {
    expect_error(ErrorKind::kInternal, "batch_builder.cpp",
                 [&] { builder.add(ids, document, bits); });
  };
  refused({1}, {}, {});                      // no row
  refused({}, {.last_is_input = true}, {});  // no id
  refused({1, 2, 3}, {}, {1, 1});            // a bit too few
  refused({1, 2}, {.example = -1}, {});
  refused({1, 2}, {.example = std::int64_t{1} << 31U}, {});  // its places would overflow
  refused({1, 2}, {.joins_previous = true}, {});  // nothing to join
  builder.add(Ids{1, 2}, {.example = 0});
  refused({1, 2}, {.example = 1, .joins_previous = true}, {});  // another example
  EXPECT_EQ(builder.build().tokens(), 1);
}

}  // namespace
}  // namespace moesaic
