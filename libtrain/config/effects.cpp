// Settings that change nothing: a warning for each that was given and is not the default.
#include <algorithm>
#include <initializer_list>

#include "config/check.h"
#include "config/schema.h"
#include "config/tasks.h"
#include "core/error.h"

namespace moesaic {
namespace {

class EffectCheck {
 public:
  EffectCheck(const Recipe& recipe, const Places& places, ProblemList& problems)
      : recipe_(recipe), places_(places), problems_(problems) {}

  // `path` is a key, or a section whose keys are all meant.
  void unused(const std::string& path, const std::string& reason) const {
    for (const Key& key : recipe_keys()) {
      const bool meant = key.path == path || key.path.compare(0, path.size() + 1, path + ".") == 0;
      if (!meant || places_.count(key.path) == 0 || problems_.has_error(key.path)) continue;
      if (key.write(recipe_) == key.unset) continue;
      problems_.warning(place_of(places_, key.path), key.path, "has no effect: " + reason);
    }
  }
  void warn(const std::string& key, const std::string& message) const {
    problems_.warning(place_of(places_, key), key, message);
  }

 private:
  const Recipe& recipe_;
  const Places& places_;
  ProblemList& problems_;
};

void check_weights(const Recipe& recipe, const EffectCheck& check) {
  if (recipe.data.train.size() == 1 && recipe.data.train[0].weight != 1.0) {
    check.warn("data.train", "weight has no effect: there is one source");
  }
  for (const SourceOptions& source : recipe.data.valid) {
    if (source.weight == 1.0) continue;
    check.warn("data.valid", "weight has no effect: validation covers every source");
    break;
  }
}

void check_long_documents(const DataOptions& data, const EffectCheck& check) {
  if (data.packs_end_to_end()) {
    for (const char* key : {"data.too_long", "data.overlap"})
      check.unused(key, "data.packing is true: documents are laid end to end");
    return;
  }
  const bool cuts_text = data.packing == DataOptions::Packing(false);
  const std::string too_long = data.too_long.value_or(cuts_text ? "chunk" : "stop");
  if (too_long != "chunk") check.unused("data.overlap", "data.too_long is " + too_long);
}

void check_completions(const Recipe& recipe, const EffectCheck& check) {
  const auto may_have_some = [](const SourceOptions& source) {
    return source.format == "auto" || source.format == "prompt_completion" ||
           source.format == "chat";
  };
  const auto any = [&](const SourceList& list) {
    return std::any_of(list.sources.begin(), list.sources.end(), may_have_some);
  };
  const std::vector<SourceList> lists = source_lists(recipe);
  if (std::any_of(lists.begin(), lists.end(), any)) return;
  check.unused("data.chat_template", "no source has format chat or prompt_completion");
}

void check_moe(const Recipe& recipe, const EffectCheck& check) {
  const MoeOptions& moe = recipe.moe;
  const std::string& balance = moe.balance.type;
  if (balance == "none" || balance == "bias")
    check.unused("moe.balance.coefficient", "moe.balance.type is " + balance);
  if (!moe.balance.moves_bias())
    check.unused("moe.balance.update_speed", "moe.balance.type is " + balance);
  if (moe.gate_gradient != "default_moe")
    check.unused("moe.expert_average_decay", "moe.gate_gradient is " + moe.gate_gradient);
  if (moe.gate_gradient != "sparse_mixer")
    check.unused("moe.sparse_mixer_eps", "moe.gate_gradient is " + moe.gate_gradient);
  if (moe.capacity_factor == 0) {
    for (const char* key : {"moe.drop", "moe.pad_to_capacity"})
      check.unused(key, "moe.capacity_factor is 0");
  }
  const std::int64_t every = recipe.checkpoint.every_steps;
  if (every == 0 || (recipe.train.max_steps && every >= *recipe.train.max_steps)) {
    check.unused("moe.placement",
                 format("experts move at checkpoints, and checkpoint.every_steps is {}", every));
  }
  if (moe.balance.coefficient == 0 && balance != "none" && balance != "bias")
    check.warn("moe.balance.coefficient", format("is 0: the loss of {} has no effect", balance));
}

// A model of features has no text, no positions and no blocks.
void check_features(const EffectCheck& check) {
  for (const char* key : {"tokenizer", "data.sequence_length", "data.packing", "data.too_long",
                          "data.overlap", "data.loss_on", "data.on_error", "data.chat_template",
                          "data.cache", "train.checkpoint_activations"})
    check.unused(key, "the model reads images");
}

void check_continual_effects(const Recipe& recipe, bool is_moe, const EffectCheck& check) {
  if (!recipe.continual) return;
  const ContinualOptions& continual = *recipe.continual;
  const std::string& method = continual.method;
  const std::string reason = "continual.method is " + method;
  const auto unused = [&](std::initializer_list<const char*> keys) {
    for (const char* key : keys) check.unused(std::string("continual.") + key, reason);
  };
  const bool estimates = method == "ewc" || method == "online_ewc" || method == "mas";
  const bool pulls = estimates || method == "l2" || method == "si";
  if (method == "none") unused({"lambda"});
  if (method != "lwf") unused({"temperature"});
  if (!pulls) unused({"importance", "router_lambda"});
  if (!estimates && method != "none") unused({"fisher"});
  if (estimates && method != "online_ewc") unused({"fisher.decay"});
  if (method == "mas") unused({"fisher.labels"});
  if (!is_moe && pulls) check.unused("continual.router_lambda", "the model is dense");
  if (!is_moe && estimates) check.unused("continual.fisher.routing_aware", "the model is dense");
  if (continual.replay.share == 0)
    check.unused("continual.replay.sources", "continual.replay.share is 0");
}

void check_privacy_effects(const Recipe& recipe, const EffectCheck& check) {
  if (recipe.federated && recipe.federated->privacy &&
      recipe.federated->privacy->noise_multiplier == 0)
    check.unused("federated.privacy.budget",
                 "federated.privacy.noise_multiplier is 0: nothing is charged");
  if (!recipe.privacy) return;
  const PrivacyOptions& privacy = *recipe.privacy;
  check.unused("data.shuffle", "units are drawn (privacy.sampling)");
  if (privacy.clipping != "adaptive")
    check.unused("privacy.adaptive", "privacy.clipping is " + privacy.clipping);
  if (privacy.noise_multiplier == 0.0)
    check.unused("privacy.budget", "privacy.noise_multiplier is 0: nothing is charged");
  if (privacy.mechanism != "banded_matrix") {
    for (const char* key : {"privacy.bands", "privacy.min_separation"})
      check.unused(key, "privacy.mechanism is " + privacy.mechanism);
  }
}

}  // namespace

void warn_without_effect(const Recipe& recipe, const arch::Options& options, const Places& places,
                         ProblemList& problems) {
  const bool is_moe = options.is_moe();
  const EffectCheck check(recipe, places, problems);
  if (recipe.model.upcycle.num_experts == 0)
    check.unused("model.upcycle", "model.upcycle.num_experts is 0");
  for (const char* key : {"moe", "adapt.lora.router"})
    if (!is_moe) check.unused(key, "the model is dense");
  if (is_moe) check_moe(recipe, check);
  if (recipe.optimizer.type == "sgd") {
    for (const char* key : {"optimizer.betas", "optimizer.eps"})
      check.unused(key, "the optimizer is sgd");
  } else {
    check.unused("optimizer.momentum", "the optimizer is adamw");
  }
  if (recipe.schedule.type == "constant")
    check.unused("schedule.min_ratio", "the schedule is constant");
  if (recipe.data.valid.empty()) check.unused("eval.every_steps", "there is no data.valid");
  if (recipe.eval.every_steps == 0)
    check.unused("eval.patience", "eval.every_steps is 0: there is one evaluation, at the end");
  if (recipe.train.restarts == 0) check.unused("train.restart_window_s", "train.restarts is 0");
  check_weights(recipe, check);
  if (options.reads_features()) {
    check_features(check);
  } else {
    check_completions(recipe, check);
    check_long_documents(recipe.data, check);
  }
  check_continual_effects(recipe, is_moe, check);
  check_privacy_effects(recipe, check);
  for (const std::int64_t step : recipe.log.profile_steps) {
    if (!recipe.train.max_steps || step <= *recipe.train.max_steps) continue;
    check.warn("log.profile_steps", format("step {} has no effect: the run ends with step {}", step,
                                           *recipe.train.max_steps));
  }
  if (is_moe && recipe.parallel.expert == 1)
    check.unused("moe.placement", "parallel.expert is 1: every rank holds all experts");
  if (recipe.parallel.ranks == 1)
    check.unused("parallel.check_replicas_every", "one rank has no replicas");
  const std::int64_t warmup = recipe.schedule.warmup_steps;
  if (recipe.train.max_steps && warmup >= *recipe.train.max_steps) {
    check.warn("schedule.warmup_steps",
               format("{} is not below max_steps {}: the run ends in warm-up", warmup,
                      *recipe.train.max_steps));
  }
}

}  // namespace moesaic
