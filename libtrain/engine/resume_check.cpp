#include "engine/resume_check.h"

#include <algorithm>
#include <array>

#include "config/difference.h"
#include "core/error.h"

namespace moesaic {
namespace {

bool may_change(const std::string& path) {
  // With or without recomputation a run gives the same bits.
  static constexpr std::array kKeys = {"run_dir",       "train.max_steps",
                                       "data.cache",    "train.checkpoint_activations",
                                       "moe.placement", "moe.diagnose_every"};
  static constexpr std::array kSections = {"parallel.", "log.", "eval.", "checkpoint."};
  return std::any_of(kKeys.begin(), kKeys.end(), [&](const char* key) { return path == key; }) ||
         std::any_of(kSections.begin(), kSections.end(),
                     [&](const char* section) { return path.starts_with(section); });
}

}  // namespace

void check_resumable(const Recipe& saved, const Recipe& current, const std::string& checkpoint) {
  std::string lines;
  for (const auto& [key, before, now] : differences(saved, current)) {
    if (!may_change(key)) lines += format("\n  {}: saved with {}, now {}", key, before, now);
  }
  if (lines.empty()) return;
  throw Error(ErrorKind::kRecipe,
              format("the recipe differs from the one that saved {}:{}", checkpoint, lines),
              "set these keys back, or start a new run from its weights with model.from");
}

}  // namespace moesaic
