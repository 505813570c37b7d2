#include "store/hub_weights.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>

#include <algorithm>

#include "core/error.h"
#include "store/differences.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr std::int64_t kValuesPerCompare = 4 << 20;

struct Part {
  std::int64_t expert;  // -1: of no expert
  HubPart values;
  std::vector<std::int64_t> shape;

  const std::string& name() const { return values.item.tensor->name; }
};
using Groups = std::map<std::string, std::vector<Part>>;

/// A name as the hub has it: Transformers 5 calls the block of every family `mlp` in memory.
std::string name_of_hub(std::string name, const arch::NetworkNames& names) {
  constexpr std::string_view kInMemory = ".mlp.";
  const std::string block = std::string(".") + names.block;
  const std::size_t at = block == kInMemory ? std::string::npos : name.find(kInMemory);
  return at == std::string::npos ? name : name.replace(at, kInMemory.size(), block);
}

/// The parts of a tensor of all experts, which go to the parameters that they would be in if each
/// expert had tensors of its own.
void add_fused(const HubTensor& item, const FusedExperts& fused, const arch::Options& options,
               Groups& groups, Differences& differences) {
  const arch::NetworkNames& names = arch::network_names(options);
  const std::int64_t inner = options.moe_intermediate_size, width = options.hidden_size;
  const std::vector<std::int64_t> slice =
      fused.gate_and_up ? std::vector{inner, width} : std::vector{width, inner};
  const std::int64_t pieces = fused.gate_and_up ? 2 : 1;
  const std::vector<std::int64_t> all = {options.num_experts, pieces * slice[0], slice[1]};
  if (item.tensor->shape != all) {
    return differences.differs(format("{} has shape [{}] (here [{}])", item.tensor->name,
                                      join(item.tensor->shape, ", "), join(all, ", ")));
  }
  const auto stems =
      fused.gate_and_up ? std::vector{names.gate, names.up} : std::vector{names.down};
  for (std::int64_t i = 0; i < pieces * options.num_experts; ++i) {
    const char* const stem = stems[static_cast<std::size_t>(i % pieces)];
    groups[format("{}{}.weight", fused.prefix, stem)].push_back(
        {i / pieces, {item, i * slice[0] * slice[1]}, slice});
  }
}

Groups group(const HubFolder& folder, const arch::Options& options, Differences& differences) {
  Groups groups;
  for (const HubTensor& item : folder.tensors()) {
    const std::string full = name_of_hub(item.name, arch::network_names(options));
    if (const auto fused = fused_experts(full); fused && options.is_moe()) {
      add_fused(item, *fused, options, groups, differences);
      continue;
    }
    const HubName name = split_hub_name(full);
    const Part part{name.expert.value_or(-1), {item}, item.tensor->shape};
    groups[name.parameter].push_back(part);
  }
  for (auto& [name, parts] : groups) {
    std::stable_sort(parts.begin(), parts.end(),
                     [](const Part& a, const Part& b) { return a.expert < b.expert; });
  }
  return groups;
}

void check_part(const Part& part, const std::vector<std::int64_t>& shape,
                Differences& differences) {
  const SafetensorsTensor& tensor = *part.values.item.tensor;
  if (part.shape != shape) {
    differences.differs(format("{} has shape [{}] (here [{}])", tensor.name, join(part.shape, ", "),
                               join(shape, ", ")));
  } else if (!weight_dtype(*tensor.dtype)) {
    differences.differs(
        format("{} is {} (only F64, F32, F16 and BF16 are read)", tensor.name, tensor.dtype->name));
  }
}

