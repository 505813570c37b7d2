// The tokenizer in the metadata of a GGUF file, as the files that a Hugging Face folder has.
#pragma once

#include <string>

#include "config/gguf_header.h"

namespace moesaic {

/// The text of a tokenizer.json; "" where the file has no tokenizer. Error(kCheckpoint) for kinds
/// that are not supported, by name: byte-level BPE (tokenizer.ggml.model gpt2) with the
/// pre-tokenizers gpt-2, olmo, smollm, llama-bpe, qwen2 and default is, default where none is
/// named.
std::string gguf_tokenizer_json(const GgufHeader& header);

/// The text of a tokenizer_config.json: special tokens and chat template.
std::string gguf_tokenizer_config(const GgufHeader& header);

}  // namespace moesaic
