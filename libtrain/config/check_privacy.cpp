// What the block privacy asks of the rest of a recipe: what would make a run other than private is
// refused, each with its reason.
#include <algorithm>
#include <cmath>
#include <set>

#include "config/check.h"
#include "config/tasks.h"
#include "core/file_glob.h"
#include "core/format.h"

namespace moesaic {
namespace {

// Files that the sources name; a source without any is told of by what reads it.
std::set<std::string> files_of_sources(const std::vector<SourceOptions>& sources) {
  std::set<std::string> files;
  for (const SourceOptions& source : sources) {
    try {
      for (const std::string& file : expand_files(source.path, Log({.console = false})))
        files.insert(file);
    } catch (const Error&) {
      files.insert(source.path);
    }
  }
  return files;
}

// Of the run, its tasks or its silos; `use`: "train" or "valid".
std::vector<SourceList> lists_of(const Recipe& recipe, const std::string& use) {
  std::vector<SourceList> lists = source_lists(recipe);
  std::erase_if(lists, [&](const SourceList& list) { return !list.key.ends_with("." + use); });
  return lists;
}

// Old data that each of them has among its own; none where nothing is replayed.
SourceList replayed(const Recipe& recipe) {
  const bool any = recipe.continual && recipe.continual->replay.share > 0;
  return {"continual.replay.sources",
          any ? recipe.continual->replay.sources : std::vector<SourceOptions>()};
}

std::vector<SourceList> training_lists(const Recipe& recipe) {
  std::vector<SourceList> lists = lists_of(recipe, "train");
  lists.push_back(replayed(recipe));
  return lists;
}

std::set<std::string> files_of_lists(const std::vector<SourceList>& lists) {
  std::set<std::string> files;
  for (const SourceList& list : lists) files.merge(files_of_sources(list.sources));
  return files;
}

// A file of the list that is among `files`, or "".
std::string shared_file(const SourceList& list, const std::set<std::string>& files) {
  for (const std::string& file : files_of_sources(list.sources))
    if (files.contains(file)) return file;
  return "";
}

class PrivacyCheck {
 public:
  PrivacyCheck(const Recipe& recipe, const arch::Options& arch, const Places& places,
               ProblemList& problems)
      : recipe_(recipe),
        privacy_(*recipe.privacy),
        arch_(arch),
        places_(places),
        problems_(problems) {}

  void check() const {
    check_bound();
    check_noise();
    check_sampling();
    check_files();
    check_unit();
    check_experts();
    check_decisions();
    check_validation_data();
    check_continual_learning();
    check_adapters();
  }

 private:
  void refuse(bool wrong, const std::string& key, const std::string& message) const {
    if (wrong && !problems_.has_error(key)) problems_.error(place_of(places_, key), key, message);
  }
  void warn(const std::string& key, const std::string& message) const {
    problems_.warning(place_of(places_, key), key, message);
  }
  /// visit(key, source) of all training data.
  template <class Visit>
  void for_each_source(const Visit& visit) const {
    for (const SourceList& list : training_lists(recipe_))
      for (std::size_t i = 0; i < list.sources.size(); ++i)
        visit(format("{}[{}]", list.key, i), list.sources[i]);
  }
  bool is_banded() const { return privacy_.mechanism == "banded_matrix"; }

  void check_bound() const {
    const std::string key = "privacy.clip_norm";
    refuse(privacy_.clip_norm == 0 && !privacy_.allow_no_privacy, key,
           "is 0: nothing would bound what one unit changes; allow_no_privacy: true allows it, for "
           "comparisons");
    refuse(privacy_.clip_norm == 0 && privacy_.clipping == "adaptive", key,
           "is 0; clipping adaptive needs a norm to begin with");
  }

  void check_noise() const {
    const auto& multiplier = privacy_.noise_multiplier;
    const auto& target = privacy_.target_epsilon;
    refuse(multiplier && target, "privacy.target_epsilon",
           "and privacy.noise_multiplier are both given; keep one");
    refuse(!multiplier && !target, "privacy",
           "noise_multiplier or target_epsilon is missing: one of them says how much noise there "
           "is");
    const bool none = multiplier && *multiplier == 0;
    refuse(none && !privacy_.allow_no_privacy, "privacy.noise_multiplier",
           "is 0: no noise hides a unit; allow_no_privacy: true allows it, for comparisons");
    if (target && privacy_.budget && *target > privacy_.budget->epsilon) {
      warn("privacy.target_epsilon",
           format("is {}, more than privacy.budget.epsilon, {}: the run will end before its last "
                  "step",
                  *target, privacy_.budget->epsilon));
    }
    if (privacy_.clipping != "adaptive" || !multiplier) return;
    const double count = privacy_.adaptive.noise.value_or(privacy_.expected_batch_size / 20);
    refuse(*multiplier > 0 && count <= *multiplier / 2, "privacy.adaptive.noise",
           format("is {}, it must be above noise_multiplier / 2, {}: the count alone would cost "
                  "more than the whole step",
                  count, *multiplier / 2));
  }

