// DocumentPieces: what of each document goes into sequences, and what is done with those that are
// too long.
#pragma once

#include <cstdint>
#include <vector>

namespace moesaic {

class TokenFile;

/// A stretch of a document that goes into one sequence: all ids but the last are inputs.
struct Piece {
  std::int64_t start = 0;    // its first id in the token file
  std::uint32_t ids = 0;     // 2 or more
  std::uint32_t repeats = 0;  // targets at its beginning that the piece before has had

  std::int64_t inputs() const { return std::int64_t{ids} - 1; }
};

enum class TooLong { kStop, kTruncate, kSkip, kChunk };

/// What is done with a document of more than data.sequence_length + 1 ids.
struct LongDocuments {
  TooLong too_long = TooLong::kStop;
  std::int64_t overlap = 0;  // inputs that a chunk shares with the one before; below the length
};

struct DocumentPieces {
  std::vector<Piece> list;  // in the order of the file; documents of one id have none
  std::int64_t truncated = 0, cut = 0, skipped = 0;  // documents
};

/// Pieces of at most `sequence_length` inputs. Error(kData) where a long document stops it.
DocumentPieces pieces_of(const TokenFile& tokens, std::int64_t sequence_length,
                         const LongDocuments& long_documents);

}  // namespace moesaic
