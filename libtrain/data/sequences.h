// Sequences: the training sequences of one source, cut from its token file by random access.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batch_builder.h"

namespace moesaic {

class TokenFile;

/// A sequence of n ids has n - 1 inputs and as many targets, less those that the token file says
/// are none. A sequence may be without a target; a source without one is Error(kData).
class Sequences {
 public:
  /// Packing: floor((N - 1) / S) sequences of S + 1 ids over the whole source. Error(kData) when
  /// there is no sequence at all.
  static Sequences packed(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length);

  enum class LongDocuments { kCut, kRefuse };
  /// One sequence a document of two ids or more. Documents of over S + 1 ids are cut so that each
  /// target occurs once, or refused. Error(kData) when there is no sequence at all.
  static Sequences per_document(std::shared_ptr<const TokenFile> tokens,
                                std::int64_t sequence_length, LongDocuments long_documents);

  std::int64_t size() const { return size_; }
  std::int64_t length(std::int64_t index) const;  // ids of one sequence
  std::int64_t inputs(std::int64_t index) const { return length(index) - 1; }
  std::int64_t targets(std::int64_t index) const;
  std::int64_t total_targets() const;
  /// Writes the `length(index)` ids of one sequence.
  void copy_ids(std::int64_t index, std::int64_t* out) const;
  /// Adds one sequence as a document.
  void add_to(BatchBuilder& batch, std::int64_t index,
              const BatchBuilder::Document& document) const;

  std::int64_t max_token_id() const;
  /// What messages call the source.
  const std::string& name() const;

 private:
  Sequences(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length);
  void add_document(std::int64_t start, std::int64_t end);
  void require_targets() const;
  std::int64_t start(std::int64_t index) const;  // its first id

  std::shared_ptr<const TokenFile> tokens_;
  std::int64_t sequence_length_;
  std::int64_t size_ = 0;
  // Of sequences by document; empty when packed, where both are computed.
  std::vector<std::int64_t> starts_;
  std::vector<std::uint32_t> lengths_;
};

}  // namespace moesaic
