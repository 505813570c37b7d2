#include "config/check.h"

#include <algorithm>

#include "arch/passed_over.h"
#include "config/data_format.h"
#include "config/model_config.h"
#include "config/no_model.h"
#include "config/silos.h"
#include "config/tasks.h"
#include "core/divisors.h"
#include "core/error.h"
#include "core/file_glob.h"
#include "core/fs.h"
#include "core/path.h"

namespace moesaic {
namespace {

// The name becomes a folder and a part of log lines.
void check_name(const Recipe& recipe, const Places& places, ProblemList& problems) {
  constexpr std::size_t kLongest = 128;
  const std::string& name = recipe.name;
  if (name.empty() || problems.has_error("name")) return;
  const bool strange = std::any_of(name.begin(), name.end(), [](char c) {
    return c == '/' || static_cast<unsigned char>(c) < 0x20;
  });
  if (strange || name.front() == '.' || name.front() == '-' || name.size() > kLongest) {
    problems.error(
        place_of(places, "name"), "name",
        format("{} cannot name a folder: no '/', no leading '.' or '-', at most {} bytes",
               shown(name), kLongest));
  }
}

void check_length(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const TrainOptions& train = recipe.train;
  if (problems.has_error("train.max_steps") || problems.has_error("train.epochs")) return;
  if (!tasks_of(recipe).empty() || problems.has_error("continual.tasks")) return;
  if (recipe.federated) return;  // its rounds say it
  if (train.max_steps && train.epochs) {
    problems.error(place_of(places, "train.epochs"), "train.epochs",
                   "and train.max_steps are both given; keep one");
  } else if (!train.max_steps && !train.epochs) {
    problems.error(place_of(places, "train"), "train", "max_steps or epochs is missing");
  }
}

void check_overlap(const DataOptions& data, const Places& places, ProblemList& problems) {
  if (data.overlap < data.sequence_length) return;
  problems.error(place_of(places, "data.overlap"), "data.overlap",
                 format("is {}; it must be below data.sequence_length, {}", data.overlap,
                        data.sequence_length));
}

void check_model(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (recipe.model.upcycle.num_experts > 0 && !recipe.model.from) {
    problems.error(place_of(places, "model.upcycle.num_experts"), "model.upcycle.num_experts",
                   "there is no model.from to take dense weights from");
  }
  if (recipe.model.from || !recipe.model.config.empty() || problems.has_error("model")) return;
  problems.error(place_of(places, "model"), "model", "config or from is missing");
}

void check_batch(const Recipe& recipe, const Places& places, ProblemList& problems) {
  const std::int64_t global = recipe.train.global_batch_size;
  const std::int64_t micro = recipe.train.micro_batch_size;
  if (recipe.privacy) return;  // steps are drawn
  if (problems.has_error("train.global_batch_size") || problems.has_error("train.micro_batch_size"))
    return;
  const bool given = places.count("train.global_batch_size") > 0;
  const std::string key = given ? "train.global_batch_size" : "train.micro_batch_size";
  if (global % micro != 0) {
    problems.error(
        place_of(places, key), key,
        format("global_batch_size {} is not a multiple of micro_batch_size {}", global, micro));
  } else if (global / micro < recipe.parallel.ranks && !recipe.federated &&
             !problems.has_error("parallel.ranks")) {
    problems.warning(
        place_of(places, key), key,
        format("{} micro-batches a step for {} ranks: {} ranks have nothing to compute",
               global / micro, recipe.parallel.ranks, recipe.parallel.ranks - global / micro));
  }
}

void check_layout(const Recipe& recipe, const arch::Options& options, const Places& places,
                  ProblemList& problems) {
  const std::int64_t ranks = recipe.parallel.ranks;
  const std::int64_t expert = recipe.parallel.expert;
  if (expert == 1 || problems.has_error("parallel")) return;
  const Place place = place_of(places, "parallel.expert");
  if (!options.is_moe()) {
    return problems.error(place, "parallel.expert",
                          format("is {}, and a dense model has no experts", expert));
  }
  std::vector<std::string> reasons;
  if (ranks % expert != 0) reasons.push_back(format("{} ranks", ranks));
  if (options.num_experts % expert != 0)
    reasons.push_back(format("{} experts", options.num_experts));
  if (reasons.empty()) return;
  problems.error(place, "parallel.expert",
                 format("{} does not divide {}; sizes that fit {} ranks and {} experts: {}", expert,
                        join(reasons, " and "), ranks, options.num_experts,
                        join(common_divisors(ranks, options.num_experts), ", ")));
}

// What of the block moe does not go together, with the architecture or with itself.
void check_moe(const Recipe& recipe, const arch::Options& options, const Places& places,
               ProblemList& problems) {
  if (!options.is_moe()) return;
  const MoeOptions& moe = recipe.moe;
  const auto refuse = [&](bool wrong, const char* key, const std::string& message) {
    if (wrong) problems.error(place_of(places, key), key, message);
  };
  refuse(moe.balance.moves_bias() && !options.correction_bias, "moe.balance.type",
         format("{} moves a correction bias, and the model has none; model.config.use_expert_bias: "
                "true gives it one",
                moe.balance.type));
  const bool varies = options.router_top_p > 0 || options.zero_expert_num > 0;
  const char* const kVaries = "with router_top_p or zero_expert_num";
  refuse(varies && moe.gate_gradient != "top_k", "moe.gate_gradient",
         format("{} is not defined {}", moe.gate_gradient, kVaries));
  refuse(options.zero_expert_num > 0 && moe.diagnose_every > 0, "moe.diagnose_every",
         "the dense gradient is not defined with zero_expert_num");
  const bool mixes = moe.gate_gradient == "dense_mixer" || moe.gate_gradient == "sparse_mixer";
  refuse(mixes && moe.capacity_factor > 0, "moe.capacity_factor",
         format("must be 0 with gate_gradient {}", moe.gate_gradient));
  refuse(moe.gate_gradient == "sparse_mixer" && (options.correction_bias || options.n_group > 1),
         "moe.gate_gradient",
         "sparse_mixer draws from the logits: a correction bias or groups of experts would have no "
         "part in it");
  if (options.num_experts_per_tok == 1 && options.norm_topk_prob && options.router_top_p == 0 &&
      moe.gate_gradient == "top_k") {
    problems.warning(place_of(places, "moe.gate_gradient"), "moe.gate_gradient",
                     "top_k teaches the router nothing: with num_experts_per_tok 1 and "
                     "norm_topk_prob its weight is always 1; default_moe, dense_mixer and "
                     "sparse_mixer do teach it");
  }
  const std::int64_t at_once = recipe.parallel.ranks * recipe.train.micro_batch_size;
  if (moe.balance.type == "global" && at_once < recipe.train.global_batch_size) {
    problems.warning(place_of(places, "moe.balance.type"), "moe.balance.type",
                     format("global counts the choices of the ranks' micro-batches so far: with "
                            "{} ranks x micro_batch_size {} below global_batch_size {} its value "
                            "depends on the layout",
                            recipe.parallel.ranks, recipe.train.micro_batch_size,
                            recipe.train.global_batch_size));
  }
}

void check_prediction(const Recipe& recipe, const arch::Options& options, const Places& places,
                      ProblemList& problems) {
  const char* const key = "train.mtp_coefficient";
  const bool has_layers = options.num_nextn_predict_layers > 0;
  if (has_layers && !options.is_moe() && options.num_routers() > 0) {
    problems.error(place_of(places, "model.config.first_k_dense_replace"),
                   "model.config.first_k_dense_replace",
                   "leaves experts to the layers for multi-token prediction alone; it must be less "
                   "than num_hidden_layers");
  }
  if (has_layers && recipe.train.mtp_coefficient == 0) {
    problems.warning(place_of(places, key), key,
                     "is 0: the layers for multi-token prediction (num_nextn_predict_layers) are "
                     "left out, also of the checkpoints");
  } else if (!has_layers && recipe.train.mtp_coefficient > 0) {
    problems.error(place_of(places, key), key,
                   "there are no layers for multi-token prediction: "
                   "model.config.num_nextn_predict_layers of a deepseek_v3 says how many");
  }
}

// What the system cannot tell, of a name too long for it, is a mistake among others.
bool is_there(const std::string& path) {
  try {
    return path_exists(path, ErrorKind::kRecipe);
  } catch (const Error&) {
    return false;
  }
}

// The first file tells; what is wrong with it is told by what reads it.
bool holds_text(const SourceOptions& source) {
  try {
    const auto files = expand_files(source.path, Log({.console = false}));
    return is_of_text(with_format({files.front()}, source.format).format);
  } catch (const Error&) {
    return true;
  }
}

// Conversations become text by a template, of which the tokenizer of bytes has none.
void check_template(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (recipe.data.chat_template || recipe.tokenizer != "byte") return;
  for (const SourceList& list : source_lists(recipe)) {
    for (std::size_t i = 0; i < list.sources.size(); ++i) {
      if (list.sources[i].format != "chat") continue;
      const std::string source = format("{}[{}].format", list.key, i);
      problems.error(place_of(places, source), source,
                     "is chat, which needs a chat template, and the tokenizer byte has none: name "
                     "a file with one in data.chat_template");
      return;
    }
  }
}

void check_tokens(const Recipe& recipe, const arch::Options& options, const Places& places,
                  ProblemList& problems) {
  constexpr std::int64_t kByteTokens = 257;  // 256 bytes and end of text
  const bool text = reads_text(recipe);
  if (text && recipe.tokenizer != "byte" && !is_there(recipe.tokenizer)) {
    problems.error(place_of(places, "tokenizer"), "tokenizer",
                   format("'{}' is neither byte nor a tokenizer.json nor a folder with one",
                          recipe.tokenizer));
  }
  check_template(recipe, places, problems);
  if (text && recipe.tokenizer == "byte" && options.vocab_size < kByteTokens) {
    problems.error(place_of(places, "model.config.vocab_size"), "model.config.vocab_size",
                   format("is {}; the byte tokenizer needs {}", options.vocab_size, kByteTokens));
  }
  if (recipe.data.sequence_length > options.max_position_embeddings) {
    problems.warning(place_of(places, "data.sequence_length"), "data.sequence_length",
                     format("{} is beyond the model's max_position_embeddings {}",
                            recipe.data.sequence_length, options.max_position_embeddings));
  }
}

}  // namespace

bool reads_text(const Recipe& recipe) {
  const auto is_text = [](const SourceOptions& source) {
    if (source.format == "auto") return holds_text(source);
    return source.format != "tokens" && source.format != "idx";
  };
  const std::vector<SourceList> lists = source_lists(recipe);
  return std::any_of(lists.begin(), lists.end(), [&](const SourceList& list) {
    return std::any_of(list.sources.begin(), list.sources.end(), is_text);
  });
}

Place place_of(const Places& places, std::string key) {
  for (;;) {
    if (const auto found = places.find(key); found != places.end()) return found->second;
    if (key.empty()) return {};
    const std::size_t above = key.find_last_of(".[");
    key = above == std::string::npos ? "" : key.substr(0, above);
  }
}

void check_recipe(Recipe& recipe, const Places& places, ProblemList& problems) {
  check_name(recipe, places, problems);
  check_tasks(recipe, places, problems);
  check_length(recipe, places, problems);
  if (recipe.federated && !places.contains("parallel.ranks"))
    recipe.parallel.ranks = default_ranks(*recipe.federated);
  check_batch(recipe, places, problems);
  check_overlap(recipe.data, places, problems);
  check_model(recipe, places, problems);
  if (recipe.tokenizer != "byte") recipe.tokenizer = absolute_path(recipe.tokenizer);
  if (recipe.run_dir.empty()) recipe.run_dir = absolute_path("runs/" + recipe.name);
  resolve_privacy(recipe, places, problems);
  resolve_silo_privacy(recipe, places, problems);
  check_federated(recipe, places, problems);
}

// `options` of the dense weights become those of the model with experts.
bool upcycle(arch::Options& options, const Recipe& recipe, const Places& places,
             ProblemList& problems) {
  std::vector<arch::Problem> found;
  options = arch::upcycled(options, recipe.model.upcycle, found);
  for (const arch::Problem& problem : found) {
    const std::string key = "model.upcycle." + problem.key;
    problems.error(place_of(places, key), key, problem.message);
  }
  return found.empty();
}

// What model.config may say beside model.from: how tokens are routed, and parts that begin anew.
// Whatever else differs from the weights' architecture is refused.
void check_changes(arch::Options given, const arch::Options& weights, const std::string& path,
                   const Place& place, ProblemList& problems) {
  given.router_top_p = weights.router_top_p;
  given.rsqrt_router_logits = weights.rsqrt_router_logits;
  if (given.correction_bias) given.correction_bias = weights.correction_bias;
  given.num_nextn_predict_layers =
      std::min(given.num_nextn_predict_layers, weights.num_nextn_predict_layers);
  const Json wanted = arch::to_config(given), there = arch::to_config(weights);
  std::vector<std::string> keys;
  for (const auto& [key, value] : wanted.items())
    if (!there.contains(key) || there.at(key) != value) keys.push_back(key);
  for (const auto& [key, value] : there.items())
    if (!wanted.contains(key)) keys.push_back(key);
  if (keys.empty()) return;
  problems.error(place, "model.config",
                 format("{} differs from the weights' {}; beside model.from there may be "
                        "router_top_p, router_logit_scale, use_expert_bias: true and a larger "
                        "num_nextn_predict_layers",
                        join(keys, ", "), path));
}

void resolve_model(Recipe& recipe, const Places& places, ProblemList& problems) {
  ModelOptions& model = recipe.model;
  if (problems.has_error("model.from") || problems.has_error("model.config")) return;
  if (!model.from) return;
  const Place place = place_of(places, "model.from");
  const std::optional<std::string> path = find_model_config(*model.from);
  try {
    if (!path) {
      const NoModel found = look_at_no_model(*model.from);
      return problems.error(place, "model.from",
                            format("no model in {}: {}; {}", *model.from, found.what, found.hint));
    }
    Json saved = read_config_file(*path, ErrorKind::kRecipe);
    arch::Options options = arch::require_options(saved, *path);
    if (model.upcycle.num_experts > 0) {
      if (!upcycle(options, recipe, places, problems)) return;
      saved = arch::to_config(options);
    }
    for (const auto& [key, value] : model.config.items()) saved[key] = value;
    model.config = saved;
    if (!places.contains("tokenizer") && reads_text(recipe))
      recipe.tokenizer = find_model_tokenizer(*model.from).value_or(recipe.tokenizer);
    std::vector<arch::Problem> found;
    const arch::Options given = arch::read_options(model.config, found);
    const bool readable =
        std::none_of(found.begin(), found.end(), [](const auto& p) { return !p.warning; });
    if (readable) check_changes(given, options, *path, place_of(places, "model.config"), problems);
  } catch (const Error& error) {
    problems.error(place, "model.from", error.what());
  }
}

// In a config.json of the hub they are passed over; who writes one into a recipe means something.
void warn_of_generation_keys(const Json& config, const Places& places, ProblemList& problems) {
  for (const auto& [name, value] : config.items()) {
    const std::string key = "model.config." + name;
    if (!arch::is_generation_key(name) || !places.contains(key)) continue;
    problems.warning(place_of(places, key), key,
                     "has no effect: it says how text is generated, as options of moesaic generate "
                     "do; the experts of a token are num_experts_per_tok and router_top_p");
  }
}

void check_architecture(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (recipe.model.config.empty() || problems.has_error("model.from")) return;
  std::vector<arch::Problem> found;
  const arch::Options options = arch::read_options(recipe.model.config, found);
  bool readable = true;
  for (const arch::Problem& problem : found) {
    const std::string key = problem.key.empty() ? "model.config" : "model.config." + problem.key;
    const Place place = place_of(places, key);
    if (problem.warning) {
      problems.warning(place, key, problem.message);
    } else {
      readable = false;
      problems.error(place, shortened(key), problem.message);
    }
  }
  warn_of_generation_keys(recipe.model.config, places, problems);
  if (!readable) return;
  check_layout(recipe, options, places, problems);
  check_sources(recipe, options, places, problems);
  if (!options.reads_features()) check_tokens(recipe, options, places, problems);
  check_moe(recipe, options, places, problems);
  check_prediction(recipe, options, places, problems);
  check_training(recipe, options, places, problems);
  check_adaptation(recipe, places, problems);
  check_continual(recipe, options, places, problems);
  check_privacy(recipe, options, places, problems);
  warn_without_effect(recipe, options, places, problems);
}

}  // namespace moesaic
