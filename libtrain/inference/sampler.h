// Sampler: the next token from the logits of a model. A pure function of logits, seed and position.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

class Sampler {
 public:
  /// Applied in this order, as in Transformers: temperature, top-k, top-p, min-p.
  struct Options {
    double temperature = 0;  // 0 = greedy: the most probable token, the first of equal ones
    std::int64_t top_k = 0;  // keep the k most probable (and those equal to the k-th); 0 = all
    double top_p = 1;        // then the fewest whose probabilities sum to top_p (Holtzman 2020)
    double min_p = 0;  // then those of at least min_p times the highest probability (Nguyen 2024)
    std::uint64_t seed = 0;
  };
  struct Candidate {
    std::int64_t id;
    double probability;  // of those that are left
  };

  explicit Sampler(const Options& options) : options_(options) {}

  /// The id drawn at `position`, the number of tokens before it. logits_V: float32 or float64 on
  /// the CPU. Error(kCheckpoint) when none of them is a number.
  std::int64_t pick(const at::Tensor& logits_V, std::int64_t position) const;

  /// What pick() draws from, most probable first; temperature > 0.
  std::vector<Candidate> candidates(const at::Tensor& logits_V) const;

 private:
  Options options_;
};

}  // namespace moesaic
