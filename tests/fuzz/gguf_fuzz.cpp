// fuzz: libtrain/{core/{error,file_kind,fs,path,digest,json*},config/gguf_*,data/text/*}.cpp
// libraries: -lpcre2-8 -lutf8proc -lxxhash
// A GGUF file: its header, what it says of the model, and its tokenizer.
#include "config/gguf_config.h"
#include "data/text/gguf_tokenizer.h"
#include "data/text/text_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    const GgufHeader header = read_gguf_header(input, "model.gguf");
    std::uint64_t end = 0;
    for (const GgufTensor& tensor : header.tensors) {
      if (tensor.begin < end || tensor.end > size) __builtin_trap();
      end = tensor.end;
    }
    try {
      gguf_config(header);
    } catch (const Error&) {
    }
    const std::string json = gguf_tokenizer_json(header);
    gguf_tokenizer_config(header);
    if (!json.empty()) text_tokenizer(json, "model.gguf");
  } catch (const Error&) {
  }
  return 0;
}
