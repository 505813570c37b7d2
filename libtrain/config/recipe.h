// The recipe: plain structs, one field per key of the YAML file, with its default. Read by
// recipe_reader, described by schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "aggregate/options.h"
#include "arch/upcycle.h"
#include "core/json.h"

namespace moesaic {

/// The value `false` of a key that is another kind of value otherwise: std::variant<Off, Server>.
struct Off {
  bool operator==(const Off&) const = default;
};

struct ModelOptions {
  /// Weights to start from: a Hugging Face folder, a GGUF file, a checkpoint or a run folder.
  std::optional<std::string> from;
  Json config = Json::object();  // architecture, keys of Hugging Face config.json
  arch::UpcycleOptions upcycle;  // dense weights become experts; num_experts 0 = they do not
};

struct SourceOptions {
  std::string path;             // file or glob
  std::string format = "auto";  // auto (by what the files hold) | text | jsonl | tokens
                                // | prompt_completion | chat | idx
  double weight = 1.0;          // share of the sequences drawn, relative to the other sources

  // idx: images, for a model of features.
  std::optional<std::string> labels;        // file of the labels
  std::vector<std::int64_t> classes;        // labels that are taken; none = all
  std::string map = "none";                 // label -> target: none | modulo N | index in classes
  std::optional<std::int64_t> permutation;  // seed of another order of the pixels
};

struct DataOptions {
  std::vector<SourceOptions> train;
  std::vector<SourceOptions> valid;
  std::int64_t sequence_length = 512;  // inputs (and targets) of one sequence
  using Packing = std::variant<bool, std::string>;
  Packing packing = true;  // false: each document is a sequence of its own length; best_fit
  bool shuffle = true;
  std::optional<std::string> too_long;  // stop | truncate | skip | chunk: documents, unless laid
                                        // end to end
  std::int64_t overlap = 0;             // inputs that a chunk shares with the one before
  std::string loss_on = "auto";         // auto | all | completion
  std::string on_error = "stop";        // stop | skip: lines that cannot be read
  std::optional<std::string> chat_template;  // a Jinja file in place of the tokenizer's own
  std::optional<std::string> cache;          // token files; default <run_dir>/cache

  bool packs_end_to_end() const { return packing == Packing(true); }
};

struct TrainOptions {
  std::optional<std::int64_t> max_steps;
  std::optional<double> epochs;
  std::int64_t global_batch_size = 32;  // sequences per step over all ranks
  std::int64_t micro_batch_size = 4;    // sequences per rank and forward pass
  std::string precision = "float32";    // float64 | float32 | bfloat16
  double clip_norm = 1.0;               // 0 = off
  std::string matmul = "auto";          // auto | mkl | onednn
  double mtp_coefficient = 0.0;         // of the multi-token prediction loss; 0 = no such layers
  bool checkpoint_activations = false;  // blocks keep their input and compute the rest again
  std::string on_nonfinite = "stop";    // stop | skip | rewind
  std::int64_t restarts = 0;            // after failures, by the launcher, at most in ...
  double restart_window_s = 3600.0;     // ... so many seconds
};

/// Parameters that are trained otherwise than the rest.
struct ParameterGroupOptions {
  std::string match;                        // regular expression of whole names
  double learning_rate_ratio = 1.0;         // over the optimizer's
  std::optional<double> weight_decay = {};  // in place of the optimizer's
};

struct OptimizerOptions {
  std::string type = "adamw";  // adamw | sgd
  double learning_rate = 3.0e-4;
  std::vector<double> betas = {0.9, 0.95};  // adamw
  double eps = 1.0e-8;                      // adamw
  double weight_decay = 0.1;                // not applied to norms and biases
  double momentum = 0.0;                    // sgd
  std::vector<ParameterGroupOptions> groups;
};

struct ScheduleOptions {
  std::string type = "cosine";  // cosine | linear | constant
  std::int64_t warmup_steps = 20;
  double min_ratio = 0.1;  // of the learning rate, at the last step
};

struct BalanceOptions {
  std::string type = "switch";  // none | switch | transformers | gshard | sequence | global | bias
                                // | bias+sequence
  double coefficient = 0.01;    // of the loss
  double update_speed = 0.001;  // of the bias

