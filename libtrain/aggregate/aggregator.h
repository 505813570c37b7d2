// The server's part of a round: how the changes of the silos become one change of the global model.
//
// A change is what local training made of a parameter, after minus before, by name of the
// parameter. Changes come in blocks of elements, the same block of all silos at once, so a round
// needs the memory of one block and of the server's state, not of silos x model. Sums run over the
// silos in the order of their names and in float64, so the result has the same bits in one job and
// across sites, however the blocks are cut. Torch-free; nothing here is collective.
//
//   Aggregator rule(options, all_silos);
//   rule.begin_round(reports);
//   if (rule.looks_first()) { for each block: rule.look(name, rows); rule.end_look(); }
//   for each block: rule.step(name, first, rows, out);  // global[first + i] += out[i]
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aggregate/options.h"
#include "aggregate/private_sum.h"

namespace moesaic::aggregate {

/// What a silo says of its round beside its change.
struct SiloReport {
  std::string silo;     // its name
  double examples = 0;  // that it trained on
  double tokens = 0;    // targets that it trained on
  double steps = 0;     // fednova: length of its path, see fednova_length(); else optimizer steps
  double rate_sum = 0;  // scaffold: sum of the learning rates of its local steps
  /// To each expert, by what stands before ".experts." in its parameters' names.
  std::map<std::string, std::vector<double>> routed_tokens = {};
};

/// One block: the values of each silo, in the order of Aggregator::reports(), all of one length.
using Rows = std::span<const std::span<const double>>;

/// Vectors of the server by name: momenta, controls. What the journal keeps beside the model.
using ServerState = std::map<std::string, std::vector<double>>;

/// Sums over the elements of a parameter, by its name: n x n squared distances between the silos'
/// changes, on the diagonal the squared norms. Ranks that look at different parameters merge
/// theirs; the end result does not depend on who looked at what.
using LookSums = std::map<std::string, std::vector<double>>;

class Aggregator {
 public:
  /// `all_silos`: silos of the federation, of which a round may have fewer (scaffold).
  Aggregator(AggregatorOptions options, std::size_t all_silos);

  /// The same with a private sum. Error(kRecipe) where the rule does not go with one.
  Aggregator(AggregatorOptions options, std::size_t all_silos, PrivateSum sum);

  /// The noise of the round that has begun, of a private sum: each round needs its own.
  void draw(const SumNoise& noise) { noise_ = noise; }

  /// A round with these silos, which are put in the order of their names. Error(kData) when a name
  /// comes twice, a number is not finite or negative, or they are too few for the rule. `refused`:
  /// silos of the round whose changes were refused before.
  void begin_round(std::vector<SiloReport> reports, std::size_t refused = 0);
  /// The same where only the sum over so many silos is seen: a block then has one row, the mean of
  /// their changes, and with scaffold after it that of their changes over their rate sums.
  void begin_sum(std::size_t silos);
  const std::vector<SiloReport>& reports() const { return reports_; }

  /// Whether all blocks must be looked at before the first step: krum, multi_krum, bulyan,
  /// norm_bound, and a private sum that is bounded here.
  bool looks_first() const;
  /// One block of parameter `name`; the blocks of a parameter in their order.
  void look(const std::string& name, Rows rows);
  LookSums& look_sums() { return look_sums_; }
  /// Fixes what the rule takes of each silo. look_sums() must have all parameters.
  void end_look();
  /// By place in reports(): what a silo's change is multiplied by, 0 where the rule leaves it out.
  /// Known after end_look(), or begin_round() where nothing is looked at.
  const std::vector<double>& scales() const { return scales_; }

  /// out[i] = what is added to element `first` + i of the global parameter `name`. Error(kData)
  /// naming the silo when a row has another length or a value that is not finite, and when the
  /// result is not finite.
  void step(const std::string& name, std::size_t first, Rows rows, std::span<double> out);

  /// "momentum/<name>", "variance/<name>", "control/<name>" (scaffold: c of the server, which the
  /// silos need), each as long as the elements stepped so far. May be filled from a journal.
  ServerState& state() { return state_; }
  const ServerState& state() const { return state_; }
  const AggregatorOptions& options() const { return options_; }

  /// The silos' shares of the mean of this parameter; they add up to 1.
  std::vector<double> weights_of(const std::string& name) const;

 private:
  void combine(const std::string& name, Rows rows, std::span<double> out) const;
  void add_privately(const std::string& name, std::size_t first, Rows rows,
                     std::span<double> out) const;
  void move_control(const std::string& name, std::size_t first, Rows rows);

  AggregatorOptions options_;
  std::size_t all_silos_;
  std::size_t hostile_ = 0;  // silos that the rule stands in this round
  std::size_t summed_ = 0;   // silos of a sum, 0 = each one is seen
  std::vector<SiloReport> reports_;
  std::vector<double> scales_;
  LookSums look_sums_;
  ServerState state_;
  std::optional<PrivateSum> private_;
  std::optional<SumNoise> noise_;  // of the round
};

/// Error(kData) naming the silo when its report cannot be taken by such a rule: an amount that is
/// negative or not finite, or none where the rule divides by it.
void require_report(const AggregatorOptions& options, const SiloReport& report);

/// Error(kData) naming silo and parameter when a change cannot be taken: another number of values
/// than the global parameter has, or one that is not finite. To be asked when a change arrives, so
/// that the round can go on without that silo.
void require_change(const std::string& silo, const std::string& name,
                    std::span<const double> values, std::size_t expected);

/// ||a||_1 of FedNova (arXiv 2007.07481, section 4) for `steps` of SGD with that momentum; of
/// other optimizers the number of steps (momentum 0).
double fednova_length(double steps, double momentum);

/// SCAFFOLD, option II (arXiv 1910.06378, algorithm 1): the control of a silo after its round.
/// silo_control -= control + change / rate_sum. In training the silo adds control - silo_control to
/// each gradient.
void move_silo_control(std::span<const double> control, std::span<const double> change,
                       double rate_sum, std::span<double> silo_control);

}  // namespace moesaic::aggregate
