// `moesaic data split`: one JSONL corpus as the data of several silos, for studies of federations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/log.h"

namespace moesaic {

struct SplitOptions {
  std::string source;  // file or glob of JSONL
  std::int64_t parts = 2;
  std::string by = "quantity";  // quantity | label | dirichlet | field
  std::string field = "label";  // key of a line: a text, a whole number, true or false
  double alpha = 0.5;           // of the Dirichlet distribution (quantity, dirichlet)
  std::uint64_t seed = 1234;
  std::string output;  // folder
};

/// quantity: lines at random, sizes by Dirichlet(alpha); dirichlet: of each label's lines, the
/// parts get shares by Dirichlet(alpha); label, field: all lines of one value in one part, the
/// largest values first, each to the part with the fewest lines (Li et al., arXiv 2102.02079). Part
/// of each line, 0 ... parts - 1. `labels`: numbers 0 ... values - 1 of the lines. The same seed
/// gives the same parts. Shares are drawn again where a part would have no line; Error(kData) when
/// that does not help.
std::vector<std::uint32_t> parts_of_lines(const SplitOptions& options,
                                          const std::vector<std::uint32_t>& labels,
                                          std::size_t values);

/// Writes OUTPUT/part-<i>.jsonl, the lines as they are and in their order, and OUTPUT/split.json
/// with lines, bytes, digest and values of each, which it returns. Reads the source twice; memory
/// is 8 bytes a line. Error(kData) for a line without the field or not of JSON, naming it;
/// Error(kUsage) when a file of that name is there.
Json split_corpus(const SplitOptions& options, const Log& log);

/// For the terminal: one line a part.
std::string readable_split(const Json& split);

}  // namespace moesaic