/// The parts of one parameter in order, as far as they are there. The work grows with the tensors
/// that exist, not with the experts that config.json claims.
std::vector<HubPart> pick(const arch::ParameterInfo& info, const std::vector<Part>& parts,
                          Differences& differences) {
  const bool experts = info.scope == arch::Scope::kExpert;
  const std::int64_t first = experts ? 0 : -1;
  const std::int64_t count = experts ? info.shape[0] : 1;
  const std::vector<std::int64_t> shape(info.shape.begin() + (experts ? 1 : 0), info.shape.end());
  std::vector<HubPart> picked;
  std::int64_t gap = first + count;  // the first that is missing
  std::int64_t last = first - 1;
  for (const Part& part : parts) {
    if (part.expert <= last || part.expert >= first + count) {
      differences.unexpected(part.name());
      continue;
    }
    const auto next = first + std::ssize(picked);
    if (part.expert != next) gap = std::min(gap, next);
    check_part(part, shape, differences);
    picked.push_back(part.values);
    last = part.expert;
  }
  const std::int64_t missing = count - std::ssize(picked);
  if (missing > 0) {
    gap = std::min(gap, first + std::ssize(picked));
    differences.missing(experts ? hub_name(info.name, gap) : info.name, missing);
  }
  return picked;
}

bool is_copy_for_prediction(const std::string& name) {
  return name.ends_with(arch::PredictionNames::kHead) ||
         name.ends_with(std::string(".") + arch::PredictionNames::kEmbedding);
}

// Layers for multi-token prediction after those of the model, which does without them: those that
// config.json announces, and those that show themselves by their projection.
std::int64_t unused_layers(const Json& config, const arch::Options& options, const Groups& groups) {
  constexpr std::int64_t kMost = 64;
  if (options.num_nextn_predict_layers > 0) return 0;
  std::int64_t count = 0;
  const auto found = config.find("num_nextn_predict_layers");
  if (found != config.end() && found->is_number_unsigned())
    count = static_cast<std::int64_t>(std::min<std::uint64_t>(found->get<std::uint64_t>(), kMost));
  while (count < kMost && groups.contains(arch::layer_prefix(options.num_hidden_layers + count) +
                                          arch::PredictionNames::kProjection + ".weight"))
    ++count;
  return count;
}

// Transformers makes a shared expert of width 0 and its gate where there is none.
bool is_of_no_shared_expert(const Part& part, const arch::Options& options) {
  if (options.shared_intermediate_size > 0 || options.num_experts == 0) return false;
  const std::string name = part.name();
  const bool empty = std::find(part.shape.begin(), part.shape.end(), 0) != part.shape.end();
  const arch::NetworkNames& names = arch::network_names(options);
  const std::string gate = format(".{}{}.weight", names.block, names.shared_gate);
  return (empty && name.find(names.shared) != std::string::npos) ||
         (options.shared_expert_gate && name.ends_with(gate));
}

const SafetensorsDtype& dtype_of(const HubPart& part) { return *part.item.tensor->dtype; }

at::ScalarType widest(const std::vector<HubPart>& parts) {
  at::ScalarType type = *weight_dtype(dtype_of(parts[0]));
  for (const HubPart& part : parts) type = c10::promoteTypes(type, *weight_dtype(dtype_of(part)));
  return type;
}

bool all_alike(const std::vector<HubPart>& parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [&](const HubPart& part) { return &dtype_of(part) == &dtype_of(parts[0]); });
}

// What the weights were saved from shows in what is missing, or in what is there.
std::string hint_for(const std::map<std::string, std::vector<HubPart>>& parts,
                     const HubFolder& folder) {
  const auto head = parts.find(kHead);
  const auto embedding = parts.find(kEmbedding);
  if (head != parts.end() && head->second.empty() && !embedding->second.empty())
    return "save the model with its output head (AutoModelForCausalLM), or correct its config.json";
  const auto& tensors = folder.tensors();
  const bool adapted = std::any_of(tensors.begin(), tensors.end(), [](const HubTensor& item) {
    return item.name.find(".lora_") != std::string::npos;
  });
  if (adapted) return "merge the adapter into the model first (PEFT: merge_and_unload)";
  return "fetch the folder again, or correct its config.json";
}

