#include "store/export.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "arch/parameter_table.h"
#include "core/error.h"
#include "core/fs.h"
#include "store/adapted_source.h"
#include "store/checkpoint.h"
#include "store/finite.h"
#include "store/hdf5_spec.h"
#include "store/hub_config.h"
#include "store/hub_index.h"
#include "store/hub_names.h"
#include "store/manifest.h"
#include "store/model_source.h"
#include "store/new_folder.h"
#include "store/own_folder.h"
#include "store/peft_config.h"
#include "store/privacy_card.h"
#include "store/safetensors.h"
#include "store/shard_plan.h"

namespace moesaic {
namespace {

constexpr std::int64_t kPieceBytes = 16 << 20;

/// One tensor of the hub, and where its values are: a whole parameter, or one expert of it.
struct ExportTensor {
  SafetensorsSpec spec;
  const arch::ParameterInfo* parameter = nullptr;
  std::int64_t expert = -1;
  std::size_t shard = 0;
};

at::ScalarType exported_dtype(const ModelSource& source, const HubOrigin& origin,
                              const arch::ParameterInfo& parameter, const std::string& wanted) {
  // A correction bias moves by steps that are too small for bfloat16.
  if (wanted != "keep" && !parameter.correction_bias) {
    const auto dtype = dtype_named(wanted);
    MOESAIC_ASSERT(dtype.has_value() && at::isFloatingType(*dtype));
    return *dtype;
  }
  const auto known = origin.dtypes.find(parameter.name);
  return known != origin.dtypes.end() ? known->second : source.dtypes().at(parameter.name);
}

std::vector<ExportTensor> list_tensors(const ModelSource& source, const HubOrigin& origin,
                                       const std::vector<arch::ParameterInfo>& table,
                                       const std::string& dtype) {
  std::vector<ExportTensor> tensors;
  for (const arch::ParameterInfo& info : table) {
    const at::ScalarType type = exported_dtype(source, origin, info, dtype);
    if (info.scope == arch::Scope::kDense) {
      tensors.push_back({.spec = {info.name, type, info.shape}, .parameter = &info});
      continue;
    }
    const std::vector<std::int64_t> shape(info.shape.begin() + 1, info.shape.end());
    for (std::int64_t i = 0; i < info.shape[0]; ++i) {
      tensors.push_back(
          {.spec = {hub_name(info.name, i), type, shape}, .parameter = &info, .expert = i});
    }
  }
  return tensors;
}

// The layers for multi-token prediction have the embedding and the head in the hub's files, too.
void add_copies(const arch::Options& arch, std::vector<ExportTensor>& tensors) {
  if (arch.num_nextn_predict_layers == 0) return;
  const auto find = [&tensors](const char* name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const auto& tensor) { return tensor.spec.name == name; });
    return found == tensors.end() ? std::nullopt : std::optional(*found);
  };
  const std::optional<ExportTensor> embedding = find("model.embed_tokens.weight");
  const ExportTensor head = find("lm_head.weight").value_or(*embedding);
  for (std::int64_t depth = 0; depth < arch.num_nextn_predict_layers; ++depth) {
    const std::string prefix = arch::layer_prefix(arch.num_hidden_layers + depth);
    tensors.push_back(*embedding);
    tensors.back().spec.name = prefix + arch::PredictionNames::kEmbedding;
    tensors.push_back(head);
    tensors.back().spec.name = prefix + arch::PredictionNames::kHead;
  }
}

// Transformers would load such a model and compute something else.
void require_known_routing(const ModelSource& source) {
  MOESAIC_CHECK(
      !source.arch().has_own_routing(), ErrorKind::kUsage,
      "{} routes as no model class of Transformers does (use_expert_bias, router_top_p or "
      "zero_expert_num in its config.json): there is nothing to export it to",
      source.path());
}

/// Returns the number of shards.
std::size_t assign_shards(std::vector<ExportTensor>& tensors, std::uint64_t most) {
  std::vector<std::uint64_t> bytes;
  for (const ExportTensor& tensor : tensors) bytes.push_back(tensor.spec.bytes());
  const std::vector<std::size_t> shards = plan_shards(bytes, most);
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].shard = shards[i];
  return shards.back() + 1;
}

class Exporter {
 public:
  Exporter(const ModelSource& source, const ExportOptions& options)
      : source_(source), options_(options) {}

  void write_shard(const std::string& path, const std::vector<const ExportTensor*>& tensors) const {
    std::vector<SafetensorsSpec> specs;
    std::map<std::string, const ExportTensor*> by_name;
    for (const ExportTensor* tensor : tensors) {
      specs.push_back(tensor->spec);
      by_name.emplace(tensor->spec.name, tensor);
    }
    SafetensorsWriter writer(path, std::move(specs));
    for (const SafetensorsSpec& spec : writer.tensors())
      write_tensor(*by_name.at(spec.name), writer);
    writer.finish();
  }

