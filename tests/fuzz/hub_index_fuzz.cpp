// fuzz: libtrain/core/{error,fs,path,json*}.cpp libtrain/store/{hub_index,safetensors_header}.cpp
// The index of a Hugging Face folder: what is read is written and read again as the same.
#include "store/hub_index.h"

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  try {
    const HubIndex index =
        parse_hub_index({reinterpret_cast<const char*>(data), size}, "index.json");
    for (const auto& [name, shard] : index.weights) {
      if (shard >= index.shards.size()) __builtin_trap();
    }
    for (const std::string& shard : index.shards) {
      if (shard.find('/') != std::string::npos) __builtin_trap();
    }
    const HubIndex again = parse_hub_index(hub_index_text(index, 0), "written");
    if (again.weights != index.weights || again.shards != index.shards) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
