#include "store/gguf_source.h"

#include <ATen/ops/empty.h>

#include "config/gguf_config.h"
#include "data/text/gguf_tokenizer.h"
#include "store/agreement.h"
#include "store/differences.h"
#include "store/gguf_dequantise.h"
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

void check_tensor(const GgufTensor& tensor, const arch::ParameterInfo& info,
                  Differences& differences) {
  if (info.shape.size() == 1 && tensor.type->values > 1) {
    differences.differs(format("{} is {} (only matrices are)", tensor.name, tensor.type->name));
  } else if (!same_shape(tensor.shape, info.shape)) {
    differences.differs(format("{} has shape [{}] (here [{}])", tensor.name,
                               join(tensor.shape, ", "), join(info.shape, ", ")));
  }
}

}  // namespace

GgufSource::GgufSource(const std::string& path)
    : GgufSource(path, MappedFile(path, ErrorKind::kCheckpoint)) {}

GgufSource::GgufSource(const std::string& path, MappedFile&& file)
    : GgufSource(path, std::move(file), read_gguf_header(file.bytes(), path)) {}

GgufSource::GgufSource(const std::string& path, MappedFile&& file, GgufHeader&& header)
    : ModelSource(path, gguf_config(header)), file_(std::move(file)), header_(std::move(header)) {
  find_parts();
}

void GgufSource::find_parts() {
  std::map<std::string_view, const GgufTensor*> unused;
  for (const GgufTensor& tensor : header_.tensors) unused.emplace(tensor.name, &tensor);
  const bool interleaved = header_.text("general.architecture") == "llama";
  Differences differences("the file");
  for (const arch::ParameterInfo& info : arch::parameter_table(arch())) {
    const auto found = unused.find(gguf_name(info.name, arch::network_names(arch())));
    if (found == unused.end()) {
      differences.missing(info.name);
      continue;
    }
    const GgufTensor& tensor = *found->second;
    unused.erase(found);
    check_tensor(tensor, info, differences);
    parts_.emplace(info.name,
                   Part{&tensor, interleaved && is_query_or_key(info.name) ? arch().head_dim : 0});
    dtypes_.emplace(info.name, dtype_of(*tensor.type));
  }
  for (const auto& [name, tensor] : unused) differences.unexpected(tensor->name);
  differences.require_none(format("the weights in {} are not those of its metadata", path_),
                           "fetch the file again, or use the Hugging Face folder of the model");
}

std::unique_ptr<GgufSource> GgufSource::open(const RankContext& context, const std::string& path) {
  std::unique_ptr<GgufSource> source;
  agreed(context.world, "model: open", [&] { source = std::make_unique<GgufSource>(path); });
  return source;
}

// A tokenizer that is not supported is left out: the weights do without.
void GgufSource::add_tokenizer(const RankContext& context, HubOrigin& origin) const {
  std::string tokenizer;
  try {
    tokenizer = gguf_tokenizer_json(header_);
  } catch (const Error& error) {
    context.log.warn("the tokenizer is left out, texts cannot be read: {}", error.what());
  }
  if (tokenizer.empty()) return;
  origin.files["tokenizer.json"] = tokenizer;
  origin.files["tokenizer_config.json"] = gguf_tokenizer_config(header_);
}

HubOrigin GgufSource::origin(const RankContext& context) const {
  HubOrigin origin{.files = {}, .dtypes = dtypes_};
  agreed(context.world, "model: small files", [&] {
    if (!context.is_chief()) return;
    origin.files[kConfigFile] = config().dump(2) + "\n";
    add_tokenizer(context, origin);
  });
  return origin;
}

void GgufSource::read(const std::string& name, std::int64_t first, const at::Tensor& into) const {
  if (into.numel() == 0) return;
  const Part& part = parts_.at(name);
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

void GgufSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the file", "use the model.config of the file");
}

}  // namespace moesaic
