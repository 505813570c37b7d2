#include "config/schema.h"

#include "config/parallel_keys.h"
#include "config/schema_builder.h"

namespace moesaic {
namespace {

using namespace rules;

void add_model(std::vector<Key>& keys) {
  add_key(keys, FIELD(name), required(), "Name of the run.");
  add_key(keys, FIELD(seed), {}, "Seed of every random number.");
  add_key(keys, FIELD(run_dir), path("runs/<name>"), "Run folder.");
  add_key(keys, FIELD(tokenizer), {},
          "byte: one token for each byte, and 256 for end of text; or a Hugging Face "
          "tokenizer.json, or a folder or GGUF file with one. Default: that of "
          "model.from, else byte.");
  add_key(keys, FIELD(model.from), path(),
          "Weights to start from: a Hugging Face folder, a GGUF file, a checkpoint or a run "
          "folder. Their architecture is the run's (docs/weights.md).");
  add_key(keys, FIELD(model.config), {.default_text = "required without model.from"},
          "Architecture: the keys of Hugging Face config.json (model_type llama, qwen3, "
          "mixtral, olmoe, "
          "qwen2_moe, qwen3_moe, deepseek_v2 or deepseek_v3; docs/weights.md), or those of a "
          "classifier of images (mlp; docs/images.md). With experts also "
          "router_logit_scale (1 or rsqrt_hidden_size), use_expert_bias, router_top_p and "
          "zero_expert_num (docs/moe.md).");
  add_key(keys, FIELD(model.upcycle.num_experts), from(0, 65536),
          "The networks of the dense model at model.from become so many experts "
          "(docs/moe.md); 0 = they stay dense.");
  add_key(keys, FIELD(model.upcycle.num_experts_per_tok), from(1, 65536),
          "Experts that a token meets then.");
  add_key(keys, FIELD(model.upcycle.granularity), from(1, 65536),
          "Pieces that each copy of a network is cut into, an expert each.");
  add_key(keys, FIELD(model.upcycle.noise), from(0, 1e30),
          "Standard deviation of what is added to the weights of an expert, relative "
          "to theirs; with 0 the first logits are those of the dense model.");
  add_key(keys, FIELD(model.upcycle.reinit), from(0, 1),
          "Share of an expert's inner units that begin anew.");
}

void add_data(std::vector<Key>& keys) {
  add_key(keys, FIELD(data.train),
          {.default_text = "required without continual.tasks or federated"}, "Training text.");
  add_key(keys, FIELD(data.valid), {}, "Validation text; valid_loss covers all of it.");
  add_key(keys, FIELD(data.sequence_length), size(), "Input tokens of one sequence.");
  add_key(keys, FIELD(data.packing), one_of({"best_fit"}),
          "Documents are laid end to end and cut; false: each "
          "document is a sequence of its own length; best_fit: whole documents share a sequence, "
          "and attention and positions stay inside each.");
  Rule too_long = one_of({"stop", "truncate", "skip", "chunk"});
  too_long.default_text = "stop";
  add_key(keys, FIELD(data.too_long), too_long,
          "What becomes of a document of more than sequence_length + 1 ids, where packing is false "
          "or best_fit: an error, its beginning, nothing, or chunks with each target in one of "
          "them. Where it is absent, text with packing: false is cut in chunks, too.");
  add_key(keys, FIELD(data.overlap), from(0, kMostSequences),
          "Inputs that a chunk shares with the one before it; they are targets once.");
  add_key(keys, FIELD(data.shuffle), {}, "Sequences in a seeded order, a new one each epoch.");
  add_key(keys, FIELD(data.loss_on), one_of({"auto", "all", "completion"}),
          "Which tokens are learned: all, or those of completions and of what the assistant says; "
          "auto: completion for prompt_completion and chat, all elsewhere (docs/data.md).");
  add_key(keys, FIELD(data.on_error), one_of({"stop", "skip"}),
          "What a line that cannot be read does: it stops the run, or is left out, named in the "
          "log and counted.");
  add_key(keys, FIELD(data.chat_template), path(),
          "Jinja file that writes conversations as text, in place of the tokenizer's own.");
  add_key(keys, FIELD(data.cache), path("<run_dir>/cache"),
          "Folder of the token files, keyed by digest of text and tokenizer.");
}

void add_training(std::vector<Key>& keys) {
  add_key(keys, FIELD(train.max_steps), from(1, kMostSteps),
          "Optimizer steps of the run; this or train.epochs is required.");
  add_key(keys, FIELD(train.epochs), {.least = 0, .most = 1e6, .above_least = true},
          "Passes over the training text, in place of max_steps.");
  add_key(keys, FIELD(train.global_batch_size), size(),
          "Sequences of a step over all ranks; a multiple of micro_batch_size. Never changes "
          "with the layout.");
  add_key(keys, FIELD(train.micro_batch_size), size(),
          "Sequences of one forward pass on one rank.");
  add_key(keys, FIELD(train.precision), one_of({"float64", "float32", "bfloat16"}),
          "Of forward and backward; bfloat16 keeps float32 master weights.");
  add_key(keys, FIELD(train.clip_norm), from(0, 1e30), "Largest global gradient norm; 0 = off.");
  add_key(keys, FIELD(train.matmul), one_of({"auto", "mkl", "onednn"}),
          "Library of the matrix products.");
  add_key(keys, FIELD(train.mtp_coefficient), from(0, 1e30),
          "Weight of the loss of the layers for multi-token prediction "
          "(num_nextn_predict_layers); 0 = the model is trained without them.");
  add_key(keys, FIELD(train.checkpoint_activations), {},
          "Each block keeps its input alone and computes the rest again in backward: the "
          "same bits, a fraction of the activations, about a third more time "
          "(docs/memory.md).");
  add_key(keys, FIELD(train.on_nonfinite), one_of({"stop", "skip", "rewind"}),
          "A step whose loss or gradient is not finite stops the run, or is skipped: no weight "
          "changes; rewind: back to the last checkpoint, and on without its batches "
          "(docs/running.md).");
}

void add_learning(std::vector<Key>& keys) {
  add_key(keys, FIELD(optimizer.type), one_of({"adamw", "sgd"}), "Optimizer.");
  add_key(keys, FIELD(optimizer.learning_rate), positive(), "Highest learning rate.");
  add_key(keys, FIELD(optimizer.betas), {.least = 0, .most = 1, .below_most = true, .count = 2},
          "Decay of the two moments (adamw).");
  add_key(keys, FIELD(optimizer.eps), positive(),
          "Added to the root of the second moment (adamw).");
  add_key(keys, FIELD(optimizer.weight_decay), from(0, 1e30),
          "Decoupled decay; not applied to norms and biases.");
  add_key(keys, FIELD(optimizer.momentum), {.least = 0, .most = 1, .below_most = true},
          "Momentum (sgd).");
  add_key(keys, FIELD(optimizer.groups), {},
          "Parameters with another learning rate or weight decay; the first entry that matches a "
          "parameter holds for it.");
  add_key(keys, FIELD(schedule.type), one_of({"cosine", "linear", "constant"}),
          "Course of the learning rate after warm-up.");
  add_key(keys, FIELD(schedule.warmup_steps), steps(), "Steps of linear warm-up; 0 = none.");
  add_key(keys, FIELD(schedule.min_ratio), from(0, 1),
          "Learning rate at the last step, relative to the highest.");
}

void add_moe(std::vector<Key>& keys) {
  add_key(keys, FIELD(moe.balance.type),
          one_of({"none", "switch", "transformers", "gshard", "sequence", "global", "bias",
                  "bias+sequence"}),
          "What evens out the load of the experts: a loss, or a correction bias that a "
          "rule moves (docs/moe.md); transformers: as that library defines it.");
  add_key(keys, FIELD(moe.balance.coefficient), from(0, 1e30), "Its weight, for each MoE layer.");
  add_key(keys, FIELD(moe.balance.update_speed), from(0, 1e30),
          "What a step adds to the correction bias or takes from it (bias).");
  add_key(keys, FIELD(moe.router_z_coefficient), from(0, 1e30),
          "Weight of the router z-loss, for each MoE layer; 0 = off.");
  add_key(keys, FIELD(moe.router_entropy_coefficient), from(0, 1e30),
          "Weight of the entropy of the router's probabilities, for each MoE layer: "
          "with router_top_p a token then needs fewer experts; 0 = off.");
  add_key(keys, FIELD(moe.router_jitter_noise), {.least = 0, .most = 1, .below_most = true},
          "In training the router's input times uniform(1 - noise, 1 + noise); 0 = "
          "off.");
  add_key(keys, FIELD(moe.gate_gradient),
          one_of({"top_k", "default_moe", "dense_mixer", "sparse_mixer"}),
          "Where the router's gradient of the task loss comes from (docs/moe.md).");
  add_key(keys, FIELD(moe.expert_average_decay), {.least = 0, .most = 1, .below_most = true},
          "Of the average output of each expert (default_moe).");
  add_key(keys, FIELD(moe.sparse_mixer_eps), from(0, 1e30),
          "Experts within twice so much of the best logit, relative to it, are drawn "
          "from (sparse_mixer).");
  add_key(keys, FIELD(moe.capacity_factor), from(0, 1e6),
          "In training an expert takes at most so many times its even share of a "
          "micro-batch's tokens; 0 = all (dropless).");
  add_key(keys, FIELD(moe.drop), one_of({"probability", "position"}),
          "Which tokens a full expert leaves out: those of the smallest weights, or the "
          "last ones (capacity_factor).");
  add_key(keys, FIELD(moe.pad_to_capacity), {},
          "Every expert gets as many rows as it may take, the rest of them zeros "
          "(capacity_factor): the same results, sizes that never change.");
  add_key(keys, FIELD(moe.placement), one_of({"in_order", "balanced"}),
          "Which rank holds which expert; balanced: moved after each checkpoint so that "
          "the ranks get equal loads. Never changes the mathematics.");
  add_key(keys, FIELD(moe.diagnose_every), steps(),
          "Steps between looks at the cosine of the router's gradient to the dense one, "
          "for which every expert is run on every token; 0 = never.");
}

void add_running(std::vector<Key>& keys) {
  add_parallel_keys(keys);
  add_key(keys, FIELD(checkpoint.every_steps), steps(),
          "Steps between checkpoints; 0 = only at the end.");
  add_key(keys, FIELD(checkpoint.keep), from(1, 1e6), "Newest checkpoints that are kept.");
  add_key(keys, FIELD(checkpoint.final), {}, "A run that ends well leaves a checkpoint.");
  add_key(keys, FIELD(checkpoint.dtype), one_of({"master", "bfloat16"}),
          "Of the weights in model.h5; with bfloat16 the masters are in state.h5.");
  add_key(keys, FIELD(checkpoint.async), {},
          "Write checkpoints beside the training, from a copy of the state in memory.");
  add_key(keys, FIELD(checkpoint.best), {},
          "Save where valid_loss is the lowest so far; the link best leads there, and that "
          "checkpoint is kept.");
  add_key(keys, FIELD(eval.every_steps), steps(),
          "Steps between evaluations on data.valid; 0 = only at the end.");
  add_key(keys, FIELD(eval.patience), steps(),
          "Evaluations without a new lowest valid_loss after which the run ends; 0 = never.");
  add_key(keys, FIELD(log.every_steps), from(1, kMostSteps),
          "Steps between lines of metrics.jsonl.");
  add_key(keys, FIELD(log.tensorboard), {}, "Write TensorBoard event files.");
  add_key(keys, FIELD(log.check_collectives), {},
          "Compare label and size over the group before each collective (slow, finds defects).");
  add_key(keys, FIELD(log.profile_steps), from(1, kMostSteps),
          "Steps to record, such as [5, 6, 7]: each run of neighbours becomes "
          "<run_dir>/trace-<first>.json (docs/profiling.md).");
}

std::vector<KeyOf<SourceOptions>> source_keys() {
  std::vector<KeyOf<SourceOptions>> keys;
  add_key(keys, FIELD(path), {.path = true, .required = true}, "File or glob.");
  add_key(
      keys, FIELD(format),
      one_of({"auto", "text", "jsonl", "tokens", "prompt_completion", "chat", "idx"}),
      "text: a file is a document; jsonl: {\"text\": ...} a line; tokens: {\"ids\": [...]} a "
      "line, or a token file; prompt_completion: {\"prompt\": ..., \"completion\": ...} a "
      "line; chat: {\"messages\": [...]} a line; auto: which of them the files hold; idx: images "
      "as the MNIST data sets have them, plain or .gz (docs/images.md).");
  add_key(keys, FIELD(weight), positive(),
          "Share of the sequences drawn, relative to the other sources.");
  add_key(keys, FIELD(labels), path(), "idx: the file of the images' labels.");
  add_key(keys, FIELD(classes), from(0, 255), "idx: labels whose images are taken; none = all.");
  add_key(keys, FIELD(map), {},
          "idx: what of a label becomes the target: none (the label), modulo N (its remainder), or "
          "index (its position in classes).");
  add_key(keys, FIELD(permutation), from(0, 4294967295.0),
          "idx: seed of another order of the pixels, that of "
          "numpy.random.RandomState(seed).permutation(pixels).");
  return keys;
}

std::vector<KeyOf<ParameterGroupOptions>> group_keys() {
  std::vector<KeyOf<ParameterGroupOptions>> keys;
  add_key(keys, FIELD(match), required(),
          "Regular expression of whole names, as a checkpoint has them (experts.<i>. is "
          "experts.).");
  add_key(keys, FIELD(learning_rate_ratio), from(0, 1e30),
          "Their learning rate over the optimizer's; 0 = they stay as they are.");
  add_key(keys, FIELD(weight_decay), from(0, 1e30),
          "In place of the optimizer's; not applied to norms and biases.");
  return keys;
}

std::vector<Key> all_keys() {
  std::vector<Key> keys;
  add_model(keys);
  add_data(keys);
  add_training(keys);
  add_learning(keys);
  add_moe(keys);
  add_block(keys, FIELD(adapt),
            "Which parameters are trained, and adapters beside them (docs/finetune.md); absent: "
            "all are trained.");
  add_block(keys, FIELD(continual),
            "What keeps old knowledge while new is learned (docs/continual.md); absent: nothing.");
  add_block(keys, FIELD(privacy),
            "Training that is differentially private at the level of a unit of the data "
            "(docs/privacy.md); absent: it is not.");
  add_block(keys, FIELD(federated),
            "Rounds over silos that each have data of their own (docs/federated.md); absent: one "
            "training.");
  add_running(keys);
  return keys;
}

}  // namespace

const Schema<SourceOptions>& schema_of(const SourceOptions*) {
  static const Schema<SourceOptions> schema{"source", "{path: corpus/*.txt, format: text}",
                                            source_keys()};
  return schema;
}

const Schema<ParameterGroupOptions>& schema_of(const ParameterGroupOptions*) {
  static const Schema<ParameterGroupOptions> schema{
      "group", "{match: .*norm.*, learning_rate_ratio: 0.1}", group_keys()};
  return schema;
}

const Schema<Recipe>& schema_of(const Recipe*) {
  static const Schema<Recipe> schema{"recipe", "{name: ...}", all_keys(), about_unknown_key};
  return schema;
}

const std::vector<Key>& recipe_keys() {
  return schema_of(static_cast<const Recipe*>(nullptr)).keys;
}

const Key* find_key(const std::string& path) {
  return schema_of(static_cast<const Recipe*>(nullptr)).find(path);
}

bool is_section(const std::string& path) {
  return !schema_of(static_cast<const Recipe*>(nullptr)).names_in(path).empty();
}

}  // namespace moesaic
