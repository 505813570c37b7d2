#include "store/peft_names.h"

#include <string_view>

#include "arch/parameter_table.h"
#include "core/error.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

constexpr std::string_view kPeftModel = "base_model.model.";
constexpr std::string_view kMemoryBlock = "mlp.";
constexpr std::string_view kFusedExperts = ".experts";
constexpr std::string_view kInnerExperts = ".experts.base_layer";

struct PeftEnding {
  PeftPart part;
  std::string_view text;
};
// The first of a part is the one that is written.
constexpr PeftEnding kPeftEndings[] = {{PeftPart::kA, ".lora_A.weight"},
                                       {PeftPart::kB, ".lora_B.weight"},
                                       {PeftPart::kMagnitude, ".lora_magnitude_vector"},
                                       {PeftPart::kMagnitude, ".lora_magnitude_vector.weight"}};

/// `name` with the block of a layer called `to` where it is called `from`.
std::string with_block(const std::string& name, std::string_view from, std::string_view to) {
  const auto layer = layer_of(name);
  if (from == to || !layer) return name;
  const std::string prefix = arch::layer_prefix(*layer);
  if (std::string_view(name).substr(prefix.size()).substr(0, from.size()) != from) return name;
  return format("{}{}{}", prefix, to, name.substr(prefix.size() + from.size()));
}

}  // namespace

std::optional<PeftKey> parse_peft_key(const std::string& key) {
  if (!key.starts_with(kPeftModel)) return std::nullopt;
  const std::string rest = key.substr(kPeftModel.size());
  for (const PeftEnding& ending : kPeftEndings) {
    if (rest.ends_with(ending.text))
      return PeftKey{rest.substr(0, rest.size() - ending.text.size()), ending.part};
  }
  if (rest.find("lora_") != std::string::npos) return std::nullopt;
  return PeftKey{rest, PeftPart::kSaved};
}

std::string peft_key_text(const PeftKey& key) {
  std::string text(kPeftModel);
  text += key.path;
  for (const PeftEnding& ending : kPeftEndings) {
    if (ending.part == key.part) return text += ending.text;
  }
  return text;
}

std::string name_in_memory(const arch::Options& options, const std::string& name) {
  return with_block(name, arch::network_names(options).block, kMemoryBlock);
}

std::string name_of_memory(const arch::Options& options, const std::string& name) {
  return with_block(name, kMemoryBlock, arch::network_names(options).block);
}

std::optional<PeftExperts> parse_peft_experts(const std::string& path) {
  if (path.ends_with(kInnerExperts))
    return PeftExperts{path.substr(0, path.size() - kInnerExperts.size() + kFusedExperts.size()),
                       true};
  if (path.ends_with(kFusedExperts)) return PeftExperts{path, false};
  return std::nullopt;
}

std::string experts_prefix(const std::string& parameter) {
  const std::size_t at = parameter.find(".experts.");
  MOESAIC_ASSERT(at != std::string::npos);
  return parameter.substr(0, at + std::string_view(".experts.").size());
}

}  // namespace moesaic
