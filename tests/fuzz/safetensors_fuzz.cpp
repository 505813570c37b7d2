// fuzz: libtrain/core/{error,fs,path,json,json_events}.cpp libtrain/store/safetensors_header.cpp
// The header of a safetensors file. The first 8 bytes of the input are the size that the file is
// said to have, so that headers of large tensors are reached with a small input.
#include <cstring>

#include "store/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  std::uint64_t file_bytes = 0;
  if (size < sizeof file_bytes) return 0;
  std::memcpy(&file_bytes, data, sizeof file_bytes);
  const std::string_view text(reinterpret_cast<const char*>(data) + sizeof file_bytes,
                              size - sizeof file_bytes);
  try {
    const SafetensorsHeader header = read_safetensors_header(text, file_bytes, "input");
    // What a reader relies on: values one after the other, up to the end of the file.
    std::uint64_t place = header.tensors.empty() ? file_bytes : header.tensors.front().begin;
    for (const SafetensorsTensor& tensor : header.tensors) {
      if (tensor.begin != place || tensor.end < tensor.begin) __builtin_trap();
      place = tensor.end;
    }
    if (place != file_bytes) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
