#include "store/peft_reader.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "arch/parameter_table.h"
#include "core/json.h"
#include "core/path.h"
#include "data/text/regex.h"
#include "store/differences.h"
#include "store/hub_names.h"
#include "store/peft_config.h"
#include "store/peft_names.h"
#include "store/safetensors.h"

namespace moesaic {
namespace {

/// Ranks and alphas of modules, by the patterns of adapter_config.json as PEFT matches them.
class PeftScales {
 public:
  explicit PeftScales(const PeftConfig& config, const std::string& where) : config_(config) {
    for (const auto& [key, rank] : config.rank_pattern)
      ranks_.emplace_back(compiled(key, where), rank);
    for (const auto& [key, alpha] : config.alpha_pattern)
      alphas_.emplace_back(compiled(key, where), alpha);
  }

  std::int64_t rank(const std::string& module) const { return find(ranks_, module, config_.r); }
  double scale(const std::string& module, std::int64_t rank) const {
    const auto width = static_cast<double>(rank);
    return find(alphas_, module, config_.lora_alpha) /
           (config_.use_rslora ? std::sqrt(width) : width);
  }

 private:
  template <class T>
  using Matchers = std::vector<std::pair<Regex, T>>;

  static Regex compiled(const std::string& key, const std::string& where) {
    return Regex(format("^(?:.*\\.)?(?:{})$", key),
                 format("{}: pattern {}", where, printable(key)));
  }
  static bool matches(const Regex& regex, const std::string& name) {
    const std::vector<Extent> found = regex.find_all(name);
    return !found.empty() && found[0] == Extent{0, name.size()};
  }
  // A module that PEFT adapts as a parameter has .weight in the name that it matches.
  template <class T>
  static T find(const Matchers<T>& matchers, const std::string& module, T otherwise) {
    for (const auto& [regex, value] : matchers) {
      if (matches(regex, module) || matches(regex, module + ".weight")) return value;
    }
    return otherwise;
  }

  const PeftConfig& config_;
  Matchers<std::int64_t> ranks_;
  Matchers<double> alphas_;
};

/// The tensors of one module; those that are not there are not defined.
struct PeftParts {
  at::Tensor a, b, magnitude;
};

std::string shape_text(const at::Tensor& tensor) {
  return format("{}", join(tensor.sizes(), ", "));
}

class PeftReader {
 public:
  PeftReader(const std::string& path, const arch::Options& options)
      : path_(path),
        options_(options),
        config_(read_peft_config(path)),
        scales_(config_, path + "/" + kPeftConfigFile),
        differences_("the adapter") {
    for (arch::ParameterInfo& info : arch::parameter_table(options))
      table_.emplace(info.name, info);
  }

  Adapter read() {
    read_tensors();
    for (auto& [path, fused] : fused_) split(path, fused);
    for (auto& [weight, modules] : modules_) finish(weight, modules);
    check_tied_head();
    differences_.require_none(
        format("{} is no adapter of this model", path_),
        format("it was made for {}", config_.base_model.empty() ? "a model that it does not name"
                                                                : printable(config_.base_model)));
    MOESAIC_CHECK(!adapter_.pairs.empty() || !adapter_.saved.empty(), ErrorKind::kCheckpoint,
                  "{} holds no adapter: {} has no tensors", path_, kPeftWeightsFile);
    return std::move(adapter_);
  }

 private:
  struct Fused {
    PeftParts inner, outer;
  };

  void read_tensors() {
    const std::string file_path = path_ + "/" + kPeftWeightsFile;
    if (!is_file(file_path, ErrorKind::kCheckpoint)) {
      throw Error(ErrorKind::kCheckpoint, format("there is no {} in {}", kPeftWeightsFile, path_),
                  "save the adapter with PEFT's save_pretrained, as safetensors");
    }
    const SafetensorsFile file(file_path);
    for (const SafetensorsTensor& tensor : file.header().tensors) {
      const auto key = parse_peft_key(tensor.name);
      const auto dtype = weight_dtype(*tensor.dtype);
      if (!key || !dtype) {
        differences_.unexpected(tensor.name);
        continue;
      }
      const at::Tensor values = at::empty(tensor.shape, *dtype);
      if (values.numel() > 0) file.read(tensor, 0, values);
      place(tensor.name, *key, values);
    }
  }

  void place(const std::string& name, const PeftKey& key, const at::Tensor& values) {
    if (key.part == PeftPart::kSaved) return save(name, key.path, values);
    PeftParts* parts = nullptr;
    if (const auto experts = parse_peft_experts(key.path)) {
      Fused& fused = fused_[experts->path];
      parts = experts->inner ? &fused.inner : &fused.outer;
    } else {
      parts = module(key.path);
    }
    at::Tensor* slot = nullptr;
    if (parts) {
      slot = key.part == PeftPart::kA   ? &parts->a
             : key.part == PeftPart::kB ? &parts->b
                                        : &parts->magnitude;
    }
    if (!slot || slot->defined()) return differences_.unexpected(name);
    *slot = values;
  }

