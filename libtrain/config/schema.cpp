#include "config/schema.h"

#include <memory>

#include "core/error.h"

namespace moesaic {
namespace {

template <class Owner, class Access>
KeyOf<Owner> bind(std::string path, Access access, Rule rule, std::string meaning) {
  const auto defaults = std::make_unique<Owner>();
  KeyOf<Owner> key;
  key.path = std::move(path);
  key.type = rule.path ? "path" : type_name(access(*defaults));
  if (!rule.required) key.default_text = write_value(access(*defaults)).value_or(rule.default_text);
  if (key.default_text.empty() && !rule.required) key.default_text = "absent";
  key.meaning = std::move(meaning);
  key.rule = rule;
  key.read = [access, rule](Owner& owner, const YamlNode& node, const std::string& name,
                            ProblemList& problems) {
    read_value(Slot{node, name, rule, problems}, access(owner));
  };
  key.write = [access](const Owner& owner) { return write_value(access(owner)); };
  return key;
}

// The path of a key is the path of its field, so the two cannot differ.
#define FIELD(member) \
#member, [](auto& owner) -> auto& { return owner.member; }

Rule required() { return {.required = true}; }
Rule path(std::string default_text = "") {
  return {.path = true, .default_text = std::move(default_text)};
}
Rule one_of(std::vector<std::string> choices, std::vector<std::string> later = {}) {
  return {.choices = std::move(choices), .later = std::move(later)};
}
Rule from(double least, double most) { return {.least = least, .most = most}; }
Rule positive() { return {.least = 0.0, .above_least = true}; }

constexpr double kMostSequences = 1e9;  // keeps products of sizes within 64 bits
constexpr double kMostSteps = 1e12;

Rule size() { return from(1, kMostSequences); }
Rule steps() { return from(0, kMostSteps); }

template <class Access>
Key key(std::string name, Access access, Rule rule, std::string meaning) {
  return bind<Recipe>(std::move(name), access, std::move(rule), std::move(meaning));
}

void add_model_and_data(std::vector<Key>& keys) {
  keys.push_back(key(FIELD(name), required(), "Name of the run."));
  keys.push_back(key(FIELD(seed), {}, "Seed of every random number."));
  keys.push_back(key(FIELD(run_dir), path("runs/<name>"), "Run folder."));
  keys.push_back(key(FIELD(tokenizer), {},
                     "byte: one token for each byte, and 256 for end of text; or a Hugging Face "
                     "tokenizer.json, or a folder or GGUF file with one. Default: that of "
                     "model.from, else byte."));
  keys.push_back(
      key(FIELD(model.from), path(),
          "Weights to start from: a Hugging Face folder, a checkpoint or a run folder of "
          "the same architecture."));
  keys.push_back(key(FIELD(model.config), {.default_text = "required without model.from"},
                     "Architecture: the keys of Hugging Face config.json (model_type llama, qwen3, "
                     "mixtral, olmoe, "
                     "qwen2_moe, qwen3_moe, deepseek_v2 or deepseek_v3)."));
  keys.push_back(key(FIELD(model.upcycle.num_experts), from(0, 65536),
                     "The networks of the dense model at model.from become so many experts "
                     "(docs/moe.md); 0 = they stay dense."));
  keys.push_back(key(FIELD(model.upcycle.num_experts_per_tok), from(1, 65536),
                     "Experts that a token meets then."));
  keys.push_back(key(FIELD(model.upcycle.granularity), from(1, 65536),
                     "Pieces that each copy of a network is cut into, an expert each."));
  keys.push_back(key(FIELD(model.upcycle.noise), from(0, 1e30),
                     "Standard deviation of what is added to the weights of an expert, relative "
                     "to theirs; with 0 the first logits are those of the dense model."));
  keys.push_back(key(FIELD(model.upcycle.reinit), from(0, 1),
                     "Share of an expert's inner units that begin anew."));
  keys.push_back(key(FIELD(data.train), required(), "Training text."));
  keys.push_back(key(FIELD(data.valid), {}, "Validation text; valid_loss covers all of it."));
  keys.push_back(key(FIELD(data.sequence_length), size(), "Input tokens of one sequence."));
  keys.push_back(key(FIELD(data.packing), {},
                     "Documents are laid end to end and cut; false: each "
                     "document is a sequence of its own length."));
  keys.push_back(
      key(FIELD(data.shuffle), {}, "Sequences in a seeded order, a new one each epoch."));
  keys.push_back(key(FIELD(data.cache), path("<run_dir>/cache"),
                     "Folder of the token files, keyed by digest of text and tokenizer."));
}

void add_training(std::vector<Key>& keys) {
  keys.push_back(key(FIELD(train.max_steps), from(1, kMostSteps),
                     "Optimizer steps of the run; this or train.epochs is required."));
  keys.push_back(key(FIELD(train.epochs), positive(),
                     "Passes over the training text, in place of max_steps."));
  keys.push_back(
      key(FIELD(train.global_batch_size), size(),
          "Sequences of a step over all ranks; a multiple of micro_batch_size. Never changes "
          "with the layout."));
  keys.push_back(
      key(FIELD(train.micro_batch_size), size(), "Sequences of one forward pass on one rank."));
  keys.push_back(key(FIELD(train.precision), one_of({"float64", "float32", "bfloat16"}),
                     "Of forward and backward; bfloat16 keeps float32 master weights."));
  keys.push_back(
      key(FIELD(train.clip_norm), from(0, 1e30), "Largest global gradient norm; 0 = off."));
  keys.push_back(key(FIELD(train.matmul), one_of({"auto", "mkl", "onednn"}),
                     "Library of the matrix products."));
  keys.push_back(key(FIELD(train.mtp_coefficient), from(0, 1e30),
                     "Weight of the loss of the layers for multi-token prediction "
                     "(num_nextn_predict_layers); 0 = the model is trained without them."));
  keys.push_back(
      key(FIELD(train.checkpoint_activations), {},
          "Each block keeps its input alone and computes the rest again in backward: the "
          "same bits, a fraction of the activations, about a third more time "
          "(docs/memory.md)."));
}

void add_learning(std::vector<Key>& keys) {
  keys.push_back(key(FIELD(optimizer.type), one_of({"adamw", "sgd"}), "Optimizer."));
  keys.push_back(key(FIELD(optimizer.learning_rate), positive(), "Highest learning rate."));
  keys.push_back(key(FIELD(optimizer.betas),
                     {.least = 0, .most = 1, .below_most = true, .count = 2},
                     "Decay of the two moments (adamw)."));
  keys.push_back(
      key(FIELD(optimizer.eps), positive(), "Added to the root of the second moment (adamw)."));
  keys.push_back(key(FIELD(optimizer.weight_decay), from(0, 1e30),
                     "Decoupled decay; not applied to norms and biases."));
  keys.push_back(key(FIELD(optimizer.momentum), {.least = 0, .most = 1, .below_most = true},
                     "Momentum (sgd)."));
  keys.push_back(key(FIELD(schedule.type), one_of({"cosine", "linear", "constant"}),
                     "Course of the learning rate after warm-up."));
  keys.push_back(key(FIELD(schedule.warmup_steps), steps(), "Steps of linear warm-up; 0 = none."));
  keys.push_back(key(FIELD(schedule.min_ratio), from(0, 1),
                     "Learning rate at the last step, relative to the highest."));
}

void add_moe(std::vector<Key>& keys) {
  keys.push_back(key(FIELD(moe.balance.type),
                     one_of({"none", "switch", "transformers", "gshard", "sequence", "global",
                             "bias", "bias+sequence"}),
                     "What evens out the load of the experts: a loss, or a correction bias that a "
                     "rule moves (docs/moe.md); transformers: as that library defines it."));
  keys.push_back(
      key(FIELD(moe.balance.coefficient), from(0, 1e30), "Its weight, for each MoE layer."));
  keys.push_back(key(FIELD(moe.balance.update_speed), from(0, 1e30),
                     "What a step adds to the correction bias or takes from it (bias)."));
  keys.push_back(key(FIELD(moe.router_z_coefficient), from(0, 1e30),
                     "Weight of the router z-loss, for each MoE layer; 0 = off."));
  keys.push_back(key(FIELD(moe.router_entropy_coefficient), from(0, 1e30),
                     "Weight of the entropy of the router's probabilities, for each MoE layer: "
                     "with router_top_p a token then needs fewer experts; 0 = off."));
  keys.push_back(key(FIELD(moe.router_jitter_noise), {.least = 0, .most = 1, .below_most = true},
                     "In training the router's input times uniform(1 - noise, 1 + noise); 0 = "
                     "off."));
  keys.push_back(key(FIELD(moe.gate_gradient),
                     one_of({"top_k", "default_moe", "dense_mixer", "sparse_mixer"}),
                     "Where the router's gradient of the task loss comes from (docs/moe.md)."));
  keys.push_back(key(FIELD(moe.expert_average_decay), {.least = 0, .most = 1, .below_most = true},
                     "Of the average output of each expert (default_moe)."));
  keys.push_back(key(FIELD(moe.sparse_mixer_eps), from(0, 1e30),
                     "Experts within twice so much of the best logit, relative to it, are drawn "
                     "from (sparse_mixer)."));
  keys.push_back(key(FIELD(moe.capacity_factor), from(0, 1e6),
                     "In training an expert takes at most so many times its even share of a "
                     "micro-batch's tokens; 0 = all (dropless)."));
  keys.push_back(key(FIELD(moe.drop), one_of({"probability", "position"}),
                     "Which tokens a full expert leaves out: those of the smallest weights, or the "
                     "last ones (capacity_factor)."));
  keys.push_back(key(FIELD(moe.pad_to_capacity), {},
                     "Every expert gets as many rows as it may take, the rest of them zeros "
                     "(capacity_factor): the same results, sizes that never change."));
  keys.push_back(key(FIELD(moe.placement), one_of({"in_order", "balanced"}),
                     "Which rank holds which expert; balanced: moved after each checkpoint so that "
                     "the ranks get equal loads. Never changes the mathematics."));
  keys.push_back(key(FIELD(moe.diagnose_every), steps(),
                     "Steps between looks at the cosine of the router's gradient to the dense one, "
                     "for which every expert is run on every token; 0 = never."));
}

void add_running(std::vector<Key>& keys) {
  constexpr double kMostRanks = 1e6;
  keys.push_back(key(FIELD(parallel.ranks), from(1, kMostRanks),
                     "MPI ranks; -n on the command line goes first."));
  keys.push_back(key(FIELD(parallel.expert), from(1, kMostRanks),
                     "Ranks that share one set of experts; divides the ranks and num_experts."));
  keys.push_back(key(FIELD(parallel.threads_per_rank), from(0, 4096),
                     "Threads of a rank; 0 = cores / ranks on the node."));
  keys.push_back(key(FIELD(parallel.timeout_s), {.least = 0, .most = 1e9, .above_least = true},
                     "Seconds after which the watchdog ends a collective that does not finish."));
  keys.push_back(key(FIELD(parallel.device), one_of({"cpu", "cuda"}), "Where the ranks compute."));
  keys.push_back(key(FIELD(checkpoint.every_steps), steps(),
                     "Steps between checkpoints; 0 = only at the end."));
  keys.push_back(key(FIELD(checkpoint.keep), from(1, 1e6), "Newest checkpoints that are kept."));
  keys.push_back(key(FIELD(checkpoint.final), {}, "A run that ends well leaves a checkpoint."));
  keys.push_back(key(FIELD(checkpoint.dtype), one_of({"master", "bfloat16"}),
                     "Of the weights in model.h5; with bfloat16 the masters are in state.h5."));
  keys.push_back(key(FIELD(checkpoint.async), {},
                     "Write checkpoints beside the training, from a copy of the state in memory."));
  keys.push_back(key(FIELD(eval.every_steps), steps(),
                     "Steps between evaluations on data.valid; 0 = only at the end."));
  keys.push_back(
      key(FIELD(log.every_steps), from(1, kMostSteps), "Steps between lines of metrics.jsonl."));
  keys.push_back(key(FIELD(log.tensorboard), {}, "Write TensorBoard event files."));
  keys.push_back(
      key(FIELD(log.check_collectives), {},
          "Compare label and size over the group before each collective (slow, finds defects)."));
  keys.push_back(key(FIELD(log.profile_steps), from(1, kMostSteps),
                     "Steps to record, such as [5, 6, 7]: each run of neighbours becomes "
                     "<run_dir>/trace-<first>.json (docs/profiling.md)."));
}

std::vector<KeyOf<SourceOptions>> make_source_keys() {
  std::vector<KeyOf<SourceOptions>> keys;
  const auto add = [&keys](std::string name, auto access, Rule rule, std::string meaning) {
    keys.push_back(
        bind<SourceOptions>(std::move(name), access, std::move(rule), std::move(meaning)));
  };
  add(FIELD(path), {.path = true, .required = true}, "File or glob.");
  add(FIELD(format), one_of({"text", "jsonl", "tokens"}, {"chat", "prompt_completion"}),
      "text: a file is a document; jsonl: {\"text\": ...} a line; tokens: {\"ids\": [...]} a "
      "line.");
  add(FIELD(weight), positive(), "Share of the sequences drawn, relative to the other sources.");
  return keys;
}

#undef FIELD

void read_source(const YamlNode& node, const std::string& name, SourceOptions& source,
                 ProblemList& problems) {
  if (!node.is_mapping()) {
    return problems.error(node.place, name,
                          format("expected a mapping {{path: ...}}, got {}", node.shown()));
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string& word = node.keys[i].text;
    const KeyOf<SourceOptions>* found = nullptr;
    std::vector<std::string> names;
    for (const auto& candidate : source_keys()) {
      names.push_back(candidate.path);
      if (candidate.path == word) found = &candidate;
    }
    if (found != nullptr) {
      found->read(source, node.items[i], format("{}.{}", name, word), problems);
    } else {
      problems.error(node.keys[i].place, format("{}.{}", name, shortened(word)),
                     "unknown key" + did_you_mean(word, names));
    }
  }
  if (node.find("path") == nullptr) problems.error(node.place, name, "path is missing");
}

}  // namespace

void read_value(const Slot& slot, std::vector<SourceOptions>& field) {
  if (slot.node.is_null() && !slot.rule.required) return field.clear();
  if (!slot.node.is_sequence())
    return slot.refuse("a list such as [{path: corpus/*.txt, format: text}]");
  field.clear();
  for (std::size_t i = 0; i < slot.node.items.size() && !slot.problems.full(); ++i) {
    read_source(slot.node.items[i], format("{}[{}]", slot.key, i), field.emplace_back(),
                slot.problems);
  }
  if (field.empty() && slot.rule.required) slot.refuse("at least one source");
}

std::optional<std::string> write_value(const std::vector<SourceOptions>& value) {
  if (value.empty()) return std::nullopt;
  std::string text;
  for (const SourceOptions& source : value) {
    std::vector<std::string> parts;
    for (const auto& entry : source_keys()) {
      if (const auto written = entry.write(source))
        parts.push_back(format("{}: {}", entry.path, *written));
    }
    text += format("\n- {{{}}}", join(parts, ", "));
  }
  return text;
}

const std::vector<Key>& recipe_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> made;
    add_model_and_data(made);
    add_training(made);
    add_learning(made);
    add_moe(made);
    add_running(made);
    return made;
  }();
  return keys;
}

const std::vector<KeyOf<SourceOptions>>& source_keys() {
  static const std::vector<KeyOf<SourceOptions>> keys = make_source_keys();
  return keys;
}

}  // namespace moesaic
