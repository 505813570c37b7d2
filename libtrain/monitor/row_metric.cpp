#include "monitor/row_metric.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>

#include "core/format.h"

namespace moesaic {
namespace {

constexpr const char* kPrefix = "moesaic_";

const std::map<std::string, std::string>& known_meanings() {
  static const std::map<std::string, std::string> meanings = {
      {"tokens", "Target tokens that the run has trained on; that inference has scored or made."},
      {"loss", "Cross entropy of a target token, in nats, mean over the step."},
      {"learning_rate", "Learning rate of the step."},
      {"grad_norm", "Norm of the gradient before clipping."},
      {"clip_factor", "What clipping has multiplied the gradient by."},
      {"clip_norm", "Bound of the gradient of a unit of private data."},
      {"rank_compute_s", "Time that a rank computes for a micro-batch."},
      {"rank_wait_s", "Time that a rank waits for others in a micro-batch."},
      {"valid_loss", "Loss at the last evaluation."},
      {"valid_accuracy", "Share of right answers at the last evaluation."},
      {"max_violation", "Most that an expert gets beyond its even share, over that share."},
      {"dead_experts", "Experts that got no token."},
      {"dropped_fraction", "Share of the choices of experts that were dropped."},
      {"active_experts", "Experts a token, mean."},
      {"flops_per_token", "Floating point operations of a token."},
      {"task", "Number of the task under way, from 1."},
      {"round", "Number of the finished round of the federation, from 1."},
      {"epsilon", "Privacy spent: upper bound of the ledger."},
      {"record_epsilon", "Privacy spent by the silos' records: the largest of their ledgers."},
      {"not_private", "1: noise or draws can be foretold, the run is not private."},
      {"tokens_per_s",
       "Target tokens a second since the row before; of inference: of the last second or two."},
      {"items", "Sequences that are scored, or texts that are made."},
      {"items_per_s", "Sequences or texts a second, in the last second or two of work."},
      {"latency_s", "Time of a sequence or text with those beside it, a mean as long."},
      {"step_s", "Time of the step."},
      {"sync_wait_s", "Time that steps waited for sums of gradients, since the row before."},
      {"checkpoint_s", "Time that the training waited for checkpoints, since the row before."},
      {"memory_peak_mb", "Most memory that rank 0 has had."},
      {"change_bytes", "Bytes of the changes that the silos sent in the round."},
      {"silos_refused", "Silos whose change could not be taken in the round."}};
  return meanings;
}

struct Suffix {
  std::string_view of_row, of_metric;
  double unit;
};
// The first that fits; longer ones before what they end in.
constexpr std::array kSuffixes = {Suffix{"_per_s", "_per_second", 1},
                                  Suffix{"_ms", "_seconds", 1e-3}, Suffix{"_s", "_seconds", 1},
                                  Suffix{"_mb", "_bytes", 1024.0 * 1024.0}};
constexpr std::array<std::string_view, 4> kKeptSuffixes = {"_total", "_count", "_sum", "_bucket"};

std::string legal(std::string_view key) {
  std::string name;
  for (const char c : key)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 && static_cast<unsigned char>(c) < 128
                ? c
                : '_';
  return name;
}

RowMetric named(const std::string& key) {
  RowMetric metric;
  std::string name = legal(key);
  for (const Suffix& suffix : kSuffixes) {
    if (!name.ends_with(suffix.of_row)) continue;
    name = name.substr(0, name.size() - suffix.of_row.size()) + std::string(suffix.of_metric);
    metric.unit = suffix.unit;
    break;
  }
  if (std::any_of(kKeptSuffixes.begin(), kKeptSuffixes.end(),
                  [&](std::string_view suffix) { return name.ends_with(suffix); }))
    name += "_value";
  metric.name = kPrefix + name;
  const auto known = known_meanings().find(key);
  metric.help = known != known_meanings().end()
                    ? known->second
                    : format("{} of the newest row that has it.", legal(key));
  return metric;
}

/// What stands between the two ends of a key, "" where it has other ends.
std::string between(const std::string& key, std::string_view begin, std::string_view end) {
  const bool has_both =
      key.size() > begin.size() + end.size() && key.starts_with(begin) && key.ends_with(end);
  return has_both ? key.substr(begin.size(), key.size() - begin.size() - end.size()) : "";
}

}  // namespace

RowMetric row_metric(const std::string& key) {
  if (key == "loss_total")
    return {.name = "moesaic_objective", .help = "Sum of all terms of the loss."};
  if (const std::string term = between(key, "loss_", ""); !term.empty()) {
    return {.name = "moesaic_loss_term",
            .help = "Terms of the loss beside the cross entropy, as they are added.",
            .label = "term",
            .value = term};
  }
  if (const std::string silo = between(key, "silo_", "_loss"); !silo.empty()) {
    return {.name = "moesaic_silo_loss",
            .help = "Mean loss of the silo's local steps in the round.",
            .label = "region",
            .value = silo};
  }
  return named(key);
}

RowMetric list_metric(const std::string& key) {
  RowMetric metric = named(key);
  metric.label = key.starts_with("layer_") ? "layer" : "element";
  if (key.starts_with("rank_")) metric.label = "instance", metric.value = "rank-";
  return metric;
}

}  // namespace moesaic
