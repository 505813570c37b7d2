// Sequences: the training sequences of one source, cut from its token file by random access.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batch_builder.h"
#include "data/document_pieces.h"

namespace moesaic {

class TokenFile;

/// A sequence has one document or more. Each of n ids has n - 1 inputs and as many targets, less
/// those that the token file says are none, or that a chunk before has had. A sequence may be
/// without a target; a source without one is Error(kData).
class Sequences {
 public:
  /// Packing: floor((N - 1) / S) sequences of S + 1 ids over the whole source, a document each.
  /// Error(kData) when there is no sequence at all.
  static Sequences packed(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length);

  /// One sequence a document of two ids or more; a long one is treated as is said, where each chunk
  /// is a sequence. Error(kData) when there is no sequence at all.
  static Sequences per_document(std::shared_ptr<const TokenFile> tokens,
                                std::int64_t sequence_length, const LongDocuments& long_documents);

  /// The same documents, several in a sequence of at most S inputs (best_fit.h).
  static Sequences best_fit(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length,
                            const LongDocuments& long_documents);

  std::int64_t size() const { return size_; }
  std::int64_t documents(std::int64_t index) const;  // of one sequence
  /// Its first id in the token file.
  std::int64_t start(std::int64_t index) const { return piece(index, 0).start; }
  std::int64_t length(std::int64_t index) const;     // ids of all of them
  std::int64_t inputs(std::int64_t index) const { return length(index) - documents(index); }
  std::int64_t targets(std::int64_t index) const;
  std::int64_t total_targets() const;
  /// Writes the `length(index)` ids of one sequence.
  void copy_ids(std::int64_t index, std::int64_t* out) const;
  /// Adds each document of one sequence.
  void add_to(BatchBuilder& batch, std::int64_t index,
              const BatchBuilder::Document& document) const;

  std::int64_t max_token_id() const;
  /// What messages call the source.
  const std::string& name() const;
  const TokenFile& tokens() const { return *tokens_; }
  /// Long documents of the source, by what became of them.
  std::int64_t truncated() const { return pieces_.truncated; }
  std::int64_t cut() const { return pieces_.cut; }
  std::int64_t skipped() const { return pieces_.skipped; }

 private:
  Sequences(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length);
  void require_sequences() const;
  void require_targets() const;
  Piece piece(std::int64_t index, std::int64_t document) const;

  std::shared_ptr<const TokenFile> tokens_;
  std::int64_t sequence_length_;
  std::int64_t size_ = 0;
  DocumentPieces pieces_;             // none when packed, where they are computed
  std::vector<std::int64_t> firsts_;  // first piece of each sequence; empty = it has one
};

}  // namespace moesaic
