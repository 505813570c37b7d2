#include "data/best_fit.h"

#include <numeric>

#include "data/token_stream.h"
#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::counting;
using testing::expect_error;
using testing::ids_of;
using testing::TemporaryFolder;
using testing::tokens_of;
using testing::values;
using Ids = std::vector<std::int64_t>;

std::vector<Piece> pieces_with(const Ids& inputs) {
  std::vector<Piece> pieces;
  std::int64_t start = 0;
  for (const std::int64_t count : inputs) {
    pieces.push_back({start, static_cast<std::uint32_t>(count + 1), 0});
    start += count + 1;
  }
  return pieces;
}

Ids inputs_of(const std::vector<Piece>& pieces) {
  Ids inputs;
  for (const Piece& piece : pieces) inputs.push_back(piece.inputs());
  return inputs;
}

TEST(BestFit, PutsTheLongestFirstIntoTheFullestThatHasRoom) {
  auto pieces = pieces_with({3, 5, 2, 7, 3});  // 7 + 3, 5 + 3 + 2
  EXPECT_EQ(pack_best_fit(pieces, 10), (Ids{0, 2, 5}));
  EXPECT_EQ(inputs_of(pieces), (Ids{3, 7, 5, 2, 3}));
  auto full = pieces_with({4, 4});
  EXPECT_EQ(pack_best_fit(full, 4), (Ids{0, 1, 2}));
  std::vector<Piece> none;
  EXPECT_EQ(pack_best_fit(none, 4), (Ids{0}));
}

TEST(BestFit, LosesNothingAndFillsSequences) {
  Ids inputs(200'000);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = 1 + static_cast<std::int64_t>(i * i * 2654435761U % 300);
  auto pieces = pieces_with(inputs);
  const Ids firsts = pack_best_fit(pieces, 512);
  ASSERT_EQ(pieces.size(), inputs.size());
  Ids starts;
  for (const Piece& piece : pieces) starts.push_back(piece.start);
  std::sort(starts.begin(), starts.end());
  EXPECT_EQ(std::adjacent_find(starts.begin(), starts.end()), starts.end());
  std::int64_t total = 0;
  for (std::size_t i = 0; i + 1 < firsts.size(); ++i) {
    std::int64_t sum = 0;
    for (std::int64_t p = firsts[i]; p < firsts[i + 1]; ++p)
      sum += pieces[static_cast<std::size_t>(p)].inputs();
    ASSERT_LE(sum, 512);
    total += sum;
  }
  EXPECT_GE(static_cast<double>(total), 0.98 * 512 * static_cast<double>(firsts.size() - 1));
}

TEST(BestFit, DocumentsOfASequenceAreSpansOfTheirOwn) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {counting(3), counting(4, 10), {7}}, "source",
                                {{1, 0, 1}, {1, 1, 1, 1}, {1}});
  const auto sequences = Sequences::best_fit(tokens, 5, {});
  ASSERT_EQ(sequences.size(), 1);
  EXPECT_EQ(sequences.documents(0), 2);
  EXPECT_EQ(sequences.inputs(0), 5);
  EXPECT_EQ(sequences.targets(0), 4);
  EXPECT_EQ(ids_of(sequences, 0), (Ids{0, 1, 2, 10, 11, 12, 13}));
  const TokenStream stream({sequences}, {1.0}, {.global_batch_size = 1, .micro_batch_size = 1});
  EXPECT_EQ(stream.size(0).documents, 2);
  EXPECT_EQ(stream.size(0).input_tokens, 5);
  const Batch batch = stream.micro_batch(0, 0);
  EXPECT_EQ(values(batch.ids_T), (Ids{0, 1, 10, 11, 12}));
  EXPECT_EQ(values(batch.targets_T), (Ids{kNoTarget, 2, 11, 12, 13}));
  EXPECT_EQ(values(batch.positions_T), (Ids{0, 1, 0, 1, 2}));
  EXPECT_EQ(batch.attention_offsets, (Ids{0, 2, 5}));
  EXPECT_EQ(batch.document_offsets, (Ids{0, 2, 5}));
}

TEST(LongDocumentsOf, AreTreatedAsIsSaid) {
  const TemporaryFolder folder;
  const auto tokens = tokens_of(folder, {counting(3), counting(9, 10)});
  const auto with = [&](LongDocuments long_documents) {
    return Sequences::per_document(tokens, 4, long_documents);
  };
  expect_error(ErrorKind::kData, "document 2 has 9 token ids, at most 5",
               [&] { with({TooLong::kStop}); });
  const auto truncated = with({TooLong::kTruncate});
  EXPECT_EQ(ids_of(truncated, 1), (Ids{10, 11, 12, 13, 14}));
  EXPECT_EQ(truncated.truncated(), 1);
  const auto skipped = with({TooLong::kSkip});
  EXPECT_EQ(skipped.size(), 1);
  EXPECT_EQ(skipped.skipped(), 1);
  const auto cut = with({TooLong::kChunk, 1});
  ASSERT_EQ(cut.size(), 4);
  EXPECT_EQ(ids_of(cut, 1), (Ids{10, 11, 12, 13, 14}));
  EXPECT_EQ(ids_of(cut, 2), (Ids{13, 14, 15, 16, 17}));
  EXPECT_EQ(ids_of(cut, 3), (Ids{16, 17, 18}));
  EXPECT_EQ(cut.total_targets(), 2 + 8);  // each once
  EXPECT_EQ(cut.cut(), 1);
  BatchBuilder batch;
  cut.add_to(batch, 2, {});
  EXPECT_EQ(values(batch.build().targets_T), (Ids{kNoTarget, 15, 16, 17}));
  expect_error(ErrorKind::kRecipe, "data.overlap is 4", [&] { with({TooLong::kChunk, 4}); });
  const auto long_one = tokens_of(folder, {counting(9)}, "one");
  expect_error(ErrorKind::kData, "1 of them are too long and skipped",
               [&] { Sequences::per_document(long_one, 4, {TooLong::kSkip}); });
}

}  // namespace
}  // namespace moesaic
