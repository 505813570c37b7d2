#include "data/sequences.h"

#include <numeric>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::counting;
using testing::expect_error;
using testing::ids_of;
using testing::TemporaryFolder;
using testing::tokens_of;
using Ids = std::vector<std::int64_t>;

TEST(Sequences, PackedOnesStartWhereTheInputsOfTheLastEnd) {
  const TemporaryFolder folder;
  const auto packed = Sequences::packed(tokens_of(folder, {counting(5), counting(6, 5)}), 3);
  ASSERT_EQ(packed.size(), 3);  // floor((11 - 1) / 3); id 10 is left out
  EXPECT_EQ(ids_of(packed, 0), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids_of(packed, 1), (Ids{3, 4, 5, 6}));
  EXPECT_EQ(ids_of(packed, 2), (Ids{6, 7, 8, 9}));
  EXPECT_EQ(packed.targets(0), 3);
  EXPECT_EQ(packed.total_targets(), 9);
  EXPECT_EQ(packed.max_token_id(), 10);
}

TEST(Sequences, PackingCountsAtItsEdges) {
  const TemporaryFolder folder;
  EXPECT_EQ(Sequences::packed(tokens_of(folder, {counting(4)}), 3).size(), 1);
  EXPECT_EQ(Sequences::packed(tokens_of(folder, {counting(6)}), 3).size(), 1);
  EXPECT_EQ(Sequences::packed(tokens_of(folder, {counting(7)}), 3).size(), 2);
  EXPECT_EQ(Sequences::packed(tokens_of(folder, {counting(2)}), 1).size(), 1);
}

TEST(Sequences, TooFewIdsAreAnErrorThatCounts) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {counting(3)}, "corpus.txt");
  expect_error(ErrorKind::kData, "corpus.txt: 3 token ids make no sequence, one needs 4",
               [&] { Sequences::packed(tokens, 3); });
  expect_error(ErrorKind::kData, "corpus.txt: 3 token ids make no sequence, one needs 2147483647",
               [&] { Sequences::packed(tokens, 2147483646); });
  const auto single = tokens_of(folder, {{1}, {2}}, "ones.txt");
  expect_error(ErrorKind::kData, "ones.txt: no sequence in 2 documents with 2 token ids",
               [&] { Sequences::per_document(single, 3, {TooLong::kChunk}); });
}

TEST(Sequences, LengthOutOfRangeIsARecipeError) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {counting(3)});
  for (const std::int64_t length : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40U}) {
    expect_error(ErrorKind::kRecipe, "data.sequence_length",
                 [&] { Sequences::packed(tokens, length); });
  }
}

TEST(Sequences, DocumentsAreSequencesOfTheirOwnLength) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {{1, 2}, {3}, {4, 5, 6, 7}});  // {3} has no target
  const auto sequences = Sequences::per_document(tokens, 3, {TooLong::kStop});
  ASSERT_EQ(sequences.size(), 2);
  EXPECT_EQ(ids_of(sequences, 0), (Ids{1, 2}));
  EXPECT_EQ(ids_of(sequences, 1), (Ids{4, 5, 6, 7}));
  EXPECT_EQ(sequences.total_targets(), 4);
}

TEST(Sequences, LongDocumentsAreCutSoThatEachTargetOccursOnce) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {counting(8), {50, 51}, counting(7, 20)});
  const auto sequences = Sequences::per_document(tokens, 3, {TooLong::kChunk});
  ASSERT_EQ(sequences.size(), 6);
  EXPECT_EQ(ids_of(sequences, 0), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids_of(sequences, 1), (Ids{3, 4, 5, 6}));
  EXPECT_EQ(ids_of(sequences, 2), (Ids{6, 7}));
  EXPECT_EQ(ids_of(sequences, 3), (Ids{50, 51}));
  EXPECT_EQ(ids_of(sequences, 4), (Ids{20, 21, 22, 23}));
  EXPECT_EQ(ids_of(sequences, 5), (Ids{23, 24, 25, 26}));
  EXPECT_EQ(sequences.total_targets(), 7 + 1 + 6);
}

// The first id of a sequence is a target of nothing, and that of a later part was one before.
TEST(Sequences, CountTheTargetsThatTheTokenFileHas) {
  const TemporaryFolder folder;
  const testing::TargetBits bits = {{1, 0, 1, 1, 0, 1}, {1, 0}, {0, 1}};
  const auto tokens = tokens_of(folder, {counting(6), {50, 51}, {60, 61}}, "source", bits);
  const auto count = [](const Sequences& sequences) {
    Ids targets;
    for (std::int64_t i = 0; i < sequences.size(); ++i) targets.push_back(sequences.targets(i));
    EXPECT_EQ(std::accumulate(targets.begin(), targets.end(), std::int64_t{0}),
              sequences.total_targets());
    return targets;
  };
  EXPECT_EQ(count(Sequences::per_document(tokens, 3, {TooLong::kChunk})),
            (Ids{2, 1, 0, 1}));
  const auto packed = Sequences::packed(tokens, 3);
  EXPECT_EQ(count(packed), (Ids{2, 2, 1}));  // 0 1 1 | 0 1 1 | 0 0 1
  EXPECT_EQ(packed.inputs(0), 3);
}

TEST(Sequences, ASourceWithoutATargetIsAnError) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {{1, 2, 3}, {4, 5}}, "chats.tokens", {{1, 0, 0}, {1, 0}});
  expect_error(ErrorKind::kData, "chats.tokens: none of its 2 sequences has a target",
               [&] { Sequences::per_document(tokens, 3, {TooLong::kChunk}); });
  const auto first = tokens_of(folder, {{1, 2, 3}}, "first.tokens", {{1, 0, 0}});
  expect_error(ErrorKind::kData, "first.tokens: none of its 1 sequences has a target",
               [&] { Sequences::packed(first, 2); });
}

TEST(Sequences, RefusedLongDocumentsAreNumbered) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {{1, 2}, counting(5)}, "ids.jsonl");
  expect_error(ErrorKind::kData, "ids.jsonl: document 2 has 5 token ids, at most 4",
               [&] { Sequences::per_document(tokens, 3, {TooLong::kStop}); });
}

}  // namespace
}  // namespace moesaic