  bool moves_bias() const { return type == "bias" || type == "bias+sequence"; }
};

struct MoeOptions {
  BalanceOptions balance;
  double router_z_coefficient = 0.001;
  double router_entropy_coefficient = 0.0;
  double router_jitter_noise = 0.0;
  std::string gate_gradient = "top_k";  // top_k | default_moe | dense_mixer | sparse_mixer
  double expert_average_decay = 0.9;    // default_moe
  double sparse_mixer_eps = 0.1;        // sparse_mixer
  double capacity_factor = 0.0;         // 0 = dropless
  std::string drop = "probability";     // probability | position
  bool pad_to_capacity = false;
  std::string placement = "in_order";  // in_order | balanced
  std::int64_t diagnose_every = 0;     // steps; 0 = never
};

struct ParallelOptions {
  std::int64_t ranks = 1;
  std::int64_t expert = 1;                // size of an expert group
  std::int64_t threads_per_rank = 0;      // 0 = cores / ranks on the node
  double timeout_s = 600.0;               // watchdog of one collective
  std::string device = "cpu";             // cpu | cuda
  bool shard_optimizer = false;           // each rank keeps the optimizer's state of what it owns
  std::int64_t check_replicas_every = 0;  // steps between digests of replicas; 0 = never
  double straggler_ratio = 1.5;  // a rank that takes so many times the median is named; 0 = none is
};

struct CheckpointOptions {
  std::int64_t every_steps = 100;  // 0 = only at the end
  std::int64_t keep = 2;
  bool final = true;             // a run that ends well leaves a checkpoint
  std::string dtype = "master";  // master | bfloat16 (then the masters are in state.h5)
  bool async = false;            // written beside the training, from a copy of the state
  bool best = false;             // that of the lowest valid_loss is saved and kept
};

struct EvalOptions {
  std::int64_t every_steps = 50;  // 0 = only after the last step
  std::int64_t patience = 0;      // evaluations without a new best that end the run; 0 = never
};

/// Metrics for Prometheus over HTTP, from the launcher.
struct PrometheusServer {
  std::int64_t port = 0;  // 0 = any that is free
};

struct LogOptions {
  std::int64_t every_steps = 10;
  bool tensorboard = true;
  bool check_collectives = false;  // compare label and size over the group before each collective
  std::vector<std::int64_t> profile_steps;  // steps, from 1, whose trace is written
  std::variant<Off, std::string, PrometheusServer> prometheus;  // false | textfile | {port: N}
};

/// Values by name, in the order in which they were given.
template <class T>
using NamedValues = std::vector<std::pair<std::string, T>>;

/// Names of modules: suffixes of their paths, or one regular expression.
using ModuleNames = std::variant<std::string, std::vector<std::string>>;

/// Low-rank adaptation; the keys are PEFT's.
struct LoraOptions {
  std::int64_t r = 16;
  double lora_alpha = 32.0;  // the change of a weight is alpha / r B A
  double lora_dropout = 0.0;
  ModuleNames target_modules = std::string("all-linear");
  ModuleNames exclude_modules = std::vector<std::string>();
  NamedValues<std::int64_t> rank_pattern;  // other r, by ends of module paths; the first counts
  NamedValues<double> alpha_pattern;
  bool use_rslora = false;                    // alpha / sqrt(r)
  bool use_dora = false;                      // magnitudes of the rows of a weight are trained
  std::string init_lora_weights = "default";  // default | gaussian | pissa
  bool train_a = true;                        // false: A stays as drawn
  double lora_plus_ratio = 1.0;               // learning rate of B over that of A
  std::string router = "frozen";              // frozen | lora | full
  std::vector<std::string> modules_to_save;   // trained in full
  std::string base = "master";                // master | bfloat16 | int8 | nf4: the frozen matrices

