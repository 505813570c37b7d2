// What the metadata of a GGUF file say in the words of a Hugging Face config.json.
#pragma once

#include "config/gguf_header.h"
#include "core/json.h"

namespace moesaic {

/// Of the architectures llama (with experts: Mixtral), qwen3, qwen2moe, qwen3moe and olmoe.
/// Error(kCheckpoint), by name, for others, and for every key that could change what the model
/// computes and is not supported.
Json gguf_config(const GgufHeader& header);

}  // namespace moesaic
