#include "observe/svg_axis.h"

#include <algorithm>
#include <cmath>

namespace moesaic {

SvgAxis::SvgAxis(const Options& options) : options_(options) {
  double &low = options_.low, &high = options_.high;
  if (high > low) return;
  const double room = low == 0 ? 0.5 : std::abs(low) * 0.05;
  high = options_.log ? low * 1.1 : low + room;
  low = options_.log ? low / 1.1 : low - room;
}

double SvgAxis::place(double value) const {
  const double share = options_.log
                           ? std::log(value / options_.low) / std::log(options_.high / options_.low)
                           : (value - options_.low) / (options_.high - options_.low);
  return options_.from + share * (options_.to - options_.from);
}

std::vector<double> SvgAxis::ticks(int most) const {
  const std::vector<double> round = options_.log ? log_ticks() : std::vector<double>();
  return round.size() > 1 ? round : linear_ticks(most);
}

std::vector<double> SvgAxis::linear_ticks(int most) const {
  const double rough = (options_.high - options_.low) / most;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = rough;
  for (const double share : {10.0, 5.0, 2.0, 1.0})
    if (share * power >= rough) step = share * power;
  std::vector<double> found;
  const double first = std::ceil(options_.low / step);
  for (int i = 0; i <= 2 * most && (first + i) * step <= options_.high; ++i)
    found.push_back((first + i) * step);
  return found;
}

std::vector<double> SvgAxis::log_ticks() const {
  const double decades = std::log10(options_.high / options_.low);
  const std::vector<double> parts = decades < 1.2 ? std::vector<double>{1, 2, 3, 5, 7}
                                    : decades < 3 ? std::vector<double>{1, 3}
                                                  : std::vector<double>{1};
  const double every = std::max(1.0, std::ceil(decades / 7));
  std::vector<double> found;
  for (double power = std::floor(std::log10(options_.low));
       power <= std::ceil(std::log10(options_.high)); power += every) {
    for (const double part : parts) {
      const double tick = part * std::pow(10, power);
      if (tick >= options_.low && tick <= options_.high) found.push_back(tick);
    }
  }
  return found;
}

}  // namespace moesaic
