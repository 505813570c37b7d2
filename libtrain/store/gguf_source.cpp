#include "store/gguf_source.h"

#include <ATen/ops/empty.h>

#include "config/gguf_config.h"
#include "store/agreement.h"
#include "store/differences.h"
#include "store/gguf_dequantise.h"
#include "data/text/gguf_tokenizer.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr std::int64_t kStaged = 2 << 20;  // values that are converted at a time

using Names = std::vector<std::pair<std::string, std::string>>;  // here -> in the file

Names names_in_block(const arch::NetworkNames& names) {
  const std::string block = names.block, shared = block + names.shared,
                    experts = block + "experts.";
  return {{"input_layernorm", "attn_norm"},
          {"post_attention_layernorm", "ffn_norm"},
          {"self_attn.q_proj", "attn_q"},
          {"self_attn.k_proj", "attn_k"},
          {"self_attn.v_proj", "attn_v"},
          {"self_attn.o_proj", "attn_output"},
          {"self_attn.q_norm", "attn_q_norm"},
          {"self_attn.k_norm", "attn_k_norm"},
          {"mlp.gate_proj", "ffn_gate"},
          {"mlp.up_proj", "ffn_up"},
          {"mlp.down_proj", "ffn_down"},
          {block + "gate", "ffn_gate_inp"},
          {experts + names.gate, "ffn_gate_exps"},
          {experts + names.up, "ffn_up_exps"},
          {experts + names.down, "ffn_down_exps"},
          {shared + "gate_proj", "ffn_gate_shexp"},
          {shared + "up_proj", "ffn_up_shexp"},
          {shared + "down_proj", "ffn_down_shexp"},
          {block + names.shared_gate, "ffn_gate_inp_shexp"}};
}

// The name in a GGUF file; "" where there is none.
std::string gguf_name(const std::string& parameter, const arch::NetworkNames& names) {
  const std::size_t dot = parameter.rfind('.');
  const std::string stem = parameter.substr(0, dot), kind = parameter.substr(dot);
  if (stem == "model.embed_tokens") return "token_embd" + kind;
  if (stem == "model.norm") return "output_norm" + kind;
  if (stem == "lm_head") return "output" + kind;
  constexpr std::string_view kLayers = "model.layers.";
  const std::size_t end = stem.find('.', kLayers.size());
  const std::string layer = stem.substr(kLayers.size(), end - kLayers.size());
  for (const auto& [here, there] : names_in_block(names)) {
    if (stem.compare(end + 1, std::string::npos, here) == 0)
      return "blk." + layer + "." + there + kind;
  }
  return "";
}

bool is_query_or_key(const std::string& parameter) {
  return parameter.find("self_attn.q_proj.") != std::string::npos ||
         parameter.find("self_attn.k_proj.") != std::string::npos;
}

at::ScalarType dtype_of(const GgufTensorType& type) {
  const std::string_view name = type.name;
  return name == "F16" ? at::kHalf : name == "BF16" ? at::kBFloat16 : at::kFloat;
}

// [1, D] here may be [D] there.
bool same_shape(std::vector<std::int64_t> here, std::vector<std::int64_t> there) {
  std::erase(here, 1);
  std::erase(there, 1);
  return here == there;
}

}  // namespace

GgufSource::GgufSource(const std::string& path)
    : GgufSource(path, MappedFile(path, ErrorKind::kCheckpoint)) {}

GgufSource::GgufSource(const std::string& path, MappedFile file)
    : ModelSource(path, gguf_config(read_gguf_header(file.bytes(), path))),
      file_(std::move(file)),
      header_(read_gguf_header(file_.bytes(), path)) {
  Differences differences("the file");
  for (const arch::ParameterInfo& info : arch::parameter_table(arch())) {
    const Part part = find(info);
    if (part.tensor == nullptr) {
      differences.missing(info.name);
    } else if (info.shape.size() == 1 && part.tensor->type->values > 1) {
      differences.differs(
          format("{} is {} (only matrices are)", part.tensor->name, part.tensor->type->name));
    } else if (!same_shape(part.tensor->shape, info.shape)) {
      differences.differs(format("{} has shape [{}] (here [{}])", part.tensor->name,
                                 join(part.tensor->shape, ", "), join(info.shape, ", ")));
    } else {
      parts_.emplace(info.name, part);
      dtypes_.emplace(info.name, dtype_of(*part.tensor->type));
    }
  }
  for (const GgufTensor& tensor : header_.tensors) {
    if (std::none_of(parts_.begin(), parts_.end(),
                     [&](const auto& p) { return p.second.tensor == &tensor; }))
      differences.unexpected(tensor.name);
  }
  differences.require_none(format("the weights in {} are not those of its metadata", path),
                           "fetch the file again, or use the Hugging Face folder of the model");
}

