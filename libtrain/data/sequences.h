// Sequences: the training sequences of one source, cut from its token files by random access.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moesaic {

class TokenFile;

/// Ids of one sequence: `ids.size() - 1` inputs and as many targets.
class Sequences {
 public:
  /// Packing: floor((N - 1) / S) sequences of S + 1 ids over the whole source. Otherwise one a document, longer
  /// text cut. Throws Error(kData) when there is no sequence at all.
  static Sequences packed(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length);
  static Sequences per_document(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length,
                                bool cut_long_documents);

  std::int64_t size() const { return static_cast<std::int64_t>(starts_.size()); }
  std::span<const std::uint32_t> ids(std::int64_t index) const;
  std::int64_t targets(std::int64_t index) const { return static_cast<std::int64_t>(ids(index).size()) - 1; }
  std::int64_t max_token_id() const;

 private:
  std::shared_ptr<const TokenFile> tokens_;
  std::vector<std::int64_t> starts_;
  std::vector<std::int64_t> lengths_;
};

}  // namespace moesaic
