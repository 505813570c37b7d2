#include "metrics/statistic.h"

namespace moesaic::metrics {
namespace {

class Ratio : public Statistic {
 public:
  Ratio(std::vector<double> sums, std::vector<double> weights, double (*shown)(double))
      : sums_(std::move(sums)), weights_(std::move(weights)), shown_(shown) {}

  double value(Sample sample) const override {
    double sum = 0, weight = 0;
    for (std::size_t i = 0; i < sample.size(); ++i) {
      sum += sample[i] * sums_[i];
      weight += sample[i] * weights_[i];
    }
    return shown_ == nullptr ? sum / weight : shown_(sum / weight);
  }

 private:
  std::vector<double> sums_, weights_;
  double (*shown_)(double);
};

}  // namespace

std::shared_ptr<const Statistic> ratio(std::vector<double> sums, std::vector<double> weights,
                                       double (*shown)(double)) {
  return std::make_shared<Ratio>(std::move(sums), std::move(weights), shown);
}

}  // namespace moesaic::metrics