bool equal_values(const HubTensor& a, const HubTensor& b) {
  if (a.tensor->shape != b.tensor->shape || a.tensor->dtype != b.tensor->dtype) return false;
  const auto dtype = *weight_dtype(*a.tensor->dtype);
  const std::int64_t total = a.tensor->shape[0] * a.tensor->shape[1];
  for (std::int64_t first = 0; first < total; first += kValuesPerCompare) {
    const std::int64_t count = std::min(kValuesPerCompare, total - first);
    const at::Tensor left = at::empty({count}, dtype);
    const at::Tensor right = at::empty({count}, dtype);
    a.file->read(*a.tensor, first, left);
    b.file->read(*b.tensor, first, right);
    if (!at::equal(left, right)) return false;
  }
  return true;
}

}  // namespace

HubWeights::HubWeights(const HubFolder& folder, const arch::Options& options) {
  Differences differences("the folder");
  Groups groups = group(folder, options, differences);
  static const std::vector<Part> kNone;
  for (const arch::ParameterInfo& info : arch::parameter_table(options)) {
    const auto found = groups.find(info.name);
    parts_[info.name] = pick(info, found == groups.end() ? kNone : found->second, differences);
    if (found != groups.end()) groups.erase(found);
  }
  const std::int64_t layers = options.num_hidden_layers;
  const std::int64_t unused = unused_layers(folder.config(), options, groups);
  for (const auto& [name, parts] : groups) {
    const auto layer = layer_of(name);
    if (layer && *layer >= layers && *layer < layers + options.num_nextn_predict_layers &&
        is_copy_for_prediction(name)) {
      copies_.emplace_back(parts[0].values.item, name.ends_with(arch::PredictionNames::kHead));
    } else if (layer && *layer >= layers && *layer < layers + unused) {
      skipped_ += parts.size();
    } else if (name == kHead && parts_.contains(kEmbedding)) {
      tied_head_ = parts[0].values.item;
    } else if (!is_computed(name) && !is_of_no_shared_expert(parts[0], options)) {
      for (const Part& part : parts) differences.unexpected(part.name());
    }
  }
  differences.require_none(
      format("the weights in {} are not those of its config.json", folder.path()),
      hint_for(parts_, folder));
}

const std::vector<HubPart>& HubWeights::of(const std::string& parameter) const {
  return parts_.at(parameter);
}

std::map<std::string, at::ScalarType> HubWeights::dtypes() const {
  std::map<std::string, at::ScalarType> dtypes;
  for (const auto& [name, parts] : parts_) dtypes.emplace(name, widest(parts));
  return dtypes;
}

std::vector<std::string> HubWeights::warnings() const {
  std::vector<std::string> warnings;
  if (skipped_ > 0) {
    warnings.push_back(
        format("{} weights of layers for multi-token prediction are passed over "
               "(num_nextn_predict_layers)",
               skipped_));
  }
  for (const auto& [name, parts] : parts_) {
    if (all_alike(parts)) continue;
    warnings.push_back(format("the experts of {} have several types; all become {}", name,
                              c10::toString(widest(parts))));
  }
  return warnings;
}

void HubWeights::check_copies() const {
  for (const auto& [copy, is_head] : copies_) {
    const auto head = parts_.find(kHead);
    const bool of_head = is_head && head != parts_.end();
    if (equal_values(copy, (of_head ? head->second : parts_.at(kEmbedding))[0].item)) continue;
    throw Error(ErrorKind::kCheckpoint,
                format("{} in {} is not the {} of the model, which the layers for multi-token "
                       "prediction share",
                       copy.tensor->name, copy.file->path(), of_head ? "output head" : "embedding"),
                "set num_nextn_predict_layers to 0 in config.json to do without these layers");
  }
  if (tied_head_.file == nullptr || equal_values(tied_head_, parts_.at(kEmbedding)[0].item)) return;
  throw Error(
      ErrorKind::kCheckpoint,
      format("{} in {} is not the embedding, to which tie_word_embeddings in config.json ties it",
             kHead, tied_head_.file->path()),
      "set tie_word_embeddings to false to use it, or take it out of the folder");
}

}  // namespace moesaic
