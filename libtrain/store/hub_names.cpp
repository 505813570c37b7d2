#include "store/hub_names.h"

#include <string_view>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::string_view kExperts = ".experts.";
constexpr std::string_view kLayers = "model.layers.";

struct Number {
  std::int64_t value = 0;
  std::size_t digits = 0;
};

/// The number that `text` begins with, which is followed by a dot and has no leading zero.
std::optional<Number> number_before_dot(std::string_view text) {
  constexpr std::size_t kMaxDigits = 9;
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || digits > kMaxDigits) return std::nullopt;
  if (text[digits] != '.' || (text[0] == '0' && digits > 1)) return std::nullopt;
  return Number{std::stoll(std::string(text.substr(0, digits))), digits};
}

constexpr std::string_view kModel = "model.";
constexpr std::string_view kEmbedding = "embed_tokens.weight";

// Modules that hold another one and do nothing to its weights: torch.compile, data parallel, FSDP,
// recomputation.
constexpr std::string_view kWrappers[] = {"_orig_mod.", "module.", "_fsdp_wrapped_module.",
                                          "_checkpoint_wrapped_module."};

/// A name without wrappers, wherever they stand in it.
std::string unwrapped(std::string name) {
  for (const std::string_view wrapper : kWrappers) {
    for (std::size_t at = 0; (at = name.find(wrapper, at)) != std::string::npos;) {
      const bool whole = at == 0 || name[at - 1] == '.';  // not the end of another word
      if (whole)
        name.erase(at, wrapper.size());
      else
        ++at;
    }
  }
  return name;
}

}  // namespace

std::optional<FusedExperts> fused_experts(const std::string& name) {
  for (const char* kind : {"gate_up_proj", "down_proj"}) {
    const std::string end = std::string(kExperts) + kind;
    if (!name.ends_with(end)) continue;
    return FusedExperts{name.substr(0, name.size() - end.size() + kExperts.size()),
                        kind == std::string_view("gate_up_proj")};
  }
  return std::nullopt;
}

bool is_computed(const std::string& name) {
  for (const char* buffer : {"inv_freq", "original_inv_freq", "cos_cached", "sin_cached"}) {
    const std::string end = std::string("rotary_emb.") + buffer;
    if (name == end || name.ends_with("." + end)) return true;
  }
  return false;
}

void ModelNames::see(const std::string& name) {
  std::string inner = unwrapped(name);
  if (!inner.ends_with(kEmbedding)) return;
  inner.resize(inner.size() - kEmbedding.size());
  if (!inner.empty() && !inner.ends_with('.')) return;
  // Layers for multi-token prediction have a copy of it, further in.
  if (!before_embedding_ || inner.size() < before_embedding_->size()) before_embedding_ = inner;
}

std::string ModelNames::in_model(const std::string& name) const {
  std::string inner = unwrapped(name);
  if (!before_embedding_) return inner;
  const std::string& model = *before_embedding_;
  const bool has_class = model == kModel || model.ends_with(std::string(".").append(kModel));
  const std::string outer = has_class ? model.substr(0, model.size() - kModel.size()) : model;
  if (!inner.starts_with(outer)) return inner;
  inner.erase(0, outer.size());
  return has_class || inner.starts_with("lm_head.") ? inner : std::string(kModel) + inner;
}

HubName split_hub_name(const std::string& name) {
  const std::size_t at = name.find(kExperts);
  if (at == std::string::npos) return {name, std::nullopt};
  const std::size_t begin = at + kExperts.size();
  const auto number = number_before_dot(std::string_view(name).substr(begin));
  if (!number) return {name, std::nullopt};
  return {name.substr(0, begin) + name.substr(begin + number->digits + 1), number->value};
}

std::string hub_name(const std::string& parameter, std::int64_t expert) {
  const std::size_t at = parameter.find(kExperts);
  MOESAIC_ASSERT(at != std::string::npos);
  const std::size_t begin = at + kExperts.size();
  return format("{}{}.{}", parameter.substr(0, begin), expert, parameter.substr(begin));
}

std::optional<std::int64_t> layer_of(const std::string& name) {
  if (!name.starts_with(kLayers)) return std::nullopt;
  const auto number = number_before_dot(std::string_view(name).substr(kLayers.size()));
  return number ? std::optional(number->value) : std::nullopt;
}

}  // namespace moesaic