  bool is_pissa() const { return init_lora_weights == "pissa"; }
};

/// Expert-specialised fine-tuning: the experts that count for the run's data are trained.
struct EsftOptions {
  double share = 0.2;                   // of the scores of a layer that those chosen add up to
  std::string score = "gate";           // gate | tokens
  std::int64_t sample_tokens = 131072;  // of the first draws, by which experts are scored
};

struct AdaptOptions {
  std::optional<std::string> from;                // a PEFT folder or a run that `lora` goes on from
  std::optional<std::vector<std::string>> train;  // regular expressions: trained in full
  std::optional<LoraOptions> lora;
  std::optional<EsftOptions> esft;
};

/// How the importance of a parameter for what was learned is found: the diagonal of the Fisher
/// information.
struct FisherOptions {
  std::string labels = "sampled";  // exact | sampled | empirical | batched
  std::int64_t examples = 1000;    // first draws of the training order
  double decay = 1.0;              // of what earlier tasks left (online_ewc)
  bool routing_aware = false;      // an expert's mean is over the examples that reached it
};

/// Old data among the new.
struct ReplayOptions {
  double share = 0.0;  // of the sequences of each step
  std::vector<SourceOptions> sources;
};

/// One of several that are learned one after the other.
struct ContinualTask {
  std::string name;
  std::vector<SourceOptions> train;
  std::vector<SourceOptions> valid;
  std::int64_t max_steps = 0;
};

struct ContinualOptions {
  std::string method = "ewc";           // none | ewc | online_ewc | l2 | si | mas | lwf
  double lambda = 1000.0;               // of the penalty
  std::vector<std::string> importance;  // files, or checkpoints of runs that kept some
  FisherOptions fisher;
  std::optional<double> router_lambda;  // of the routers, in place of lambda
  ReplayOptions replay;
  double temperature = 2.0;          // lwf
  std::vector<ContinualTask> tasks;  // none: one, the recipe's own data
  bool mask_classes = false;         // a task's outputs are its own classes alone
};

/// The bound of a unit's gradient that follows the norms (Andrew et al. 2021, arXiv 1905.03871).
struct AdaptiveClippingOptions {
  double quantile = 0.5;        // share of the units that are below the bound
  double rate = 0.2;            // of the geometric update
  std::optional<double> noise;  // standard deviation on the count; expected_batch_size / 20
};

struct PrivacyBudgetOptions {
  double epsilon = 8.0;
  double delta = 1e-6;
};

/// Differential privacy at the level of a unit of the data (DP-SGD, Abadi et al. 2016, arXiv
/// 1607.00133).
struct PrivacyOptions {
  std::string unit = "sequence";  // sequence | document | user
  double clip_norm = 1.0;         // 0 = no clipping (allow_no_privacy)
  std::string clipping = "flat";  // flat | per_layer | automatic | adaptive
  AdaptiveClippingOptions adaptive;
  std::optional<double> noise_multiplier;  // of clip_norm; this or target_epsilon
  std::optional<double> target_epsilon;
  double delta = 1e-6;
  std::string sampling = "poisson";            // poisson | cyclic
  double expected_batch_size = 64;             // units of a step in the mean
  std::optional<std::int64_t> max_batch_size;  // slots of a step
  std::string accountant = "pld";              // pld | rdp
  std::string mechanism = "gaussian";          // gaussian | banded_matrix
  std::int64_t bands = 1;
  std::optional<std::int64_t> min_separation;  // steps between two uses of a unit
  std::string ledger;                          // default <run_dir>/ledger.json
  std::optional<PrivacyBudgetOptions> budget;  // of the ledger
  bool log_loss = false;                       // numbers that are not private are written
  std::optional<std::uint64_t> noise_seed;     // tests only
  bool allow_no_privacy = false;
  std::int64_t rounds = 1;  // no key: how often the steps are done in all, of a silo
};

/// A silo of a federation in one job.
struct SiloOptions {
  std::string name;        // also of its column in the metrics
  std::int64_t ranks = 1;  // that train it, consecutive ones
  std::vector<SourceOptions> train;
  std::vector<SourceOptions> valid;
};

/// Secure sums: no silo's change is seen, only their sum.
struct SecureAggregationOptions {
  std::int64_t threshold = 2;  // silos that must stay for the sum to be found
};

/// Of each change only the largest values travel.
struct TopKOptions {
  double top_k = 0.01;  // share of the values
  bool operator==(const TopKOptions&) const = default;
};

/// Noise that hides each silo as a whole; that of a record is the block `privacy`.
struct ClientPrivacyOptions {
  double clip_norm = 1.0;             // largest norm of a silo's change
  double noise_multiplier = 1.0;      // standard deviation of the noise of the sum over clip_norm
  std::string where = "coordinator";  // coordinator | silos: who bounds changes and adds it
  double delta = 1e-6;
  std::string ledger;                          // default <run_dir>/silo-ledger.json
  std::optional<PrivacyBudgetOptions> budget;  // of the ledger
  bool log_loss = false;                       // numbers that are not private are written
  std::optional<std::uint64_t> noise_seed;     // tests only
  bool allow_no_privacy = false;
  std::int64_t silos = 0;  // no key: of a round, in the recipe of a silo that knows no others
};

struct FederatedOptions {
  std::vector<SiloOptions> silos;
  std::optional<std::int64_t> clients_per_round;  // drawn per round; absent: all
  std::int64_t rounds = 20;
  std::optional<std::int64_t> local_steps;  // absent: 10, without local_epochs
  std::optional<double> local_epochs;       // in place of local_steps
  std::string optimizer_state = "reset";    // reset | keep: in the silo, between rounds
  aggregate::AggregatorOptions aggregator;
  /// none | bfloat16 | int8 | top_k, or {top_k: SHARE}
  std::variant<std::string, TopKOptions> compression = std::string("none");
  std::variant<Off, SecureAggregationOptions> secure_aggregation;
  std::optional<ClientPrivacyOptions> privacy;
  double deadline_s = 600.0;  // of a round
  double quorum = 0.5;        // share of the silos that must have answered by then
  double heartbeat_s = 10.0;
  double stall_s = 60.0;  // of a transfer
  double drain_s = 30.0;  // at the end
};

struct Recipe {
  std::string name;
  std::uint64_t seed = 1234;
  std::string run_dir;  // default runs/<name>
  ModelOptions model;
  std::string tokenizer = "byte";
  DataOptions data;
  TrainOptions train;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  MoeOptions moe;
  std::optional<AdaptOptions> adapt;
  std::optional<ContinualOptions> continual;
  std::optional<PrivacyOptions> privacy;
  std::optional<FederatedOptions> federated;
  ParallelOptions parallel;
  CheckpointOptions checkpoint;
  EvalOptions eval;
  LogOptions log;
};

}  // namespace moesaic
