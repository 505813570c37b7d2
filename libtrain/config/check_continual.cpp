// What the block continual asks of the rest of a recipe.
#include <filesystem>
#include <system_error>

#include "config/check.h"
#include "core/format.h"

namespace moesaic {
namespace {

class ContinualCheck {
 public:
  ContinualCheck(const Recipe& recipe, const arch::Options& arch, const Places& places,
                 ProblemList& problems)
      : recipe_(recipe),
        continual_(*recipe.continual),
        arch_(arch),
        places_(places),
        problems_(problems) {}

  void check() const {
    check_importance();
    check_method();
    check_labels();
    refuse(continual_.replay.share > 0 && continual_.replay.sources.empty(),
           "continual.replay.share", "needs continual.replay.sources, the old data");
  }

 private:
  bool is(const char* method) const { return continual_.method == method; }
  void refuse(bool wrong, const std::string& key, const std::string& message) const {
    if (wrong && !problems_.has_error(key)) problems_.error(place_of(places_, key), key, message);
  }

  void check_importance() const {
    const auto& paths = continual_.importance;
    if (paths.empty() || is("none") || is("lwf")) return;
    refuse(!recipe_.model.from, "continual.importance",
           "needs model.from: importances are those of the model that a run starts from");
    for (std::size_t i = 0; i < paths.size(); ++i) {
      std::error_code error;
      refuse(!std::filesystem::exists(paths[i], error), "continual.importance",
             format("there is no {}; moesaic importance makes such a file", paths[i]));
    }
  }

  void check_method() const {
    const std::string key = "continual.method";
    const bool has_tasks = !continual_.tasks.empty();
    const bool learns = is("ewc") || is("online_ewc") || is("si") || is("mas");
    // No error: the recipe may be one for moesaic importance. A run refuses it.
    if (learns && continual_.importance.empty() && !has_tasks)
      problems_.warning(place_of(places_, key), key, nothing_to_pull_to(continual_.method));
    refuse(is("lwf") && !recipe_.model.from && !has_tasks, key,
           "lwf needs an old model: give model.from, or continual.tasks");
    refuse(is("si") && recipe_.adapt && recipe_.adapt->lora && recipe_.privacy, key,
           "si with adapt.lora does not go with privacy: its path is of gradients of the full "
           "weights, which are neither clipped nor noised; ewc and mas do");
  }

  void check_labels() const {
    const bool estimates = !continual_.tasks.empty() && (is("ewc") || is("online_ewc"));
    refuse(estimates && continual_.fisher.labels == "exact" && !arch_.reads_features(),
           "continual.fisher.labels",
           "exact is for classifiers: all labels of every token are too many; take sampled");
  }

  const Recipe& recipe_;
  const ContinualOptions& continual_;
  const arch::Options& arch_;
  const Places& places_;
  ProblemList& problems_;
};

}  // namespace

std::string nothing_to_pull_to(const std::string& method) {
  return format(
      "{} has nothing to pull to: a run needs continual.importance, which moesaic "
      "importance makes, or continual.tasks; none = replay alone",
      method);
}

bool keeps_anchors_of_changes(const Recipe& recipe) {
  const ContinualOptions& continual = *recipe.continual;
  if (!continual.tasks.empty() || continual.importance.size() > 1) return true;
  if (!recipe.adapt || !recipe.adapt->lora) return false;
  // Then the factors are not 0 where the run starts.
  return recipe.adapt->lora->is_pissa() || recipe.adapt->from;
}

void check_continual(const Recipe& recipe, const arch::Options& options, const Places& places,
                     ProblemList& problems) {
  if (!recipe.continual || problems.has_error("continual")) return;
  ContinualCheck(recipe, options, places, problems).check();
}

}  // namespace moesaic