  void check_sampling() const {
    const bool cyclic = privacy_.sampling == "cyclic";
    refuse(cyclic && !is_banded(), "privacy.sampling",
           "is cyclic: batches that are fixed or shuffled hide no unit by chance, and the gaussian "
           "mechanism is accounted as if each were drawn; take poisson, or mechanism: "
           "banded_matrix");
    refuse(!cyclic && is_banded(), "privacy.mechanism",
           "is banded_matrix, which is accounted for units that come in turn: sampling: cyclic");
    refuse(is_banded() && privacy_.clipping == "adaptive", "privacy.clipping",
           "is adaptive: banded_matrix is accounted for one clip_norm");
    refuse(privacy_.min_separation && privacy_.bands > *privacy_.min_separation, "privacy.bands",
           format("is {}, more than min_separation, {}: a unit would meet its own noise again",
                  privacy_.bands, privacy_.min_separation.value_or(0)));
    const auto& slots = privacy_.max_batch_size;
    refuse(slots && static_cast<double>(*slots) < privacy_.expected_batch_size,
           "privacy.max_batch_size",
           format("is {}, below expected_batch_size, {}: about every second step would not be "
                  "whole",
                  slots.value_or(0), privacy_.expected_batch_size));
    for_each_source([this](const std::string& key, const SourceOptions& source) {
      refuse(source.weight != 1.0, key + ".weight",
             "is not 1: each unit of the data is drawn with the same probability, whatever its "
             "source");
    });
  }

  // What is there twice counts twice, and is charged once. An image is one unit however often.
  void check_files() const {
    const SourceList old = replayed(recipe_);
    std::set<std::string> of_all;
    for (const SourceList& list : lists_of(recipe_, "train")) {
      std::set<std::string> own;
      add_files(list, {}, own);
      if (recipe_.federated) warn_of_silos(list, own, of_all);
      // What is a task's own is not replayed in it.
      add_files(old, is_of_task(list) ? list.sources : std::vector<SourceOptions>(), own);
    }
    if (recipe_.federated && recipe_.federated->silos.size() > 1 && !old.sources.empty())
      warn(old.key, "are in the data of every silo: for their units the epsilons of all add up");
  }

  static bool is_of_task(const SourceList& list) { return list.key.starts_with("continual."); }

  // Those of `left_out` are not looked at.
  void add_files(const SourceList& list, const std::vector<SourceOptions>& left_out,
                 std::set<std::string>& files) const {
    for (std::size_t i = 0; i < list.sources.size(); ++i) {
      if (has_path(left_out, list.sources[i].path)) continue;
      for (const std::string& file : files_of_sources({list.sources[i]})) {
        const bool twice = !files.insert(file).second;
        refuse(twice && !arch_.reads_features(), format("{}[{}].path", list.key, i),
               format("has {}, as an earlier source does: what is in the data twice changes a "
                      "step by twice clip_norm",
                      file));
      }
    }
  }

  void warn_of_silos(const SourceList& list, const std::set<std::string>& own,
                     std::set<std::string>& of_all) const {
    for (const std::string& file : own) {
      if (!of_all.insert(file).second)
        warn(list.key, format("has {}, as another silo does: for its units the epsilons of both "
                              "add up",
                              file));
    }
  }

  void check_unit() const {
    if (privacy_.unit == "sequence") return;
    if (arch_.reads_features())
      return refuse(true, "privacy.unit",
                    format("is {}, and an image is of no document or user: take sequence, which is "
                           "one image",
                           privacy_.unit));
    refuse(recipe_.data.packs_end_to_end(), "data.packing",
           format("is true: documents laid end to end share sequences, so a sequence has parts of "
                  "several units of kind {}; take false or best_fit",
                  privacy_.unit));
    if (privacy_.unit != "user") return;
    for_each_source([this](const std::string& key, const SourceOptions& source) {
      refuse(source.format == "text", key + ".format",
             "is text, which has no users; lines of JSON say whose they are by the key user");
    });
  }

  void check_experts() const {
    if (!arch_.is_moe()) return;
    const MoeOptions& moe = recipe_.moe;
    const std::string& balance = moe.balance.type;
    refuse(moe.balance.moves_bias(), "moe.balance.type",
           format("is {}: the bias moves by exact counts of the units' tokens, which no noise "
                  "hides; take sequence",
                  balance));
    const bool mixes = balance == "switch" || balance == "gshard" || balance == "global" ||
                       balance == "transformers";
    refuse(mixes, "moe.balance.type",
           format("is {}: its value mixes all units of a batch, so the gradient of one depends on "
                  "the others and clip_norm bounds nothing; take sequence",
                  balance));
    refuse(moe.capacity_factor > 0, "moe.capacity_factor",
           "is above 0: a unit that is added pushes tokens of others out of full experts; 0 drops "
           "none");
    refuse(moe.gate_gradient == "default_moe", "moe.gate_gradient",
           "is default_moe: a unit's output would hold averages of the other units' experts");
    refuse(moe.placement == "balanced", "moe.placement",
           "is balanced: where experts lie would show exact counts of tokens");
    refuse(moe.diagnose_every > 0, "moe.diagnose_every",
           "is above 0: diagnoses show exact gradients and loads, without noise");
  }

