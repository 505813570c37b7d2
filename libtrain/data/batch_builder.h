// BatchBuilder: documents to a Batch; the only place that makes one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "data/batch.h"

namespace moesaic {

class BatchBuilder {
 public:
  struct Document {
    std::int64_t example = 0;     // whose it is, from 0; one example may have several documents
    std::int64_t position = 0;    // of the first id: above 0 where the document was read in part
    bool last_is_input = false;   // the last id goes in, too, and has no target
    bool has_targets = true;      // false: only what goes in matters
    bool joins_previous = false;  // attention reaches the document added before, of one example
    std::optional<std::uint32_t> draws = {};  // its places have their own draws, from this number on
  };

  /// Adds a row for each id that goes in: all but the last, which is a target only, or all of them.
  /// The target of a row is the next id, where `may_be_target` (one value an id; empty = all may)
  /// is not 0 for it. There must be one row at least. Positions count from that of the document,
  /// places go on in the example.
  void add(std::span<const std::int64_t> ids, const Document& document,
           std::span<const std::uint8_t> may_be_target = {});

  Batch build() const;

 private:
  std::vector<std::int64_t> ids_, targets_, positions_, examples_, places_;
  std::vector<std::int64_t> attention_offsets_ = {0}, document_offsets_ = {0};
  std::unordered_map<std::int64_t, std::int64_t> rows_of_example_;
};

}  // namespace moesaic
