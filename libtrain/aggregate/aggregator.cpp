#include "aggregate/aggregator.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include "aggregate/robust.h"
#include "aggregate/server_step.h"
#include "core/error.h"

namespace moesaic::aggregate {
namespace {

// All exponents at once, which compilers make vector code of.
bool all_finite(std::span<const double> values) {
  constexpr std::uint64_t kExponent = std::uint64_t{0x7ff} << 52, kOne = std::uint64_t{1} << 52;
  std::uint64_t carried = 0;
  for (const double value : values)
    carried |= (std::bit_cast<std::uint64_t>(value) & kExponent) + kOne;
  return carried >> 63 == 0;
}

bool is_amount(double value) { return std::isfinite(value) && value >= 0; }

// Shares of the total; all alike where there is nothing to tell them apart.
std::vector<double> shares(std::vector<double> amounts) {
  double total = 0;
  for (const double amount : amounts) total += amount;
  const double n = static_cast<double>(amounts.size());
  for (double& amount : amounts) amount = total > 0 ? amount / total : 1 / n;
  return amounts;
}

void add_scaled(std::span<const double> values, double factor, std::span<double> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += factor * values[i];
}

// Tokens of the expert whose parameter this is, "<layer>.experts.<number>....".
double routed_to(const SiloReport& report, const std::string& name) {
  constexpr std::string_view kExperts = ".experts.";
  const std::size_t place = name.find(kExperts);
  if (place == std::string::npos) return 0;
  const auto layer = report.routed_tokens.find(name.substr(0, place));
  if (layer == report.routed_tokens.end()) return 0;
  std::size_t expert = layer->second.size();
  std::from_chars(name.data() + place + kExperts.size(), name.data() + name.size(), expert);
  return expert < layer->second.size() ? layer->second[expert] : 0;
}

// Of each element the `of` of the values of the silos that count.
template <class Of>
void by_element(Rows rows, const std::vector<double>& scales, std::span<double> out, Of of) {
  std::vector<double> values;
  for (std::size_t i = 0; i < out.size(); ++i) {
    values.clear();
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (scales[k] > 0) values.push_back(rows[k][i]);
    }
    out[i] = of(values);
  }
}

}  // namespace

bool is_robust(const std::string& type) {
  return type == "median" || type == "trimmed_mean" || type == "krum" || type == "multi_krum" ||
         type == "bulyan";
}

std::int64_t fewest_silos(const AggregatorOptions& options) {
  if (options.type == "krum" || options.type == "multi_krum") return 2 * options.f + 3;
  return options.type == "bulyan" ? 4 * options.f + 3 : 1;
}

AggregatorOptions without_refused(AggregatorOptions options, std::size_t refused) {
  options.f = std::max<std::int64_t>(0, options.f - static_cast<std::int64_t>(refused));
  return options;
}

Aggregator::Aggregator(AggregatorOptions options, std::size_t all_silos)
    : options_(std::move(options)), all_silos_(all_silos) {}

Aggregator::Aggregator(AggregatorOptions options, std::size_t all_silos, PrivateSum sum)
    : options_(std::move(options)), all_silos_(all_silos), private_(sum) {
  const std::string reason = why_not_private(options_);
  MOESAIC_CHECK(reason.empty(), ErrorKind::kRecipe, "a private sum: {}", reason);
  MOESAIC_CHECK(sum.clip_norm > 0 && std::isfinite(sum.clip_norm) && sum.noise_multiplier >= 0 &&
                    std::isfinite(sum.noise_multiplier) && sum.silos > 0,
                ErrorKind::kRecipe, "a private sum needs a clip_norm above 0, noise and silos");
}

void Aggregator::begin_round(std::vector<SiloReport> reports, std::size_t refused) {
  std::sort(reports.begin(), reports.end(),
            [](const SiloReport& a, const SiloReport& b) { return a.silo < b.silo; });
  for (std::size_t i = 0; i < reports.size(); ++i) {
    require_report(options_, reports[i]);
    MOESAIC_CHECK(i == 0 || reports[i].silo != reports[i - 1].silo, ErrorKind::kData,
                  "silo {} has answered twice in one round", reports[i].silo);
  }
  const AggregatorOptions rule = without_refused(options_, refused);
  const auto least = static_cast<std::size_t>(fewest_silos(rule));
  MOESAIC_CHECK(reports.size() >= least, ErrorKind::kData,
                "{} silos have answered; {} with f {} needs {}", reports.size(), rule.type, rule.f,
                least);
  MOESAIC_CHECK(!private_ || reports.size() <= private_->silos, ErrorKind::kData,
                "{} silos have answered, and a private sum is over {} at most", reports.size(),
                private_->silos);
  hostile_ = static_cast<std::size_t>(rule.f);
  reports_ = std::move(reports);
  scales_.assign(reports_.size(), 1.0);
  look_sums_.clear();
  summed_ = 0;
  noise_.reset();  // never the noise of another round
}

