// Answer: what a model said, and what it is judged by.
#pragma once

#include <string>
#include <vector>

namespace moesaic::metrics {

struct Answer {
  std::string prediction;             // an answer, or the label that was chosen
  std::vector<std::string> expected;  // references; the one right label; what a case requires
};

}  // namespace moesaic::metrics
