# What keeps a build from nothing short. In the preset release sixteen sources of a target are compiled as one
# (CMAKE_UNITY_BUILD; a source with options of its own stays alone). And these headers are compiled once for many sources:
# third-party and standard ones alone, so that a change of ours compiles nothing again that does not see it. Each source
# still includes what it uses; the presets dev and asan, which have neither, find the one that does not.
set(plain_headers <algorithm> <array> <cmath> <cstdint> <cstdio> <cstring> <filesystem> <fmt/format.h> <fmt/ranges.h>
  <functional> <map> <memory> <nlohmann/json.hpp> <optional> <set> <span> <string> <string_view> <utility> <vector>)
set(tensor_headers ${plain_headers} <ATen/Parallel.h> <ATen/core/Tensor.h> <ATen/core/grad_mode.h> <ATen/ops/cat.h>
  <ATen/ops/empty.h> <ATen/ops/zeros.h>)

# moesaic_precompile(TARGET OWNER HEADERS...): the target OWNER compiles them, the others of its flags use that.
# A source with machine flags of its own cannot (SKIP_PRECOMPILE_HEADERS).
function(moesaic_precompile target owner)
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
