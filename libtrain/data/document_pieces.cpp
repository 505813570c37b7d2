#include "data/document_pieces.h"

#include <algorithm>

#include "core/error.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

Piece piece_between(std::int64_t start, std::int64_t end, std::int64_t repeats = 0) {
  return {start, static_cast<std::uint32_t>(end - start), static_cast<std::uint32_t>(repeats)};
}

// Each target occurs once: those of what two chunks share belong to the first.
void add_chunks(std::int64_t start, std::int64_t end, std::int64_t sequence_length,
                std::int64_t overlap, std::vector<Piece>& list) {
  for (std::int64_t first = start;; first += sequence_length - overlap) {
    const std::int64_t last = std::min(first + sequence_length + 1, end);
    list.push_back(piece_between(first, last, first == start ? 0 : overlap));
    if (last == end) return;
  }
}

[[noreturn]] void refuse_long(const TokenFile& tokens, std::int64_t document, std::int64_t ids,
                              std::int64_t sequence_length) {
  throw Error(ErrorKind::kData,
              format("{}: document {} has {} token ids, at most {} are allowed "
                     "(data.sequence_length + 1)",
                     tokens.name(), document + 1, ids, sequence_length + 1),
              "raise data.sequence_length, or say in data.too_long what becomes of long documents: "
              "truncate, skip or chunk");
}

}  // namespace

DocumentPieces pieces_of(const TokenFile& tokens, std::int64_t sequence_length,
                         const LongDocuments& long_documents) {
  MOESAIC_CHECK(long_documents.overlap >= 0 && long_documents.overlap < sequence_length,
                ErrorKind::kRecipe, "data.overlap is {}, it must be below data.sequence_length, {}",
                long_documents.overlap, sequence_length);
  DocumentPieces pieces;
  for (std::int64_t i = 0; i < tokens.documents(); ++i) {
    const std::int64_t start = tokens.document_start(i), end = tokens.document_start(i + 1);
    if (end - start < 2) continue;
    if (end - start <= sequence_length + 1) {
      pieces.list.push_back(piece_between(start, end));
      continue;
    }
    switch (long_documents.too_long) {
      case TooLong::kStop:
        refuse_long(tokens, i, end - start, sequence_length);
      case TooLong::kTruncate:
        pieces.list.push_back(piece_between(start, start + sequence_length + 1));
        ++pieces.truncated;
        break;
      case TooLong::kSkip:
        ++pieces.skipped;
        break;
      case TooLong::kChunk:
        add_chunks(start, end, sequence_length, long_documents.overlap, pieces.list);
        ++pieces.cut;
        break;
    }
  }
  return pieces;
}

}  // namespace moesaic
