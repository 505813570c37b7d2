// The keys of the block adapt.
#include "config/schema_builder.h"

namespace moesaic {
namespace {

using namespace rules;

std::vector<KeyOf<LoraOptions>> lora_keys() {
  constexpr double kMostRank = 65536;
  std::vector<KeyOf<LoraOptions>> keys;
  add_key(keys, FIELD(r), from(1, kMostRank), "Rank of each change, at most that of its matrix.");
  add_key(keys, FIELD(lora_alpha), positive(),
          "The change of a weight is alpha / r B A (with use_rslora: alpha / sqrt(r)).");
  add_key(keys, FIELD(lora_dropout), {.least = 0, .most = 1, .below_most = true},
          "Share of an adapter's inputs that training leaves out.");
  add_key(keys, FIELD(target_modules), {},
          "What gets an adapter: all-linear (all but output head, router and gates), a list of "
          "ends of module paths such as [q_proj, experts.gate_proj, experts], or one regular "
          "expression for the whole path.");
  add_key(keys, FIELD(exclude_modules), {},
          "What gets none all the same, a list or a regular expression as above. [experts] says "
          "that the routed experts stay as they are.");
  add_key(keys, FIELD(rank_pattern), from(1, kMostRank),
          "Other ranks, by regular expressions for ends of module paths: {experts.down_proj: 8}; "
          "the first that matches counts.");
  add_key(keys, FIELD(alpha_pattern), positive(), "Other alphas, in the same way.");
  add_key(keys, FIELD(use_rslora), {}, "Scale by alpha / sqrt(r) (arXiv 2312.03732).");
  add_key(keys, FIELD(use_dora), {},
          "Weight-decomposed adaptation (arXiv 2402.09353): the change turns the rows of the "
          "weight, and their lengths are trained beside it.");
  add_key(keys, FIELD(init_lora_weights), one_of({"default", "gaussian", "pissa"}),
          "Of A: uniform as PEFT's Kaiming with a = sqrt(5), or normal with deviation 1 / r; B "
          "begins with zeros. pissa: both from the largest singular values of the weight, which "
          "keeps the rest (arXiv 2404.02948).");
  add_key(keys, FIELD(train_a), {}, "false: A stays as drawn, B alone is trained.");
  add_key(keys, FIELD(lora_plus_ratio), positive(),
          "Learning rate of B over that of A (LoRA+, arXiv 2402.12354).");
  add_key(keys, FIELD(router), one_of({"frozen", "lora", "full"}),
          "The routers stay as they are, get an adapter, or are trained in full.");
  add_key(keys, FIELD(modules_to_save), {},
          "Ends of module paths, trained in full and saved with the adapter: [lm_head].");
  add_key(keys, FIELD(base), one_of({"master", "bfloat16", "int8", "nf4"}),
          "How the frozen matrices inside the layers are kept, each (an expert's, too) alone: as "
          "masters, in bfloat16, in int8 with a scale for each output, or in NF4 with double "
          "quantisation (arXiv 2305.14314). Routers, norms, embedding and head stay masters.");
  return keys;
}

std::vector<KeyOf<AdaptOptions>> adapt_keys() {
  std::vector<KeyOf<AdaptOptions>> keys;
  add_key(keys, FIELD(from), path(),
          "A PEFT folder, or a run with adapters, to go on from: its keys are the defaults of "
          "adapt.lora, and those given in both must agree.");
  add_key(keys, FIELD(train), {},
          "Regular expressions, each matched in full against the names of parameters as "
          "checkpoints have them (experts.<i>. joined to experts.): these are trained in full. "
          "Absent: all, with lora or esft none.");
  add_block(keys, FIELD(lora),
            "Low-rank adapters beside frozen linear maps (arXiv 2106.09685); the keys are PEFT's. "
            "Needs model.from.");
  add_block(keys, FIELD(esft),
            "Expert-specialised fine-tuning (arXiv 2407.01906): the experts that the run's data go "
            "to are trained, and what adapt.train names; nothing else.");
  return keys;
}

std::vector<KeyOf<EsftOptions>> esft_keys() {
  std::vector<KeyOf<EsftOptions>> keys;
  add_key(keys, FIELD(share), {.least = 0, .most = 1, .above_least = true},
          "In each layer the fewest experts whose scores add up to this share of all are trained.");
  add_key(keys, FIELD(score), one_of({"gate", "tokens"}),
          "Of an expert: the sum of its gate weights over the sample, or how often it was chosen.");
  add_key(keys, FIELD(sample_tokens), from(1, 1e12),
          "Tokens of the sample: the first draws of the run's own training data, in whole steps.");
  return keys;
}

}  // namespace

const Schema<EsftOptions>& schema_of(const EsftOptions*) {
  static const Schema<EsftOptions> schema{"choice of experts", "{share: 0.2}", esft_keys()};
  return schema;
}

const Schema<LoraOptions>& schema_of(const LoraOptions*) {
  static const Schema<LoraOptions> schema{"adapter", "{r: 16}", lora_keys()};
  return schema;
}

const Schema<AdaptOptions>& schema_of(const AdaptOptions*) {
  static const Schema<AdaptOptions> schema{"adaptation", "{lora: {r: 16}}", adapt_keys()};
  return schema;
}

}  // namespace moesaic
