// The canaries of an audit: sequences of random token ids, of which about half are in the training
// data; and what a model says of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "accounting/audit.h"
#include "config/recipe.h"

namespace moesaic::cli {

struct Canaries {
  std::vector<std::vector<std::uint32_t>> ids;
  std::vector<bool> is_in;  // each with probability 1/2

  std::size_t size() const { return ids.size(); }
};

/// Each makes one sequence and one unit of the recipe's kind. A function of the recipe's seed.
Canaries make_canaries(const Recipe& recipe, std::int64_t count);

/// As JSON lines: all of them, for moesaic score; or, as a source of training data, those that are
/// in.
std::string lines_of_all(const Canaries& canaries);
std::string lines_of_those_in(const Canaries& canaries, const DataOptions& data);

/// The sums "nll" of what moesaic score wrote, as many as there are canaries; Error(kData) else.
std::vector<double> read_nll(const std::string& path, std::size_t canaries);

/// The tenth with the highest scores is guessed to be in, that with the lowest to be out.
accounting::AuditCount guess(const Canaries& canaries, const std::vector<double>& scores);

/// The probability that one that is in has a higher score than one that is not.
double membership_auc_of(const Canaries& canaries, const std::vector<double>& scores);

}  // namespace moesaic::cli
