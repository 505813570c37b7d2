#include "store/gguf_source.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "config/gguf_config.h"
#include "core/digest.h"
#include "data/text/gguf_tokenizer.h"
#include "parallel/gguf_dequantise.h"
#include "store/agreement.h"
#include "store/differences.h"
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

void check_tensor(const GgufTensor& tensor, const std::vector<std::int64_t>& shape,
                  Differences& differences) {
  if (shape.size() == 1 && tensor.type->values > 1) {
    differences.differs(format("{} is {} (only matrices are)", tensor.name, tensor.type->name));
  } else if (!same_shape(tensor.shape, shape)) {
    differences.differs(format("{} has shape [{}] (here [{}])", tensor.name,
                               join(tensor.shape, ", "), join(shape, ", ")));
  }
}

using Tensors = std::map<std::string_view, const GgufTensor*>;

/// Takes the tensor of that name out of `unused`; nullptr where there is none.
const GgufTensor* take(Tensors& unused, const std::string& name) {
  const auto found = unused.find(name);
  if (found == unused.end()) return nullptr;
  const GgufTensor* const tensor = found->second;
  unused.erase(found);
  return tensor;
}

/// "blk.0.ffn_up.3.weight" for "blk.0.ffn_up_exps.weight": of one expert, as older files have it.
std::string name_of_expert(std::string name, std::int64_t expert) {
  constexpr std::string_view kAll = "_exps";
  const std::size_t at = name.rfind(kAll);
  MOESAIC_ASSERT(at != std::string::npos);
  return name.replace(at, kAll.size(), format(".{}", expert));
}

/// The tensor of a parameter, or those of its experts; empty where one is missing.
std::vector<const GgufTensor*> take_all(const arch::ParameterInfo& info, const std::string& name,
                                        Tensors& unused, Differences& differences) {
  if (const GgufTensor* const tensor = take(unused, name)) {
    check_tensor(*tensor, info.shape, differences);
    return {tensor};
  }
  std::vector<const GgufTensor*> tensors;
  const bool experts = info.scope == arch::Scope::kExpert;
  const std::vector<std::int64_t> shape(info.shape.begin() + (experts ? 1 : 0), info.shape.end());
  const bool named = name.find("_exps") != std::string::npos;
  for (std::int64_t i = 0; experts && named && i < info.shape[0]; ++i) {
    const GgufTensor* const tensor = take(unused, name_of_expert(name, i));
    if (tensor == nullptr) break;
    check_tensor(*tensor, shape, differences);
    tensors.push_back(tensor);
  }
  if (experts && std::ssize(tensors) == info.shape[0]) return tensors;
  differences.missing(info.name);
  return {};
}

at::ScalarType widest(const std::vector<const GgufTensor*>& tensors) {
  at::ScalarType type = dtype_of(*tensors[0]->type);
  for (const GgufTensor* tensor : tensors) type = c10::promoteTypes(type, dtype_of(*tensor->type));
  return type;
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
  Tensors unused;
  for (const GgufTensor& tensor : header_.tensors) unused.emplace(tensor.name, &tensor);
  const bool interleaved = header_.text("general.architecture") == "llama";
  Differences differences("the file");
  for (const arch::ParameterInfo& info : arch::parameter_table(arch())) {
    const std::string name = gguf_name(info.name, arch::network_names(arch()));
    std::vector<const GgufTensor*> tensors = take_all(info, name, unused, differences);
    if (tensors.empty()) continue;
    dtypes_.emplace(info.name, widest(tensors));
    parts_.emplace(
        info.name,
        Part{std::move(tensors), interleaved && is_query_or_key(info.name) ? arch().head_dim : 0});
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

std::string GgufSource::digest_here(const std::function<void()>& alive) const {
  return digest_of_file(path_, alive);
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

GgufSource::Row GgufSource::row_of(const Part& part, std::int64_t row, std::int64_t width) const {
  if (const std::int64_t half = part.head_dim / 2; half > 0) {
    const std::int64_t inside = row % part.head_dim;
    row += 2 * (inside % half) + inside / half - inside;
  }
  const bool each_has_one = part.tensors.size() > 1;
  const GgufTensor& tensor = *part.tensors[each_has_one ? static_cast<std::size_t>(row) : 0];
  const std::int64_t size = width / tensor.type->values * tensor.type->bytes;
  const std::uint64_t place =
      tensor.begin + (each_has_one ? 0 : static_cast<std::uint64_t>(row * size));
  MOESAIC_ASSERT(place + static_cast<std::uint64_t>(size) <= tensor.end);
  return {reinterpret_cast<const std::uint8_t*>(file_.bytes().data() + place), size, tensor.type};
}

void GgufSource::release(const Part& part) const {
  for (const GgufTensor* tensor : part.tensors)
    file_.release(tensor->begin, tensor->end - tensor->begin);
}

void GgufSource::read(const std::string& name, std::int64_t first, const at::Tensor& into) const {
  if (into.numel() == 0) return;
  const Part& part = parts_.at(name);
  const std::int64_t rows = into.size(0), width = into.numel() / rows;
  const bool same = into.is_cpu() && into.scalar_type() == at::kFloat && into.is_contiguous();
  const std::int64_t step =
      same ? rows : std::min(rows, std::max<std::int64_t>(1, kStaged / width));
  const at::Tensor staging = same ? into : at::empty({step, width}, at::kFloat);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t count = std::min(step, rows - begin);
    auto* const out = staging.mutable_data_ptr<float>();
    for (std::int64_t r = 0; r < count; ++r) {
      const Row row = row_of(part, first + begin + r, width);
      dequantise(*row.type, row.bytes, width, out + r * width);
    }
    if (!same)
      into.narrow(0, begin, count)
          .copy_(staging.narrow(0, 0, count).view_as(into.narrow(0, begin, count)));
  }
  release(part);
}

std::map<std::string, const GgufTensorType*> GgufSource::blocks() const {
  std::map<std::string, const GgufTensorType*> blocks;
  for (const auto& [name, part] : parts_) {
    const GgufTensor& tensor = *part.tensors[0];
    for (const GgufTensor* other : part.tensors) {
      MOESAIC_CHECK(other->type == tensor.type, ErrorKind::kCheckpoint,
                    "{}: with --weights file the experts of a layer are of one type, but {} is {} "
                    "and {} is {}",
                    path_, tensor.name, tensor.type->name, other->name, other->type->name);
    }
    const bool has_dtype = tensor.type->values == 1 && dtype_of(*tensor.type) != at::kHalf;
    if (parameter(name).shape.size() > 1 && !has_dtype) blocks.emplace(name, tensor.type);
  }
  return blocks;
}

void GgufSource::read_blocks(const std::string& name, std::int64_t first,
                             const at::Tensor& into) const {
  const Part& part = parts_.at(name);
  const GgufTensorType& type = *part.tensors[0]->type;
  const std::int64_t size = into.numel() / into.size(0);
  auto* const out = into.mutable_data_ptr<std::uint8_t>();
  for (std::int64_t r = 0; r < into.size(0); ++r) {
    const Row row = row_of(part, first + r, size / type.bytes * type.values);
    MOESAIC_ASSERT(row.size == size);
    std::memcpy(out + r * size, row.bytes, static_cast<std::size_t>(size));
  }
  release(part);
}

void GgufSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the file", "use the model.config of the file");
}

}  // namespace moesaic
