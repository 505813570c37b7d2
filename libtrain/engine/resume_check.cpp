#include "engine/resume_check.h"

#include <algorithm>
#include <array>
#include <vector>

#include "config/difference.h"
#include "config/silos.h"
#include "core/error.h"

namespace moesaic {
namespace {

bool may_change(const std::string& path) {
  // With or without recomputation a run gives the same bits. A ledger that has moved is known by
  // its lines.
  static constexpr std::array kKeys = {"run_dir",
                                       "train.max_steps",
                                       "train.epochs",
                                       "train.checkpoint_activations",
                                       "data.cache",
                                       "train.on_nonfinite",
                                       "moe.placement",
                                       "moe.diagnose_every",
                                       "privacy.ledger",
                                       "train.restarts",
                                       "train.restart_window_s",
                                       "federated.privacy.ledger"};
  static constexpr std::array kSections = {"parallel.", "log.", "eval.", "checkpoint."};
  return may_change_on_the_way(path) ||
         std::any_of(kKeys.begin(), kKeys.end(), [&](const char* key) { return path == key; }) ||
         std::any_of(kSections.begin(), kSections.end(),
                     [&](const char* section) { return path.starts_with(section); });
}

// The base of adapters may have moved, with its tokenizer: its digest is compared, and the data's.
bool may_move(const std::string& path, const Recipe& current) {
  const bool has_base = current.adapt && current.adapt->lora;
  return has_base && (path == "model.from" || path == "tokenizer");
}

const Json& member(const Json& object, const std::string& key) {
  static const Json kNone;
  const auto found = object.find(key);  // of what is no object too: then the end
  return found == object.end() ? kNone : *found;
}

/// " (a.txt has changed, b.txt is new)"; "" where the files are not known.
std::string changed_files(const Json& saved, const Json& current) {
  constexpr std::size_t kMostShown = 5;
  std::vector<std::string> changes;
  if (!saved.is_object() || !current.is_object()) return "";
  for (const auto& [name, digest] : current.items()) {
    if (!saved.contains(name)) changes.push_back(name + " is new");
    if (saved.contains(name) && saved[name] != digest) changes.push_back(name + " has changed");
  }
  for (const auto& [name, digest] : saved.items())
    if (!current.contains(name)) changes.push_back(name + " is gone");
  if (changes.empty()) return "";
  if (changes.size() > kMostShown) {
    changes.resize(kMostShown);
    changes.emplace_back("...");
  }
  return format(" ({})", join(changes, ", "));
}

}  // namespace

std::string changed_data(const Json& saved, const Json& current) {
  std::string lines;
  for (const auto& [key, sources] : current.items()) {
    const Json& before = member(saved, key);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!before.is_array() || i >= before.size()) continue;
      if (member(before[i], "digest") == sources[i].at("digest")) continue;
      lines += format("\n  {}{}[{}]: {}{}", key.starts_with("continual.") ? "" : "data.", key, i,
                      sources[i].at("path").get<std::string>(),
                      changed_files(member(before[i], "files"), member(sources[i], "files")));
    }
  }
  return lines;
}

void check_resumable(const Recipe& saved, const Recipe& current, const std::string& checkpoint) {
  std::string lines;
  for (const auto& [key, before, now] : differences(saved, current)) {
    if (!may_change(key) && !may_move(key, current))
      lines += format("\n  {}: saved with {}, now {}", key, before, now);
  }
  if (lines.empty()) return;
  throw Error(ErrorKind::kRecipe,
              format("the recipe differs from the one that saved {}:{}", checkpoint, lines),
              "set these keys back, or start a new run from its weights with model.from");
}

}  // namespace moesaic
