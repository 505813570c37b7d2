// One architecture family: how its config.json is read and written, and what its parts are called.
// What families share is in decoder.cpp (attention, norms, head), moe.cpp (experts), qwen.cpp and
// deepseek.cpp (what each of these two houses has of its own). One family is no decoder of tokens:
// mlp.cpp.
#pragma once

#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/config_reader.h"
#include "arch/parameter_table.h"

namespace moesaic::arch {

struct Family {
  const char* model_type;
  const char* causal_lm_class;  // `architectures` of config.json
  Options (*read)(ConfigReader& reader);
  void (*write)(const Options& options, Json& config);  // of a decoder: beyond write_decoder
  NetworkNames names;
  ParameterTable (*table)(const Options& options) = nullptr;  // nullptr: that of a decoder

  bool is_decoder() const { return table == nullptr; }
};

extern const Family kLlama;
extern const Family kQwen3;
extern const Family kMixtral;
extern const Family kOlmoe;
extern const Family kQwen2Moe;
extern const Family kQwen3Moe;
extern const Family kDeepseekV2;
extern const Family kDeepseekV3;
extern const Family kMlp;

/// Largest values that a size may have: above them a configuration is a mistake or an attack.
inline constexpr std::int64_t kMostWidth = std::int64_t{1} << 24;
inline constexpr std::int64_t kMostLayers = 4096;
inline constexpr std::int64_t kMostPredictionLayers = 64;
inline constexpr std::int64_t kMostExperts = 65536;
inline constexpr double kMostParameters = 1e15;

/// How wide a head is when `head_dim` is absent, and whether it must be hidden_size / heads.
struct HeadRule {
  std::int64_t head_dim = 0;  // 0 = hidden_size / num_attention_heads
  bool must_divide = true;    // the heads must divide hidden_size
  bool configurable = true;   // `head_dim` may differ from hidden_size / num_attention_heads
};

/// Reads the keys that every decoder has, into `options` that hold the family's defaults. Before
/// that, the family reads what the rotary width depends on.
void read_decoder(ConfigReader& reader, const HeadRule& rule, Options& options);
void read_attention_bias(ConfigReader& reader, Options& options);  // q, k, v and o together

/// The number of experts under `key` (or a name that Transformers also knows), of which a token
/// meets `num_experts_per_tok`.
void read_experts(ConfigReader& reader, const std::string& key, const std::string& alias,
                  Options& options);
/// Keys of our own that change how any family with experts routes: router_logit_scale,
/// use_expert_bias, router_top_p, zero_expert_num. Written only where they differ from their
/// defaults.
void read_own_routing(ConfigReader& reader, Options& options);
void write_own_routing(const Options& options, Json& config);
/// A balance coefficient in config.json has no effect: the recipe has its own.
void warn_balance(ConfigReader& reader, double class_default);

/// Keys that the family has not read itself: errors, unless they say what `options` do anyway.
void read_neutral_keys(ConfigReader& reader, const Options& options);
/// A sliding window, which must not hide anything. In Qwen's families it is off `unless_asked` for
/// by `use_sliding_window`.
void read_sliding_window(ConfigReader& reader, bool unless_asked, const Options& options);
/// Experts in every decoder_sparse_step-th layer that mlp_only_layers does not name;
/// `default_width` is that of one expert.
void read_qwen_experts(ConfigReader& reader, std::int64_t default_width, Options& options);
void write_qwen_experts(const Options& options, Json& config);

/// Latent attention and the gate of DeepSeek; `options` hold the family's defaults, but for the
/// number of shared experts, which Options knows by their width.
void read_latent_attention(ConfigReader& reader, Options& options);
void read_deepseek_experts(ConfigReader& reader, std::int64_t default_shared, Options& options);
void write_deepseek(const Options& options, Json& config);

/// The entries of a table: a linear map [out, in], a bias of zeros, a norm of ones.
ParameterInfo linear(std::string name, std::int64_t out, std::int64_t in);
ParameterInfo bias(std::string name, std::vector<std::int64_t> shape);
ParameterInfo norm(std::string name, std::int64_t width);
/// The rows from `first` on, but for norms, are a part of `group`.
void count_as(Group group, std::size_t first, ParameterTable& table);

/// What any decoder writes to config.json.
void write_decoder(const Options& options, Json& config);
/// The parameters of one layer's attention and network.
void add_attention(const Options& options, const std::string& prefix, ParameterTable& table);
void add_latent_attention(const Options& options, const std::string& prefix, ParameterTable& table);
void add_dense_network(const Options& options, const std::string& prefix, std::int64_t width,
                       ParameterTable& table);
void add_moe_network(const Options& options, const NetworkNames& names, const std::string& prefix,
                     ParameterTable& table);

/// The whole model, in the order in which a forward pass meets the parameters.
ParameterTable decoder_table(const Family& family, const Options& options);

}  // namespace moesaic::arch
