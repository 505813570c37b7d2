// What the block federated asks of itself and of the rest of a recipe.
#include <algorithm>
#include <regex>
#include <set>

#include "aggregate/private_sum.h"
#include "config/check.h"
#include "config/name_pattern.h"
#include "config/silos.h"
#include "core/format.h"
#include "core/plain_name.h"

namespace moesaic {
namespace {

using aggregate::is_robust;

class FederatedCheck {
 public:
  FederatedCheck(const Recipe& recipe, const Places& places, ProblemList& problems)
      : recipe_(recipe),
        federated_(*recipe.federated),
        rule_(federated_.aggregator),
        places_(places),
        problems_(problems) {}

  void check() const {
    check_length();
    check_names();
    check_ranks();
    check_counts();
    check_rule();
    check_private();
    check_lora();
    check_hidden();
    check_silo_privacy();
    check_others();
  }

 private:
  void refuse(bool wrong, const std::string& key, const std::string& message) const {
    const std::string path = "federated" + (key.empty() ? key : "." + key);
    if (wrong && !problems_.has_error(path))
      problems_.error(place_of(places_, path), path, message);
  }
  std::int64_t silos() const { return static_cast<std::int64_t>(federated_.silos.size()); }
  std::int64_t in_a_round() const {
    return std::min(federated_.clients_per_round.value_or(silos()), silos());
  }
  bool is_secure() const {
    return std::holds_alternative<SecureAggregationOptions>(federated_.secure_aggregation);
  }
  bool is_compressed() const {
    return federated_.compression != decltype(federated_.compression){"none"};
  }

  // The silos and the rounds say it.
  void check_length() const {
    const auto refuse_own = [&](bool given, const char* key) {
      if (given)
        problems_.error(place_of(places_, key), key,
                        "and federated are both given: the silos and rounds say it");
    };
    refuse_own(!recipe_.data.train.empty(), "data.train");
    refuse_own(!recipe_.data.valid.empty(), "data.valid");
    refuse_own(recipe_.train.max_steps.has_value(), "train.max_steps");
    refuse_own(recipe_.train.epochs.has_value(), "train.epochs");
    refuse(federated_.local_epochs && federated_.local_steps, "local_epochs",
           "and local_steps are both given; keep one");
  }

  void check_names() const {
    std::set<std::string> names;
    for (std::size_t i = 0; i < federated_.silos.size(); ++i) {
      const std::string& name = federated_.silos[i].name;
      const std::string key = format("silos[{}].name", i);
      if (problems_.has_error(format("federated.silos[{}]", i))) continue;
      const bool good = is_plain_name(name);
      refuse(!good, key, format("{} is no name: {}", shown(name), kPlainName));
      refuse(good && !names.insert(name).second, key,
             format("{} is the name of an earlier silo, too", shown(name)));
    }
  }

  void check_ranks() const {
    const std::int64_t expert = recipe_.parallel.expert;
    for (std::size_t i = 0; i < federated_.silos.size(); ++i) {
      const std::int64_t ranks = federated_.silos[i].ranks;
      refuse(ranks % expert != 0, format("silos[{}].ranks", i),
             format("is {}; parallel.expert, {}, does not divide it", ranks, expert));
    }
    if (federated_.silos.empty()) return refuse(true, "silos", "names no silo");
    try {
      silo_slots(federated_.silos, static_cast<int>(recipe_.parallel.ranks));
    } catch (const Error& error) {
      refuse(true, "silos", format("{}; {}", error.what(), error.hint()));
    }
  }

  void check_counts() const {
    const std::int64_t asked = federated_.clients_per_round.value_or(1);
    refuse(asked > silos(), "clients_per_round",
           format("is {}, and there are {} silos", asked, silos()));
    const std::int64_t threshold =
        is_secure() ? std::get<SecureAggregationOptions>(federated_.secure_aggregation).threshold
                    : 0;
    refuse(threshold > in_a_round(), "secure_aggregation.threshold",
           format("is {}; a round has {} silos", threshold, in_a_round()));
  }

  void check_rule() const {
    const std::int64_t n = in_a_round();
    const std::int64_t least = aggregate::fewest_silos(rule_);
    refuse(n < least, "aggregator.f",
           format("{} with f {} needs {} silos in a round, {}; there are {}", rule_.type, rule_.f,
                  least, rule_.type == "bulyan" ? "4 f + 3" : "2 f + 3", n));
    const std::int64_t keep = rule_.keep.value_or(1);
    refuse(rule_.type == "multi_krum" && keep > n - rule_.f, "aggregator.keep",
           format("is {}; of {} silos {} may be hostile, so it is at most {}", keep, n, rule_.f,
                  n - rule_.f));
    refuse(rule_.type == "scaffold" && recipe_.optimizer.type != "sgd", "aggregator.type",
           "scaffold corrects the gradients of plain SGD: set optimizer.type to sgd and "
           "optimizer.momentum to 0");
    refuse(rule_.type == "scaffold" && recipe_.optimizer.momentum > 0, "aggregator.type",
           "scaffold is defined without momentum: set optimizer.momentum to 0");
    const double cut = rule_.trim * static_cast<double>(n);
    const std::string key = "federated.aggregator.trim";
    if (rule_.type == "trimmed_mean" && cut < 1)
      problems_.warning(place_of(places_, key), key,
                        format("{} of {} silos is none: nothing is cut", rule_.trim, n));
  }