void Aggregator::begin_sum(std::size_t silos) {
  begin_round({{.silo = "sum", .examples = 1, .tokens = 1, .steps = 1, .rate_sum = 1}});
  summed_ = silos;
}

bool Aggregator::looks_first() const {
  const std::string& type = options_.type;
  if (private_) return !private_->in_silos;
  return type == "krum" || type == "multi_krum" || type == "bulyan" || type == "norm_bound";
}

void Aggregator::look(const std::string& name, Rows rows) {
  const std::size_t n = reports_.size();
  const bool pairs = !private_ && options_.type != "norm_bound";
  std::vector<double>& sums = look_sums_[name];
  sums.resize(n * n, 0.0);
  for (std::size_t a = 0; a < n; ++a) {
    require_change(reports_[a].silo, name, rows[a], rows[0].size());
    for (const double value : rows[a]) sums[a * n + a] += value * value;
    for (std::size_t b = 0; b < a && pairs; ++b) {
      double& sum = sums[a * n + b];
      for (std::size_t i = 0; i < rows[a].size(); ++i) {
        const double difference = rows[a][i] - rows[b][i];
        sum += difference * difference;
      }
      sums[b * n + a] = sum;
    }
  }
}

void Aggregator::end_look() {
  const std::size_t n = reports_.size();
  const std::size_t f = hostile_;
  std::vector<double> sums(n * n, 0.0);
  for (const auto& [name, of_parameter] : look_sums_) add_scaled(of_parameter, 1.0, sums);
  if (private_) {
    for (std::size_t k = 0; k < n; ++k) scales_[k] = private_->factor(std::sqrt(sums[k * n + k]));
    return;
  }
  if (options_.type == "norm_bound") {
    for (std::size_t k = 0; k < n; ++k) {
      const double norm = std::sqrt(sums[k * n + k]);
      scales_[k] = norm > options_.bound ? options_.bound / norm : 1.0;
    }
    return;
  }
  const auto keep = static_cast<std::size_t>(options_.keep.value_or(std::int64_t(n - f)));
  const std::vector<std::size_t> chosen =
      options_.type == "bulyan" ? bulyan_choice(sums, n, f)
                                : krum(sums, n, f, options_.type == "krum" ? 1 : keep);
  scales_.assign(n, 0.0);
  for (const std::size_t k : chosen) scales_[k] = 1.0;
}

std::vector<double> Aggregator::weights_of(const std::string& name) const {
  std::vector<double> amounts, routed;
  for (const SiloReport& report : reports_) {
    const bool uniform = options_.weights == "uniform";
    amounts.push_back(uniform                        ? 1.0
                      : options_.weights == "tokens" ? report.tokens
                                                     : report.examples);
    routed.push_back(routed_to(report, name));
  }
  const bool by_tokens = options_.experts == "routed_tokens" &&
                         std::any_of(routed.begin(), routed.end(), [](double t) { return t > 0; });
  return shares(by_tokens ? routed : amounts);
}

// The mean of what the silos did, or what a robust rule takes for it.
void Aggregator::combine(const std::string& name, Rows rows, std::span<double> out) const {
  const std::string& type = options_.type;
  if (type == "median") return by_element(rows, scales_, out, [](auto& v) { return median(v); });
  if (type == "trimmed_mean")
    return by_element(rows, scales_, out, [&](auto& v) { return trimmed_mean(v, options_.trim); });
  if (type == "bulyan") {
    const std::size_t near = reports_.size() - 4 * hostile_;
    return by_element(rows, scales_, out, [&](auto& v) { return mean_near_median(v, near); });
  }
  std::vector<double> weights = is_robust(type) ? shares(scales_) : weights_of(name);
  if (type == "norm_bound") {
    for (std::size_t k = 0; k < weights.size(); ++k) weights[k] *= scales_[k];
  }
  if (type == "fednova") {  // eq. 4: sum of p tau, times the mean of change / tau
    double length = 0;
    for (std::size_t k = 0; k < weights.size(); ++k) length += weights[k] * reports_[k].steps;
    for (std::size_t k = 0; k < weights.size(); ++k) weights[k] *= length / reports_[k].steps;
  }
  std::fill(out.begin(), out.end(), 0.0);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (weights[k] > 0) add_scaled(rows[k], weights[k], out);
  }
}

