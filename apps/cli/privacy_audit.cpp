// moesaic privacy audit: trains the recipe with canaries on top of its data, in a folder and with a
// ledger of its own, and says what an attack on the result proves.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "accounting/accountant.h"
#include "accounting/ledger.h"
#include "audit_canaries.h"
#include "common/score_arguments.h"
#include "config/recipe_reader.h"
#include "config/tasks.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "inference_job.h"
#include "launcher.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

constexpr double kConfidence = 0.95;

struct AuditArguments {
  RecipeArguments recipe;
  std::optional<std::int64_t> ranks;
  std::int64_t canaries = 1000;
  bool json = false;
};

class Audit {
 public:
  Audit(const AuditArguments& arguments, Recipe recipe)
      : arguments_(arguments),
        recipe_(std::move(recipe)),
        folder_(recipe_.run_dir + "-audit"),
        canaries_(make_canaries(recipe_, arguments.canaries)) {}

  int run() {
    prepare();
    if (const int code = train(); code != 0) return code;
    std::vector<double> scores(canaries_.size(), 0.0);
    if (recipe_.model.from) {
      const ModelArguments start{.model = *recipe_.model.from, .adapter = starting_adapter()};
      if (const int code = add_scores(start, "before.jsonl", 1, scores); code != 0) return code;
    }
    if (const int code = add_scores({.model = at("run")}, "after.jsonl", -1, scores); code != 0)
      return code;
    print(scores);
    return 0;
  }

 private:
  std::string at(const std::string& name) const { return folder_ + "/" + name; }

  // What an audit before left is gone; what is no audit stays.
  void prepare() const {
    std::error_code code;
    if (std::filesystem::exists(folder_, code)) {
      MOESAIC_CHECK(std::filesystem::exists(at("canaries.jsonl"), code), ErrorKind::kUsage,
                    "{} is there and no audit made it; an audit needs that folder", folder_);
      std::filesystem::remove_all(folder_, code);
    }
    make_folder(folder_);
    write_file_atomic(at("canaries.jsonl"), lines_of_all(canaries_));
    write_file_atomic(at("in.jsonl"), lines_of_those_in(canaries_, recipe_.data));
    write_file_atomic(at("recipe.yaml"), to_yaml(with_canaries()));
  }

  Recipe with_canaries() const {
    Recipe recipe = recipe_;
    recipe.run_dir = at("run");
    recipe.privacy->ledger = at("ledger.json");
    recipe.data.train.push_back({.path = at("in.jsonl"), .format = "tokens"});
    recipe.data.loss_on = recipe.data.loss_on == "completion" ? "auto" : recipe.data.loss_on;
    recipe.data.valid.clear();
    recipe.eval.patience = 0;
    recipe.checkpoint.best = false;
    recipe.checkpoint.final = true;
    return recipe;
  }

  // A run that has spent its budget has left what it learned, too.
  int train() const {
    const Machine machine = Machine::here();
    const LaunchRequest request{
        .ranks = static_cast<int>(recipe_.parallel.ranks),
        .threads_per_rank = static_cast<int>(recipe_.parallel.threads_per_rank),
        .device = recipe_.parallel.device,
        .worker = {"train", at("recipe.yaml")}};
    const Launch launch = make_launch(request, machine);
    warn_of_crowding(request.ranks, launch, machine);
    const LaunchResult result = run_job(launch, {.run_dir = at("run"), .stdout_free = true});
    if (result.exit_code == static_cast<int>(ErrorKind::kBudget)) return 0;
    if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
    return result.exit_code;
  }

  // "" = the run's adapters begin as the model alone.
  std::string starting_adapter() const {
    return recipe_.adapt ? recipe_.adapt->from.value_or("") : std::string();
  }

  // Adds `sign` times the losses of the model.
  int add_scores(const ModelArguments& model, const std::string& file, double sign,
                 std::vector<double>& scores) const {
    ScoreArguments score;
    static_cast<ModelArguments&>(score.inference) = model;
    score.inference.precision = recipe_.train.precision;
    score.inference.device = recipe_.parallel.device;
    score.input = at("canaries.jsonl");
    score.output = at(file);
    const int code = run_inference_job({.verb = "score",
                                        .arguments = to_argv(score),
                                        .device = score.inference.device,
                                        .ranks = static_cast<int>(recipe_.parallel.ranks),
                                        .less_memory = "lower data.sequence_length"});
    if (code != 0) return code;
    const std::vector<double> nll = read_nll(score.output, canaries_.size());
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += sign * nll[i];
    return 0;
  }

