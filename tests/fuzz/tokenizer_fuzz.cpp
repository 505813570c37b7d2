// fuzz: libtrain/{core/{error,file_kind,fs,path,digest,json*},config/gguf_header,data/text/*}.cpp
// libraries: -lpcre2-8 -lutf8proc -lxxhash
// A tokenizer.json, a zero byte, a text: its ids are decoded, and encoded again.
#include "core/error.h"
#include "data/text/text_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  try {
    const auto tokenizer = text_tokenizer(input.substr(0, end), "tokenizer.json");
    std::vector<std::uint32_t> ids;
    tokenizer->encode_with_special(input.substr(std::min(end + 1, input.size())), ids);
    for (const std::uint32_t id : ids)
      if (id >= static_cast<std::uint64_t>(tokenizer->vocab_size())) __builtin_trap();
    ids.resize(std::min<std::size_t>(ids.size(), 1000));
    tokenizer->decode(ids, true);
  } catch (const Error&) {
  }
  return 0;
}