  // PEFT writes the frozen weight of an adapted output head beside its factors: the base has it.
  void save(const std::string& name, const std::string& path, const at::Tensor& values) {
    constexpr std::string_view kFrozen = ".base_layer.weight";
    const bool frozen = path.ends_with(kFrozen);
    const std::string weight =
        frozen ? format("{}.weight", path.substr(0, path.size() - kFrozen.size())) : path;
    if (options_.tie_word_embeddings && path == kTiedHead) {
      tied_head_ = values;
      return;
    }
    const auto found = table_.find(name_of_memory(options_, weight));
    if (found == table_.end() || found->second.scope == arch::Scope::kExpert)
      return differences_.unexpected(name);
    const arch::ParameterInfo& info = found->second;
    if (values.sizes() != at::IntArrayRef(info.shape)) {
      return differences_.differs(format("{} has shape [{}] (here [{}])", name, shape_text(values),
                                         join(info.shape, ", ")));
    }
    if (frozen) return;
    adapter_.saved.emplace(info.name, values);
  }

  void check_tied_head() {
    if (!options_.tie_word_embeddings) return;
    const auto embedding = adapter_.saved.find(kTiedEmbedding);
    const bool saved = embedding != adapter_.saved.end();
    const bool same = saved && tied_head_.defined() &&
                      tied_head_.scalar_type() == embedding->second.scalar_type() &&
                      at::equal(tied_head_, embedding->second);
    if (same || (!saved && !tied_head_.defined())) return;
    differences_.differs(
        format("{} and {} are one tensor here (tie_word_embeddings), and not in the adapter",
               kTiedEmbedding, kTiedHead));
  }

  /// Where the tensors of a module go; nullptr where the model has no such linear map.
  PeftParts* module(const std::string& path) {
    const HubName name = split_hub_name(name_of_memory(options_, path) + ".weight");
    const auto found = table_.find(name.parameter);
    if (found == table_.end()) return nullptr;
    const arch::ParameterInfo& info = found->second;
    const bool experts = info.scope == arch::Scope::kExpert;
    if (experts != name.expert.has_value() || info.group == arch::Group::kEmbedding) return nullptr;
    if (info.shape.size() != (experts ? 3U : 2U)) return nullptr;
    if (experts && *name.expert >= info.shape[0]) return nullptr;
    auto& modules = modules_[info.name];
    modules.resize(experts ? static_cast<std::size_t>(info.shape[0]) : 1);
    return &modules[experts ? static_cast<std::size_t>(*name.expert) : 0];
  }

  // Of a layer with fused experts.

  bool targets(const std::string& parameter) const {
    return std::any_of(config_.target_parameters.begin(), config_.target_parameters.end(),
                       [&](const std::string& target) {
                         return parameter == target || parameter.ends_with("." + target);
                       });
  }

  void split(const std::string& path, const Fused& fused) {
    const arch::NetworkNames& names = arch::network_names(options_);
    const std::string prefix = name_of_memory(options_, path) + ".";
    const std::string gate = format("{}{}.weight", prefix, names.gate);
    const std::string up = format("{}{}.weight", prefix, names.up);
    const std::string down = format("{}{}.weight", prefix, names.down);
    if (!table_.contains(gate)) return differences_.unexpected(path);
    const bool both = fused.inner.a.defined() || fused.inner.b.defined();
    // Where there is one alone, only the configuration says which.
    const bool outer_is_down = both || !targets(path + ".gate_up_proj");
    if (both) split_into(path + ".gate_up_proj", fused.inner, {gate, up});
    split_into(path + (outer_is_down ? ".down_proj" : ".gate_up_proj"), fused.outer,
               outer_is_down ? std::vector<std::string>{down} : std::vector<std::string>{gate, up});
  }