  // Infinite without noise.
  double claimed_epsilon() const {
    const PrivacyOptions& privacy = *recipe_.privacy;
    if (privacy.noise_multiplier == 0.0 || privacy.clip_norm == 0) return HUGE_VAL;
    const auto report = accounting::read_ledger(at("ledger.json"));
    MOESAIC_CHECK(report.is_whole(), ErrorKind::kCheckpoint, "{}", report.problem);
    return accounting::epsilon_of(report.events, privacy.delta,
                                  accounting::accountant_of(privacy.accountant))
        .value;
  }

  void print(const std::vector<double>& scores) const {
    const accounting::AuditCount count = guess(canaries_, scores);
    const double lower = accounting::audit_epsilon(count, recipe_.privacy->delta, kConfidence);
    const double claimed = claimed_epsilon();
    const double auc = membership_auc_of(canaries_, scores);
    if (arguments_.json) {
      const Json json = {{"epsilon_lower", lower},
                         {"confidence", kConfidence},
                         {"epsilon_claimed", std::isfinite(claimed) ? Json(claimed) : Json()},
                         {"canaries", count.canaries},
                         {"guesses", count.guesses},
                         {"correct", count.correct},
                         {"membership_auc", auc}};
      std::puts(json_text(json, 2).c_str());
      return;
    }
    std::puts(format("epsilon           at least {:.4g} (confidence {}), claimed {:.4g}\n"
                     "guesses           {} of {} right, {} canaries\n"
                     "membership        AUC {:.4f} (0.5 = nothing is known)\n"
                     "{}",
                     lower, kConfidence, claimed, count.correct, count.guesses, count.canaries, auc,
                     lower > claimed ? "The claim is REFUTED: the run is not as private as it says."
                                     : "The claim is not refuted; an audit proves no privacy.")
                  .c_str());
  }

  const AuditArguments& arguments_;
  Recipe recipe_;
  std::string folder_;
  Canaries canaries_;
};

// Canaries are sequences of ids among the data of one run.
void refuse_other_data(const Recipe& recipe, const std::string& path) {
  if (!tasks_of(recipe).empty()) {
    throw Error(ErrorKind::kRecipe,
                format("{} has several tasks: an audit puts canaries into the data of one", path),
                "audit the recipe of one task: its data in data.train, without continual.tasks");
  }
  if (architecture_of(recipe).reads_features()) {
    throw Error(
        ErrorKind::kRecipe,
        format("{} reads images: canaries are sequences of random ids, and whether an image "
               "of random pixels was in says nothing of one that is like the others",
               path),
        "audit a model of tokens");
  }
}

int run_audit(const AuditArguments& arguments) {
  refuse_inside_a_job("privacy audit " + arguments.recipe.path);
  std::vector<Problem> warnings;
  Recipe recipe =
      require_recipe(arguments.recipe.path, arguments.recipe.overrides, arguments.ranks, &warnings);
  for (const Problem& warning : warnings) std::fputs((warning.text() + "\n").c_str(), stderr);
  if (!recipe.privacy) {
    throw Error(ErrorKind::kRecipe,
                format("{} has no block privacy: there is nothing to audit", arguments.recipe.path),
                "add one, or audit a recipe that has one");
  }
  if (recipe.federated) {
    throw Error(ErrorKind::kRecipe,
                format("{} is of a federation: an audit puts canaries into the data of one run",
                       arguments.recipe.path),
                "audit the recipe of one silo: its data in data.train, without federated");
  }
  refuse_other_data(recipe, arguments.recipe.path);
  return Audit(arguments, std::move(recipe)).run();
}

}  // namespace

void add_privacy_audit(CLI::App& privacy, int& exit_code) {
  const auto arguments = std::make_shared<AuditArguments>();
  CLI::App* verb = privacy.add_subcommand(
      "audit", "Train with canaries, and see how much an attack learns of them");
  add_recipe_arguments(*verb, arguments->recipe);
  verb->add_option("-n", arguments->ranks, "Number of ranks (default: parallel.ranks)")
      ->check(CLI::Range(1, 1'000'000));
  verb->add_option("--canaries", arguments->canaries, "Sequences that are in or out by a coin")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  verb->add_flag("--json", arguments->json,
                 "Machine output: the result on stdout, everything else on stderr");
  verb->callback([arguments, &exit_code] { exit_code = run_audit(*arguments); });
}

}  // namespace moesaic::cli
