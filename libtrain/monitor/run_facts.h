// What the launcher knows of a run before its first row.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace moesaic {

struct RunFacts {
  /// A number that the run is held against, such as its last step.
  struct Number {
    std::string name;  // of the metric
    std::string help;
    double value = 0;
  };

  std::string job;  // name of the run, the label `job` of all its metrics
  std::string run_dir;
  std::string host;     // of the launcher
  std::string version;  // of Moesaic
  int ranks = 1;
  bool resumed = false;      // the rows that are in the run folder already are its own
  bool owns_folder = false;  // nothing in the run folder is of another job
  std::vector<Number> numbers;
  std::vector<std::pair<std::string, std::string>> about = {};  // more labels of moesaic_run_info
};

}  // namespace moesaic