  void check_private() const {
    for (std::size_t i = 0; i < rule_.private_names.size(); ++i) {
      const std::string key = format("aggregator.private[{}]", i);
      try {
        NamePattern pattern(key, rule_.private_names[i]);
      } catch (const KeyError& error) {
        refuse(true, key, error.message());
      }
    }
  }

  void check_lora() const {
    const std::string key = "aggregator.lora";
    const bool has_lora = recipe_.adapt && recipe_.adapt->lora;
    const std::string& lora = rule_.lora;
    refuse(lora != "average" && !has_lora, key, format("{} needs adapt.lora", lora));
    if (!has_lora) return;
    refuse(lora == "frozen_a" && recipe_.adapt->lora->train_a, key,
           "frozen_a needs adapt.lora.train_a: false, so that A is the same in all silos");
    const bool moves = moves_base(recipe_);
    refuse(
        moves && !recipe_.adapt->lora->train_a, key,
        format("{} is for factors that both change: with adapt.lora.train_a: false the mean of B "
               "is exact already, so take frozen_a",
               lora));
    const bool joins = moves || lora == "svd";
    refuse(joins && rule_.type != "fedavg" && rule_.type != "fedprox", key,
           format("{} is defined for means of the silos: fedavg and fedprox, not {}", lora,
                  rule_.type));
    refuse(joins && recipe_.adapt->lora->use_dora, key,
           format("{} does not go with use_dora: magnitudes are not a part of the product", lora));
    refuse(moves && recipe_.adapt->lora->base != "master", key,
           format("{} changes the base, which adapt.lora.base {} does not allow", lora,
                  recipe_.adapt->lora->base));
  }

  // Nobody sees a single change then.
  void check_hidden() const {
    if (!is_secure()) return;
    const std::string key = "secure_aggregation";
    const std::string& type = rule_.type;
    refuse(is_robust(type), key,
           format("does not go with {}, which compares the changes: only their sum can be seen; "
                  "norm_bound, whose silos clip before they mask, does",
                  type));
    refuse(federated_.local_epochs && rule_.weights != "uniform", key,
           format("with local_epochs needs aggregator.weights uniform: how much of a round is a "
                  "silo's with {} nobody may know",
                  rule_.weights));
    refuse(federated_.local_epochs && rule_.experts != "uniform", key,
           format("with local_epochs needs aggregator.experts uniform: how many tokens an expert "
                  "can have in a round with {} nobody may know",
                  rule_.experts));
    const bool joins = rule_.lora != "average" && rule_.lora != "frozen_a";
    refuse(
        joins, key,
        format("does not go with aggregator.lora {}, which needs each silo's factors", rule_.lora));
  }

  void check_others() const {
    refuse(recipe_.continual && !recipe_.continual->tasks.empty(), "",
           "does not go with continual.tasks");
    refuse(recipe_.moe.placement == "balanced", "",
           "does not go with moe.placement balanced: silos would move experts each in its way");
    refuse(recipe_.privacy && rule_.experts == "routed_tokens", "aggregator.experts",
           "is routed_tokens: exact counts of a silo's tokens would be seen, which no noise of the "
           "block privacy hides");
  }

  void check_silo_privacy() const {
    if (!federated_.privacy) return;
    const ClientPrivacyOptions& privacy = *federated_.privacy;
    const bool in_silos = privacy.where == "silos";
    refuse(rule_.weights != "uniform", "privacy",
           format("needs aggregator.weights uniform: with {} a silo's part of the sum is not "
                  "bounded by clip_norm",
                  rule_.weights));
    const std::string reason = aggregate::why_not_private(rule_);
    refuse(!reason.empty(), "privacy", format("does not go with this aggregator: {}", reason));
    refuse(privacy.noise_multiplier == 0 && !privacy.allow_no_privacy, "privacy.noise_multiplier",
           "is 0: no noise hides a silo; allow_no_privacy: true allows it, for comparisons");
    const double most = 1 / static_cast<double>(std::max<std::int64_t>(1, silos()));
    refuse(privacy.delta >= most, "privacy.delta",
           format("is {}; there are {} silos, so it must be below 1 / {}: with that probability "
                  "a silo may be seen",
                  privacy.delta, silos(), silos()));
    refuse(is_secure() && !in_silos, "privacy.where",
           "is coordinator, who must bound each silo's change, and secure_aggregation hides them: "
           "take where: silos");
    refuse(in_silos && is_compressed(), "compression",
           "does not go with privacy.where silos: of changes that are rounded one by one the sum "
           "has not the noise of all silos; with where: coordinator it does");
    const auto valid = std::find_if(federated_.silos.begin(), federated_.silos.end(),
                                    [](const SiloOptions& silo) { return !silo.valid.empty(); });
    if (valid == federated_.silos.end() || privacy.log_loss) return;
    const std::string key = format("federated.silos[{}].valid", valid - federated_.silos.begin());
    problems_.warning(place_of(places_, key), key,
                      "gives no valid_loss: with federated.privacy nothing that has no noise is "
                      "told of a silo's data (federated.privacy.log_loss tells it)");
  }

  const Recipe& recipe_;
  const FederatedOptions& federated_;
  const aggregate::AggregatorOptions& rule_;
  const Places& places_;
  ProblemList& problems_;
};

}  // namespace

void check_federated(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.federated || problems.has_error("federated")) return;
  FederatedCheck(recipe, places, problems).check();
}

}  // namespace moesaic
