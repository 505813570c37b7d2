#include "engine/round_sum.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "config/silos.h"
#include "core/error.h"
#include "engine/secure_values.h"
#include "federated/doubles.h"

namespace moesaic {
namespace {

std::string name_of_layer(const std::string& name) {
  return name.substr(0, name.find(".experts."));
}

std::int64_t values_of_expert(const RoundModel::Entry& entry) {
  return entry.tensor.numel() / entry.tensor.size(0);
}

// Whole numbers up to the most that a round can have are exact, where so many fit.
aggregate::SumFormat format_of_counts(double most, const aggregate::SumFormat& format) {
  const auto whole = static_cast<std::int64_t>(std::ceil(most));
  aggregate::SumFormat counts = format;
  counts.clip = std::ceil(most);
  counts.levels -= whole < format.levels ? format.levels % whole : 0;
  return counts;
}

}  // namespace

RoundSum::RoundSum(const Recipe& recipe, const RoundModel& model, std::size_t silos)
    : recipe_(recipe),
      model_(model),
      format_(format_of_sum(recipe, silos)),
      count_format_(format_of_counts(most_tokens_of(recipe), format_)),
      by_length_(recipe.federated->aggregator.type == "fednova"),
      by_tokens_(recipe.federated->aggregator.experts == "routed_tokens") {
  const FederatedOptions& federated = *recipe.federated;
  const auto steps = static_cast<double>(federated.local_steps.value_or(kLocalSteps));
  const OptimizerOptions& optimizer = recipe.optimizer;
  most_length_ = aggregate::fednova_length(steps, optimizer.type == "sgd" ? optimizer.momentum : 0);
  whole_rate_ = optimizer.learning_rate * (federated.local_epochs ? 1 : steps);
  for (const RoundModel::Entry& entry : model.shared())
    if (by_tokens_ && entry.scope == Scope::kExpert)
      experts_[name_of_layer(entry.name)] = static_cast<std::size_t>(entry.tensor.size(0));
}

template <class Use>
void RoundSum::for_runs(const Piece& piece, std::size_t count, const Use& use) const {
  const RoundModel::Entry& entry = model_.shared().at(piece.place);
  const bool cut = by_tokens_ && entry.scope == Scope::kExpert && entry.tensor.numel() > 0;
  if (!cut) return use(std::size_t{0}, count, nullptr, std::size_t{0});
  const std::string layer = name_of_layer(entry.name);
  const auto width = static_cast<std::size_t>(values_of_expert(entry));
  const auto first = static_cast<std::size_t>(piece.first);
  for (std::size_t begin = 0; begin < count;) {
    const std::size_t expert = (first + begin) / width;
    const std::size_t end = std::min(count, (expert + 1) * width - first);
    use(begin, end, &layer, expert);
    begin = end;
  }
}

double RoundSum::factor(const SumTerm& term, const std::string* layer, std::size_t expert) const {
  if (layer == nullptr) return factor_in_sum(recipe_, term.report) * term.scale;
  const auto found = term.report.routed_tokens.find(*layer);
  if (found == term.report.routed_tokens.end() || expert >= found->second.size()) return 0;
  const double part = std::min(1.0, found->second[expert] / count_format_.clip);
  const bool divide = by_length_ && term.report.steps > 0;
  return (divide ? part / term.report.steps : part) * term.scale;
}

std::vector<std::uint64_t> RoundSum::words(const SumTerm& term, const Piece& piece,
                                           std::span<const double> change) const {
  std::vector<double> values(change.begin(), change.end());
  if (piece.vector == 1) {
    const double rate = term.report.rate_sum;
    for (double& value : values) value *= rate > 0 ? whole_rate_ / rate : 0;
    return aggregate::quantised(format_, values);
  }
  for_runs(piece, values.size(),
           [&](std::size_t begin, std::size_t end, const std::string* layer, std::size_t expert) {
             const double by = factor(term, layer, expert);
             for (std::size_t i = begin; i < end; ++i) values[i] *= by;
           });
  return aggregate::quantised(format_, values);
}

std::uint64_t RoundSum::nonce_of(const Piece& piece) const {
  return piece.vector * model_.shared().size() + piece.place;
}

std::uint64_t RoundSum::nonce_of_counts(std::size_t number) const {
  return sums_of(recipe_) * model_.shared().size() + number;
}

RoundSum::Counts RoundSum::counts(const aggregate::SiloReport& report) const {
  Counts counts;
  for (const auto& [layer, here] : experts_) {
    const auto found = report.routed_tokens.find(layer);
    MOESAIC_CHECK(found != report.routed_tokens.end(), ErrorKind::kInternal,
                  "silo {} has counted no tokens of {}", report.silo, layer);
    std::vector<double> values = found->second;
    const double length = by_length_ ? std::min(1.0, report.steps / most_length_) : 0;
    if (by_length_)
      for (const double tokens : found->second) values.push_back(tokens * length);
    counts[layer] = aggregate::quantised(count_format_, values);
  }
  return counts;
}

RoundSum::Counts RoundSum::counts_in(const aggregate::SiloReport& report) const {
  Counts counts;
  for (const auto& [layer, here] : experts_) {
    const auto found = report.routed_tokens.find(layer);
    const bool good = found != report.routed_tokens.end() &&
                      found->second.size() == here * (by_length_ ? 2 : 1) &&
                      std::all_of(found->second.begin(), found->second.end(), [](double word) {
                        return word >= 0 && word < 4294967296.0 && word == std::floor(word);
                      });
    MOESAIC_CHECK(good, ErrorKind::kData, "silo {}: no masked counts of the experts of {}",
                  report.silo, layer);
    counts[layer].assign(found->second.begin(), found->second.end());
  }
  return counts;
}

void RoundSum::add(const Counts& counts, Counts& sum) const {
  for (const auto& [layer, words] : counts) {
    std::vector<std::uint64_t>& total = sum[layer];
    total.resize(words.size(), 0);
    aggregate::add_in_ring(count_format_, words, total);
  }
}

void RoundSum::close(std::vector<aggregate::SiloReport> reports, const Counts& sum) {
  std::sort(reports.begin(), reports.end(),
            [](const auto& a, const auto& b) { return a.silo < b.silo; });
  answered_ = reports.size();
  for (const aggregate::SiloReport& report : reports) {
    const double part = part_in_sum(recipe_, report);
    weight_.parts += part;
    weight_.lengths += part * report.steps;
  }
  MOESAIC_CHECK(weight_.parts > 0, ErrorKind::kData,
                "the silos of the round have trained on nothing");
  if (recipe_.federated->privacy) weight_.parts = 1;  // a private sum is divided by its aggregator
  for (const auto& [layer, words] : sum) {
    const std::vector<double> values = aggregate::dequantised(count_format_, words);
    const std::size_t experts = by_length_ ? values.size() / 2 : values.size();
    for (std::size_t e = 0; e < experts; ++e) {
      Weight weight{.parts = values[e] / count_format_.clip};
      if (by_length_) weight.lengths = values[experts + e] / count_format_.clip * most_length_;
      weights_[layer].push_back(weight);
    }
  }
}

void RoundSum::mean(const Piece& piece, std::span<const std::uint64_t> sum,
                    std::span<double> out) const {
  const std::vector<double> values = aggregate::dequantised(format_, sum);
  if (piece.vector == 1) {
    const double by = whole_rate_ * static_cast<double>(answered_);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i] / by;
    return;
  }
  for_runs(piece, values.size(),
           [&](std::size_t begin, std::size_t end, const std::string* layer, std::size_t expert) {
             const Weight& weight = layer == nullptr ? weight_ : weights_.at(*layer).at(expert);
             for (std::size_t i = begin; i < end; ++i) {
               out[i] = weight.parts > 0 ? values[i] / weight.parts : 0;
               if (by_length_ && weight.parts > 0) out[i] *= weight.lengths / weight.parts;
             }
           });
}

