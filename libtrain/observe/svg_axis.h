// SvgAxis: from values to places in a picture, and round numbers for its marks. The page of a
// report has the same rules for its own pictures (report/scale.js).
#pragma once

#include <vector>

namespace moesaic {

class SvgAxis {
 public:
  struct Options {
    double low = 0, high = 1;  // values
    double from = 0, to = 1;   // their places
    bool log = false;          // then all values are above 0
  };

  explicit SvgAxis(const Options& options);

  double place(double value) const;
  std::vector<double> ticks(int most) const;
  const Options& options() const { return options_; }

 private:
  std::vector<double> linear_ticks(int most) const;
  std::vector<double> log_ticks() const;

  Options options_;
};

}  // namespace moesaic
