// fuzz: libtrain/core/{error,fs,path,json}.cpp libtrain/arch/*.cpp
// config.json of a model: parsing, reading of the options, the table of parameters, and back.
#include "arch/parameter_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Json config = parse_json(text, "config.json", ErrorKind::kRecipe, {.bytes = 1U << 22U});
    const arch::Options options = arch::require_options(config, "config.json");
    for (const arch::ParameterInfo& info : arch::parameter_table(options)) {
      for (const std::int64_t extent : info.shape) {
        if (extent < 1) __builtin_trap();
      }
    }
    // What was accepted is accepted again, with the same meaning.
    const Json written = arch::to_config(options);
    if (arch::to_config(arch::require_options(written, "written")) != written) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