  /// `weights` share the rows of B in equal parts.
  void split_into(const std::string& fused_name, const PeftParts& parts,
                  const std::vector<std::string>& weights) {
    if (!parts.a.defined() || !parts.b.defined() || parts.magnitude.defined())
      return differences_.differs(fused_name + " needs lora_A and lora_B, and nothing else");
    const std::vector<std::int64_t>& shape = table_.at(weights[0]).shape;
    const std::int64_t experts = shape[0];
    const auto number = static_cast<std::int64_t>(weights.size());
    const bool fits = parts.a.dim() == 2 && parts.b.dim() == 2 && parts.a.size(0) > 0 &&
                      parts.a.size(0) % experts == 0 && parts.a.size(1) == shape[2] &&
                      parts.b.size(1) == parts.a.size(0) && parts.b.size(0) == number * shape[1];
    if (!fits) {
      return differences_.differs(
          format("{} has factors [{}] and [{}] (here {} experts of [{}, {}])", fused_name,
                 shape_text(parts.a), shape_text(parts.b), experts, number * shape[1], shape[2]));
    }
    const std::int64_t rank = parts.a.size(0) / experts;
    if (!rank_fits(fused_name, rank)) return;
    const at::Tensor a = parts.a.view({experts, rank, shape[2]});
    const at::Tensor b = parts.b.view({parts.b.size(0), rank, experts}).permute({2, 0, 1});
    for (std::int64_t i = 0; i < number; ++i) {
      const at::Tensor rows = b.narrow(1, i * shape[1], shape[1]).contiguous();
      const bool is_new = !modules_.contains(weights[static_cast<std::size_t>(i)]) &&
                          adapter_.pairs
                              .emplace(weights[static_cast<std::size_t>(i)],
                                       AdapterPair{a, rows, {}, scales_.scale(fused_name, rank)})
                              .second;
      if (!is_new) differences_.unexpected(fused_name + ", beside pairs of its experts");
    }
  }

  bool rank_fits(const std::string& module, std::int64_t rank) {
    const std::int64_t expected = scales_.rank(module);
    if (rank == expected) return true;
    differences_.differs(
        format("{} has rank {} ({} says {})", module, rank, kPeftConfigFile, expected));
    return false;
  }

  // Of other modules.

  void finish(const std::string& weight, const std::vector<PeftParts>& modules) {
    const arch::ParameterInfo& info = table_.at(weight);
    const bool experts = info.scope == arch::Scope::kExpert;
    AdapterPair pair;
    std::vector<at::Tensor> a, b, magnitudes;
    for (std::size_t i = 0; i < modules.size(); ++i) {
      const std::string name = experts ? hub_name(weight, static_cast<std::int64_t>(i)) : info.name;
      const std::string module = name_in_memory(options_, name.substr(0, name.rfind('.')));
      if (!is_whole(module, info, modules[i])) return;
      const double scale = scales_.scale(module, modules[i].a.size(0));
      if (i == 0) pair.scale = scale;
      if (modules[i].a.size(0) != modules[0].a.size(0))
        return differences_.differs(module + " has another rank than expert 0");
      a.push_back(modules[i].a);
      // Experts whose alpha differs: the pair has one scale.
      b.push_back(scale == pair.scale ? modules[i].b : modules[i].b.mul(scale / pair.scale));
      if (config_.use_dora) magnitudes.push_back(modules[i].magnitude);
    }
    pair.a = experts ? at::stack(a) : a[0];
    pair.b = experts ? at::stack(b) : b[0];
    if (config_.use_dora) pair.magnitude = experts ? at::stack(magnitudes) : magnitudes[0];
    adapter_.pairs.emplace(weight, std::move(pair));
  }

  bool is_whole(const std::string& module, const arch::ParameterInfo& info,
                const PeftParts& parts) {
    const std::int64_t out = info.shape[info.shape.size() - 2];
    const std::int64_t in = info.shape.back();
    if (!parts.a.defined()) return differences_.missing(module + ".lora_A.weight"), false;
    if (!parts.b.defined()) return differences_.missing(module + ".lora_B.weight"), false;
    if (parts.magnitude.defined() != config_.use_dora) {
      const std::string name = module + ".lora_magnitude_vector";
      if (config_.use_dora)
        differences_.missing(name);
      else
        differences_.unexpected(name);
      return false;
    }
    const bool fits = parts.a.dim() == 2 && parts.b.dim() == 2 && parts.a.size(1) == in &&
                      parts.b.size(0) == out && parts.a.size(0) == parts.b.size(1) &&
                      (!config_.use_dora || parts.magnitude.sizes() == at::IntArrayRef({out}));
    if (fits) return rank_fits(module, parts.a.size(0));
    differences_.differs(format("{} has factors [{}] and [{}] (here [{}, {}])", module,
                                shape_text(parts.a), shape_text(parts.b), out, in));
    return false;
  }

  const std::string& path_;
  const arch::Options& options_;
  PeftConfig config_;
  PeftScales scales_;
  Differences differences_;
  std::map<std::string, arch::ParameterInfo> table_;
  std::map<std::string, std::vector<PeftParts>> modules_;  // by weight; of experts: each
  std::map<std::string, Fused> fused_;                     // by the path of the experts
  at::Tensor tied_head_;                                   // not defined: there is none
  Adapter adapter_;
};

}  // namespace

Adapter read_peft_folder(const std::string& path, const arch::Options& options) {
  return PeftReader(path, options).read();
}

}  // namespace moesaic
