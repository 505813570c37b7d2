// The questions of `moesaic doctor`, each asked by doing the thing rather than by looking for
// files.
#pragma once

#include <string>
#include <vector>

namespace moesaic::cli {

enum class Verdict {
  kGood,
  kWarning,  // works, but slower or with a risk
  kMissing,  // training does not work without it
  kAbsent,   // not here, and not needed
};

struct Check {
  std::string name;
  Verdict verdict = Verdict::kGood;
  std::string detail;
  std::string fix;  // "" = nothing to do
};

/// Takes a second or two: programs are started.
std::vector<Check> run_checks();

}  // namespace moesaic::cli