double scale_in_sum(const Recipe& recipe, double squares) {
  const aggregate::AggregatorOptions& rule = recipe.federated->aggregator;
  return rule.type == "norm_bound" ? std::min(1.0, rule.bound / std::sqrt(squares)) : 1;
}

// Over all values in their order, as a silo alone adds them up.
double scale_in_sum(const Recipe& recipe, const RankContext& slot, const RoundModel& model,
                    const std::vector<at::Tensor>& change) {
  if (recipe.federated->aggregator.type != "norm_bound") return 1;
  double squares = 0;
  for (std::size_t i = 0; i < change.size(); ++i) {
    at::Tensor values = change[i].to(at::kDouble).contiguous();
    if (model.shared()[i].scope == Scope::kExpert)
      values = slot.expert.all_gather(values, "round.whole experts");
    for (const double value : doubles_of(values)) squares += value * value;
  }
  return scale_in_sum(recipe, squares);
}

Exchange::Meeting sum_in_one_job(const Recipe& recipe, const RoundModel& model,
                                 std::vector<SumTerm> terms) {
  const auto sum = std::make_shared<RoundSum>(recipe, model, terms.size());
  RoundSum::Counts counts;
  std::vector<aggregate::SiloReport> reports;
  for (const SumTerm& term : terms) {
    sum->add(sum->counts(term.report), counts);
    reports.push_back(term.report);
  }
  sum->close(std::move(reports), counts);
  const std::size_t vectors = sums_of(recipe);
  return [sum, vectors, &model, terms = std::move(terms)](std::size_t place, std::int64_t first,
                                                          const std::vector<at::Tensor>& rows) {
    std::vector<at::Tensor> met;
    const std::string& name = model.shared().at(place).name;
    for (std::size_t vector = 0; vector < vectors; ++vector) {
      const RoundSum::Piece piece{vector, place, first};
      met.push_back(at::empty(rows.at(0).sizes(), at::kDouble));
      const std::span<double> mean = doubles_of(met.back());
      std::vector<std::uint64_t> total(mean.size(), 0);
      for (std::size_t k = 0; k < terms.size(); ++k) {
        const std::span<const double> change = doubles_of(rows.at(k));
        aggregate::require_change(terms[k].report.silo, name, change, mean.size());
        aggregate::add_in_ring(sum->format(), sum->words(terms[k], piece, change), total);
      }
      sum->mean(piece, total, mean);
    }
    return met;
  };
}

}  // namespace moesaic