  void check_decisions() const {
    refuse(!recipe_.log.profile_steps.empty(), "log.profile_steps",
           "a trace shows how many units and tokens each step has, without noise");
    refuse(recipe_.adapt && recipe_.adapt->esft, "adapt.esft",
           "chooses experts by exact scores of the data, without noise");
  }

  void check_validation_data() const {
    const std::set<std::string> train = files_of_lists(training_lists(recipe_));
    for (const SourceList& list : lists_of(recipe_, "valid")) {
      const std::string file = shared_file(list, train);
      if (file.empty()) continue;
      if (is_of_task(list))
        tell_of_task(list.key, file);
      else
        return check_decisions_by_loss(file);
    }
  }

  void tell_of_task(const std::string& key, const std::string& file) const {
    if (privacy_.log_loss) return;
    warn(key, format("gives no numbers in tasks.json: it has {} of the training data, and its loss "
                     "is not private",
                     file));
  }

  void check_decisions_by_loss(const std::string& file) const {
    const std::string reason =
        format("data.valid has {} of the training data, and its loss is not private", file);
    refuse(recipe_.eval.patience > 0, "eval.patience", "is above 0: " + reason);
    refuse(recipe_.checkpoint.best, "checkpoint.best", "is true: " + reason);
    if (!privacy_.log_loss) warn("data.valid", "gives no valid_loss: " + reason);
  }

  void check_continual_learning() const {
    if (!recipe_.continual || recipe_.continual->tasks.empty()) return;
    const std::string& method = recipe_.continual->method;
    refuse(method == "ewc" || method == "online_ewc" || method == "mas", "continual.method",
           format("is {}: at a task's end it finds importances of the task's data, without noise; "
                  "with privacy and tasks take si, l2, lwf or none, which need the weights alone",
                  method));
  }

  void check_adapters() const {
    if (!recipe_.adapt || !recipe_.adapt->lora || !recipe_.adapt->lora->train_a) return;
    warn("adapt.lora.train_a",
         "is true: A and B both get noise, and their product has the noise of one times that of "
         "the other; train_a: false is better with privacy");
  }

  const Recipe& recipe_;
  const PrivacyOptions& privacy_;
  const arch::Options& arch_;
  const Places& places_;
  ProblemList& problems_;
};

// One delta: that of the budget, where both are given they must agree.
template <class Options>
void set_delta(const std::string& block, Options& privacy, const Places& places,
               ProblemList& problems) {
  if (!privacy.budget) return;
  const std::string key = block + ".delta", of_budget = block + ".budget.delta";
  const bool given = places.contains(key);
  if (given && !places.contains(of_budget)) privacy.budget->delta = privacy.delta;
  if (given && privacy.delta != privacy.budget->delta) {
    problems.error(
        place_of(places, key), key,
        format("is {}, and {} {}: they are one", privacy.delta, of_budget, privacy.budget->delta));
  }
  privacy.delta = privacy.budget->delta;
}

// Sequences of a step in the mean, in whole micro-batches: what costs are estimated by.
void set_batch_size(Recipe& recipe, const Places& places, ProblemList& problems) {
  constexpr double kMost = 1e9;
  const std::string key = "train.global_batch_size";
  const std::int64_t micro = recipe.train.micro_batch_size;
  const double units = std::min(recipe.privacy->expected_batch_size, kMost);
  const auto micro_batches =
      static_cast<std::int64_t>(std::ceil(units / static_cast<double>(micro)));
  const std::int64_t given = recipe.train.global_batch_size;
  recipe.train.global_batch_size = std::max<std::int64_t>(1, micro_batches) * micro;
  if (places.contains(key) && given != recipe.train.global_batch_size) {
    problems.warning(place_of(places, key), key,
                     "has no effect: units are drawn, privacy.expected_batch_size of them in the "
                     "mean");
  }
}

}  // namespace

void resolve_privacy(Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.privacy || problems.has_error("privacy")) return;
  PrivacyOptions& privacy = *recipe.privacy;
  set_delta("privacy", privacy, places, problems);
  if (privacy.ledger.empty()) privacy.ledger = recipe.run_dir + "/ledger.json";
  set_batch_size(recipe, places, problems);
  if (!places.contains("train.clip_norm")) recipe.train.clip_norm = 0;
  if (!places.contains("moe.balance.type")) recipe.moe.balance.type = "sequence";
}

void resolve_silo_privacy(Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.federated || !recipe.federated->privacy || problems.has_error("federated")) return;
  ClientPrivacyOptions& privacy = *recipe.federated->privacy;
  set_delta("federated.privacy", privacy, places, problems);
  if (privacy.ledger.empty()) privacy.ledger = recipe.run_dir + "/silo-ledger.json";
  if (!places.contains("federated.aggregator.weights"))
    recipe.federated->aggregator.weights = "uniform";
}

void check_privacy(const Recipe& recipe, const arch::Options& options, const Places& places,
                   ProblemList& problems) {
  if (!recipe.privacy || problems.has_error("privacy")) return;
  PrivacyCheck(recipe, options, places, problems).check();
}

}  // namespace moesaic
