#include "aggregate/server_step.h"

#include <cmath>

namespace moesaic::aggregate {
namespace {

std::span<double> part(std::vector<double>& whole, std::size_t first, std::size_t size,
                       double initial) {
  if (whole.size() < first + size) whole.resize(first + size, initial);
  return std::span(whole).subspan(first, size);
}

// v of the next round.
double next_variance(const AggregatorOptions& options, double variance, double change) {
  const double square = change * change, rest = 1 - options.beta_2;
  if (options.type == "fedadagrad") return variance + square;
  if (options.type == "fedadam") return options.beta_2 * variance + rest * square;
  const double difference = variance - square;  // fedyogi
  const double sign = difference > 0 ? 1.0 : difference < 0 ? -1.0 : 0.0;
  return variance - rest * square * sign;
}

}  // namespace

void server_step(const AggregatorOptions& options, const std::string& name, std::size_t first,
                 std::span<double> change, std::map<std::string, std::vector<double>>& state) {
  const std::string& type = options.type;
  const bool adaptive = type == "fedadam" || type == "fedyogi" || type == "fedadagrad";
  if (type == "fedavgm") {
    const auto momentum = part(state["momentum/" + name], first, change.size(), 0.0);
    for (std::size_t i = 0; i < change.size(); ++i)
      change[i] = momentum[i] = options.momentum * momentum[i] + change[i];
  } else if (adaptive) {
    const double beta = type == "fedadagrad" ? 0.0 : options.beta_1;
    const double initial = options.tau * options.tau;
    const auto momentum = part(state["momentum/" + name], first, change.size(), 0.0);
    const auto variance = part(state["variance/" + name], first, change.size(), initial);
    for (std::size_t i = 0; i < change.size(); ++i) {
      variance[i] = next_variance(options, variance[i], change[i]);
      momentum[i] = beta * momentum[i] + (1 - beta) * change[i];
      change[i] = momentum[i] / (std::sqrt(variance[i]) + options.tau);
    }
  }
  for (double& value : change) value *= options.learning_rate;
}

}  // namespace moesaic::aggregate
