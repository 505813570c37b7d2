// model.safetensors.index.json: which file of a Hugging Face folder holds which weight. No torch
// here; nothing in the file is trusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moesaic {

inline constexpr const char* kHubIndexFile = "model.safetensors.index.json";
inline constexpr const char* kHubSingleFile = "model.safetensors";

inline constexpr std::size_t kMaxHubIndex = 64U << 20;  // bytes of the text that are read

struct HubIndex {
  std::vector<std::string> shards;                           // plain file names, sorted
  std::vector<std::pair<std::string, std::size_t>> weights;  // name, number of its shard; sorted
};

/// Error(kCheckpoint) that names `where` for anything but {"weight_map": {name: file}} with names
/// and files that can be such, each name once; other keys beside weight_map are passed over.
HubIndex parse_hub_index(std::string_view text, const std::string& where);

/// The text of such a file; `total_size` in bytes.
std::string hub_index_text(const HubIndex& index, std::uint64_t total_size);

}  // namespace moesaic