// The number that it is divided by is public: it does not depend on who answered.
void Aggregator::add_privately(const std::string& name, std::size_t first, Rows rows,
                               std::span<double> out) const {
  std::fill(out.begin(), out.end(), 0.0);
  for (std::size_t k = 0; k < rows.size(); ++k) add_scaled(rows[k], scales_[k], out);
  if (private_->noise_multiplier > 0 && !private_->in_silos) {
    MOESAIC_ASSERT(noise_.has_value());
    add_noise(*noise_, private_->deviation(), name, first, out);
  }
  for (double& value : out) value /= static_cast<double>(private_->silos);
}

// c += |S| / N x the mean over S of (c_i after - c_i before), which is -c - change_i / rate_sum_i.
void Aggregator::move_control(const std::string& name, std::size_t first, Rows rows) {
  std::vector<double>& whole = state_["control/" + name];
  if (whole.size() < first + rows[0].size()) whole.resize(first + rows[0].size(), 0.0);
  const std::span<double> control = std::span(whole).subspan(first, rows[0].size());
  std::vector<double> sum(control.size(), 0.0);
  const Rows moved = summed_ > 0 ? rows.subspan(1) : rows;
  const auto silos = static_cast<double>(std::max<std::size_t>(1, summed_));  // of a row
  for (std::size_t k = 0; k < moved.size(); ++k)
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] -= silos * (control[i] + moved[k][i] / reports_[k].rate_sum);
  add_scaled(sum, 1.0 / static_cast<double>(all_silos_), control);
}

void Aggregator::step(const std::string& name, std::size_t first, Rows rows,
                      std::span<double> out) {
  for (std::size_t k = 0; k < rows.size(); ++k)
    require_change(reports_[std::min(k, reports_.size() - 1)].silo, name, rows[k], out.size());
  const Rows changes = rows.first(reports_.size());
  if (private_)
    add_privately(name, first, changes, out);
  else
    combine(name, changes, out);
  server_step(options_, name, first, out, state_);
  if (options_.type == "scaffold") move_control(name, first, rows);
  MOESAIC_CHECK(all_finite(out), ErrorKind::kData, "the aggregate of the silos' {} is not finite",
                name);
}

void require_report(const AggregatorOptions& options, const SiloReport& report) {
  bool good = is_amount(report.examples) && is_amount(report.tokens) && is_amount(report.steps) &&
              is_amount(report.rate_sum);
  for (const auto& [layer, tokens] : report.routed_tokens)
    good = good && std::all_of(tokens.begin(), tokens.end(), is_amount);
  MOESAIC_CHECK(good, ErrorKind::kData,
                "silo {} reports an amount of its training that is negative or not finite",
                report.silo);
  MOESAIC_CHECK(options.type != "fednova" || report.steps > 0, ErrorKind::kData,
                "silo {} has made no step, and fednova divides by them", report.silo);
  MOESAIC_CHECK(options.type != "scaffold" || report.rate_sum > 0, ErrorKind::kData,
                "silo {} has trained with learning rate 0, and scaffold divides by it",
                report.silo);
}

void require_change(const std::string& silo, const std::string& name,
                    std::span<const double> values, std::size_t expected) {
  MOESAIC_CHECK(values.size() == expected, ErrorKind::kData,
                "silo {}: its change of {} has {} values, the global parameter {}", silo, name,
                values.size(), expected);
  if (all_finite(values)) return;
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](double value) { return !std::isfinite(value); });
  throw Error(ErrorKind::kData, format("silo {}: its change of {} is not finite (value {} is {})",
                                       silo, name, bad - values.begin(), *bad));
}

double fednova_length(double steps, double momentum) {
  if (momentum == 0) return steps;
  const double left = 1 - momentum;
  return (steps - momentum * (1 - std::pow(momentum, steps)) / left) / left;
}

void move_silo_control(std::span<const double> control, std::span<const double> change,
                       double rate_sum, std::span<double> silo_control) {
  for (std::size_t i = 0; i < silo_control.size(); ++i)
    silo_control[i] -= control[i] + change[i] / rate_sum;
}

}  // namespace moesaic::aggregate
