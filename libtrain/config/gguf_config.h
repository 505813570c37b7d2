// What the metadata of a GGUF file say in the words of a Hugging Face config.json.
#pragma once

#include "config/gguf_header.h"
#include "core/json.h"

namespace moesaic {

/// Of the architectures llama (with experts: Mixtral), qwen3, qwen2moe, qwen3moe and olmoe.
/// Error(kCheckpoint) for others, and for rotary settings that are not supported, by name.
Json gguf_config(const GgufHeader& header);

}  // namespace moesaic
