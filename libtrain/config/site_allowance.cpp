#include "config/site_allowance.h"

#include <algorithm>

#include "config/name_pattern.h"
#include "config/schema_builder.h"
#include "config/silos.h"
#include "core/fs.h"

namespace moesaic {
namespace {

using namespace rules;

std::vector<KeyOf<SiteAllowance>> allowance_keys() {
  std::vector<KeyOf<SiteAllowance>> keys;
  add_key(keys, FIELD(model), path(), "Where the base weights are here.");
  add_key(keys, FIELD(tokenizer), {}, "byte, or where the tokenizer is here.");
  add_key(keys, FIELD(model_types), {}, "Architectures that may be trained.");
  add_key(keys, FIELD(aggregators), {}, "Types of rules.");
  add_key(keys, FIELD(rounds), from(1, 1e9), "At most.");
  add_key(keys, FIELD(local_steps), from(1, kMostSteps), "Of a round, at most.");
  add_key(keys, FIELD(parameters), {}, "Regular expressions of whole names: these may leave.");
  add_key(keys, FIELD(privacy), {}, "Only training with record-level privacy.");
  return keys;
}

const Schema<SiteAllowance>& allowance_schema() {
  static const Schema<SiteAllowance> schema{"allowance", "{rounds: 20}", allowance_keys()};
  return schema;
}

// What the coordinator asks for, and what is allowed of it.
void refuse(const std::string& key, const std::string& asked, const std::string& allowed) {
  throw Error(
      ErrorKind::kRecipe,
      format("the coordinator asks for {}, and this silo allows {} ({})", asked, allowed, key),
      "talk to whoever runs the coordinator, or change the file of --allow");
}

// A block privacy that hides nothing, or shows what it should hide, is none.
void require_privacy(const Recipe& offered) {
  const std::string allowed = "none without";
  if (!offered.privacy) refuse("privacy", "training without record-level privacy", allowed);
  const PrivacyOptions& privacy = *offered.privacy;
  if (privacy.allow_no_privacy)
    refuse("privacy", "privacy.allow_no_privacy, with which there may be no noise", allowed);
  if (privacy.noise_seed)
    refuse("privacy", "privacy.noise_seed, with which it knows the noise", allowed);
  if (privacy.log_loss)
    refuse("privacy", "privacy.log_loss, which tells it losses without noise", allowed);
}

void require_one_of(const std::string& key, const std::string& asked,
                    const std::vector<std::string>& allowed) {
  if (allowed.empty() || std::find(allowed.begin(), allowed.end(), asked) != allowed.end()) return;
  refuse(key, asked, format("{}", join(allowed, ", ")));
}

}  // namespace

SiteAllowance require_allowance(const std::string& path) {
  ProblemList problems;
  const YamlNode root =
      parse_yaml(read_file(path, ErrorKind::kRecipe, YamlLimits{}.bytes + 1), path, problems);
  SiteAllowance allowance;
  if (root.is_mapping()) {
    read_section(allowance_schema(), root, "", "", allowance, problems);
  } else if (!problems.has_errors()) {
    problems.error(root.place, "", format("expected what is allowed, got {}", root.shown()));
  }
  for (const std::string& text : allowance.parameters) {
    try {
      NamePattern("parameters", text);
    } catch (const KeyError& error) {
      problems.error(root.place, error.key(), error.message());
    }
  }
  std::vector<std::string> lines;
  for (const Problem& problem : problems.sorted())
    if (!problem.warning) lines.push_back(problem.text());
  if (!lines.empty()) throw Error(ErrorKind::kRecipe, format("{}", join(lines, "\n")));
  return allowance;
}

Recipe allowed_recipe(const SiteAllowance& allowance, Recipe offered) {
  const FederatedOptions& federated = *offered.federated;
  if (!allowance.model_types.empty())
    require_one_of("model_types", offered.model.config.value("model_type", ""),
                   allowance.model_types);
  require_one_of("aggregators", federated.aggregator.type, allowance.aggregators);
  if (allowance.rounds && federated.rounds > *allowance.rounds)
    refuse("rounds", format("{} rounds", federated.rounds), format("{}", *allowance.rounds));
  if (allowance.local_steps) {
    if (federated.local_epochs)
      refuse("local_steps", "local_epochs", format("{} steps a round", *allowance.local_steps));
    const std::int64_t steps = federated.local_steps.value_or(kLocalSteps);
    if (steps > *allowance.local_steps)
      refuse("local_steps", format("{} local steps a round", steps),
             format("{}", *allowance.local_steps));
  }
  if (allowance.privacy) require_privacy(offered);
  if (allowance.model && offered.model.from) offered.model.from = allowance.model;
  if (allowance.tokenizer) offered.tokenizer = *allowance.tokenizer;
  return offered;
}

void require_may_leave(const SiteAllowance& allowance, const std::vector<std::string>& names) {
  if (allowance.parameters.empty()) return;
  std::vector<NamePattern> patterns;
  for (const std::string& text : allowance.parameters) patterns.emplace_back("parameters", text);
  for (const std::string& name : names) {
    const auto in_patterns = names_in_patterns(name);
    const bool may = std::any_of(patterns.begin(), patterns.end(), [&](const NamePattern& one) {
      return std::any_of(in_patterns.begin(), in_patterns.end(),
                         [&](const std::string& text) { return one.matches(text); });
    });
    if (!may) refuse("parameters", "changes of " + name, "none of it");
  }
}

}  // namespace moesaic