GgufSource::Part GgufSource::find(const arch::ParameterInfo& info) const {
  const bool interleaved =
      header_.text("general.architecture") == "llama" && is_query_or_key(info.name);
  return {header_.find(gguf_name(info.name, arch::network_names(arch()))),
          interleaved ? arch().head_dim : 0};
}

std::unique_ptr<GgufSource> GgufSource::open(const RankContext& context, const std::string& path) {
  std::unique_ptr<GgufSource> source;
  agreed(context.world, "model: open", [&] { source = std::make_unique<GgufSource>(path); });
  return source;
}

HubOrigin GgufSource::origin(const RankContext& context) const {
  HubOrigin origin{.files = {}, .dtypes = dtypes_};
  agreed(context.world, "model: small files", [&] {
    if (!context.is_chief()) return;
    origin.files[kConfigFile] = config().dump(2) + "\n";
    const std::string tokenizer = gguf_tokenizer_json(header_);
    if (tokenizer.empty()) return;
    origin.files["tokenizer.json"] = tokenizer;
    origin.files["tokenizer_config.json"] = gguf_tokenizer_config(header_);
  });
  return origin;
}

void GgufSource::read(const std::string& parameter, std::int64_t first,
                      const at::Tensor& into) const {
  if (into.numel() == 0) return;
  const Part& part = parts_.at(parameter);
  const GgufTensorType& type = *part.tensor->type;
  const std::int64_t rows = into.size(0), width = into.numel() / rows, half = part.head_dim / 2;
  const auto row_bytes = static_cast<std::uint64_t>(width / type.values * type.bytes);
  const bool same = into.is_cpu() && into.scalar_type() == at::kFloat && into.is_contiguous();
  const std::int64_t step =
      same ? rows : std::min(rows, std::max<std::int64_t>(1, kStaged / width));
  const at::Tensor staging = same ? into : at::empty({step, width}, at::kFloat);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t count = std::min(step, rows - begin);
    auto* const out = staging.mutable_data_ptr<float>();
    for (std::int64_t r = 0; r < count; ++r) {
      std::int64_t row = first + begin + r;
      if (half > 0) {
        const std::int64_t inside = row % part.head_dim;
        row += 2 * (inside % half) + inside / half - inside;
      }
      const std::uint64_t place = part.tensor->begin + static_cast<std::uint64_t>(row) * row_bytes;
      MOESAIC_ASSERT(place + row_bytes <= part.tensor->end);
      dequantise(type, file_.bytes().data() + place, width, out + r * width);
    }
    if (!same)
      into.narrow(0, begin, count)
          .copy_(staging.narrow(0, 0, count).view_as(into.narrow(0, begin, count)));
  }
  file_.release(part.tensor->begin, part.tensor->end - part.tensor->begin);
}

at::Tensor GgufSource::rows(const std::string& parameter, std::int64_t first,
                            std::int64_t count) const {
  for (const arch::ParameterInfo& info : arch::parameter_table(arch())) {
    if (info.name != parameter) continue;
    std::vector<std::int64_t> shape = info.shape;
    shape[0] = count;
    const at::Tensor values = at::empty(shape, dtypes_.at(parameter));
    read(parameter, first, values);
    return values;
  }
  MOESAIC_ASSERT(false);
}

void GgufSource::fill(const RankContext& context, const StateDict& model) const {
  agreed(context.world, "model: fit", [&] {
    Differences differences("the file");
    for (const StateEntry& entry : model) {
      if (!parts_.contains(entry.name)) differences.missing(entry.name);
    }
    differences.require_none(format("{} does not fit this model", path_),
                             "use the model.config of the file");
  });
  agreed(context.world, "model: load", [&] {
    for (const StateEntry& entry : model) read(entry.name, entry.offset, entry.tensor);
  });
}

}  // namespace moesaic