 private:
  void write_tensor(const ExportTensor& tensor, SafetensorsWriter& writer) const {
    const arch::ParameterInfo& info = *tensor.parameter;
    if (tensor.expert >= 0) return write_rows(tensor, tensor.expert, 1, writer);
    const std::int64_t row_bytes = 8 * info.numel() / info.shape[0];
    const std::int64_t step = std::max<std::int64_t>(1, kPieceBytes / row_bytes);
    for (std::int64_t row = 0; row < info.shape[0]; row += step) {
      write_rows(tensor, row, std::min(step, info.shape[0] - row), writer);
    }
  }

  void write_rows(const ExportTensor& tensor, std::int64_t first, std::int64_t count,
                  SafetensorsWriter& writer) const {
    const at::Tensor values =
        scaled(*tensor.parameter, source_.rows(tensor.parameter->name, first, count))
            .to(tensor.spec.dtype);
    if (!options_.allow_nonfinite && !all_finite(values)) {
      throw Error(ErrorKind::kCheckpoint,
                  format("{} of {} holds NaN, infinity or what is too large for {}",
                         tensor.spec.name, source_.path(), dtype_name(tensor.spec.dtype)),
                  "choose another --dtype, or accept it with --allow-nonfinite");
    }
    writer.write(values);
  }

  // Transformers' routers do not scale their logits: a factor goes into their weights.
  at::Tensor scaled(const arch::ParameterInfo& info, const at::Tensor& values) const {
    const double scale = source_.arch().router_logit_scale();
    if (scale == 1 || info.group != arch::Group::kRouter || info.correction_bias) return values;
    return values.to(c10::promoteTypes(values.scalar_type(), at::kFloat)).mul(scale);
  }

  const ModelSource& source_;
  const ExportOptions& options_;
};

std::uint64_t total_bytes(const std::vector<ExportTensor>& tensors) {
  std::uint64_t total = 0;
  for (const ExportTensor& tensor : tensors) total += tensor.spec.bytes();
  return total;
}

void write_weights(const Exporter& exporter, const std::vector<ExportTensor>& tensors,
                   std::size_t num_shards, const std::string& folder) {
  HubIndex index;
  std::vector<std::vector<const ExportTensor*>> by_shard(num_shards);
  for (const ExportTensor& tensor : tensors) {
    by_shard[tensor.shard].push_back(&tensor);
    index.weights.emplace_back(tensor.spec.name, tensor.shard);
  }
  for (std::size_t shard = 0; shard < num_shards; ++shard) {
    index.shards.push_back(shard_name(shard, num_shards));
    exporter.write_shard(folder + "/" + index.shards.back(), by_shard[shard]);
  }
  if (num_shards == 1) return;
  std::sort(index.weights.begin(), index.weights.end());
  write_file_atomic(folder + "/" + kHubIndexFile, hub_index_text(index, total_bytes(tensors)));
}

/// The type that most values have: what config.json calls the type of the model.
at::ScalarType main_dtype(const std::vector<ExportTensor>& tensors) {
  std::map<at::ScalarType, std::int64_t> values;
  for (const ExportTensor& tensor : tensors) values[tensor.spec.dtype] += tensor.spec.numel();
  return std::max_element(values.begin(), values.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

void write_small_files(const ModelSource& source, const HubOrigin& origin, at::ScalarType dtype,
                       const std::string& folder) {
  for (const auto& [name, text] : origin.files) {
    if (name != kConfigFile) write_file_atomic(folder + "/" + name, text);
  }
  const auto original = origin.files.find(kConfigFile);
  arch::Options exported = source.arch();
  exported.rsqrt_router_logits = false;
  write_file_atomic(
      folder + "/" + kConfigFile,
      hub_config_text(exported, original == origin.files.end() ? "" : original->second,
                      dtype_name(dtype)));
}

// Of the model, and of a run whose adapter is merged into it.
void write_privacy_cards(const ModelSource& source, const std::string& adapter,
                         const std::string& folder) {
  std::string cards = privacy_card_of(source.path());
  if (!adapter.empty() && !is_peft_folder(adapter))
    cards += privacy_card_of(CheckpointStore::open(RankContext::single(), adapter).path);
  if (!cards.empty()) write_file_atomic(folder + "/" + kPrivacyFile, cards);
}

}  // namespace

void export_model(const std::string& from, const std::string& to, const ExportOptions& options,
                  const Log& log) {
  RankContext context = RankContext::single();
  context.log = log;
  const auto source =
      adapted(context, ModelSource::open(context, from, options.base), options.adapter);
  require_known_routing(*source);
  const HubOrigin origin = source->origin(context);
  const auto table = arch::parameter_table(source->arch());
  std::vector<ExportTensor> tensors = list_tensors(*source, origin, table, options.dtype);
  add_copies(source->arch(), tensors);
  const std::size_t num_shards = assign_shards(tensors, options.max_shard_bytes);
  check_apart(from, to);
  if (!options.adapter.empty()) check_apart(options.adapter, to);
  NewFolder folder(to, {.overwrite = options.overwrite});
  check_room(folder.temporary(), total_bytes(tensors));
  write_weights(Exporter(*source, options), tensors, num_shards, folder.temporary());
  write_small_files(*source, origin, main_dtype(tensors), folder.temporary());
  write_privacy_cards(*source, options.adapter, folder.temporary());
  mark_export(folder.temporary());
  folder.publish();
}

}  // namespace moesaic
