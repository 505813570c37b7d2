// Adapter: pairs of low-rank factors beside the weights of a model, and weights trained in full: in
// memory, or read as they are needed.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

namespace moesaic {

/// Beside a weight W [N, K], which with it is W + scale B A; beside those of routed experts [E, N,
/// K] for each one. With DoRA each row of the sum is brought to the length that `magnitude` says
/// (Liu et al. 2024, arXiv 2402.09353, section 4.1).
struct AdapterPair {
  at::Tensor a;          // [r, K] or [E, r, K]
  at::Tensor b;          // [N, r] or [E, N, r]
  at::Tensor magnitude;  // [N] or [E, N]; not defined: no DoRA
  double scale = 1;

  std::int64_t rank() const { return a.size(-2); }
};

/// Under the names of the parameters of the model, "experts.<i>." joined to "experts.".
struct Adapter {
  std::map<std::string, AdapterPair> pairs;  // by the name of the weight
  std::map<std::string, at::Tensor> saved;   // whole values in place of the model's
};

/// An adapter of which rows are read as they are needed. By one process alone.
class AdapterRows {
 public:
  struct Entry {
    bool is_pair = false;               // else whole values
    bool has_base = false;              // a pair beside whole values, not beside the model's
    at::ScalarType dtype = at::kFloat;  // of the values
    std::int64_t rows = 0;              // of the weight; of routed experts: experts
  };
  virtual ~AdapterRows() = default;

  /// By the name of the weight.
  const std::map<std::string, Entry>& entries() const { return entries_; }
  /// nullptr where the adapter leaves the weight as it is.
  const Entry* find(const std::string& weight) const;
  /// What rows [first, first + count) of the weight need of its pair.
  virtual AdapterPair pair(const std::string& weight, std::int64_t first,
                           std::int64_t count) const = 0;
  /// Rows [first, first + count) of whole values, or of those that a pair stands beside.
  virtual at::Tensor saved(const std::string& weight, std::int64_t first,
                           std::int64_t count) const = 0;
  /// Of all values; with names_base() also of the model that they belong to.
  virtual std::string digest() const = 0;
  virtual bool names_base() const { return false; }

  Adapter whole() const;

 protected:
  std::map<std::string, Entry> entries_;
};

/// Of an adapter in memory.
std::unique_ptr<AdapterRows> in_memory(Adapter adapter);

/// Rows of a weight with a pair, in the type of `weight`, which holds these rows; `pair` is what
/// AdapterRows::pair() gives for them.
at::Tensor adapted_rows(const AdapterPair& pair, const at::Tensor& weight);

}  // namespace moesaic
