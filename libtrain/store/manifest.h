// manifest.json: what a checkpoint holds and the digests that prove it. It is written last and ends
// with the digest of itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace moesaic {

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kModelFile = "model.h5";
inline constexpr const char* kStateFile = "state.h5";
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kHubPrefix = "hub/";  // of the small files of a Hugging Face folder
inline constexpr const char* kMasterPrefix = "master/";  // of float masters beside a bfloat16 model

/// Name of a dataset -> hexadecimal XXH3-128 of each of its row blocks.
using DatasetDigests = std::map<std::string, std::vector<std::string>>;

/// Adds the last line, `"digest": "<hex>"}`, over all bytes before it. `content` is a JSON object.
std::string seal_manifest(const Json& content);

/// Checks the digest, then the JSON and its structure (step, files, datasets). Error(kCheckpoint)
/// that names `where` and what is wrong.
Json unseal_manifest(std::string_view text, const std::string& where);

/// Text of the manifest in a checkpoint folder; Error(kCheckpoint) when there is none.
std::string read_manifest(const std::string& folder);

/// The entry of one file for `files`: size and digest of what is in it now. `alive` is called now
/// and then while it is read.
Json describe_file(const std::string& path, const std::function<void()>& alive);

/// Whether an entry has size and digest, as describe_file() makes them.
bool is_file_entry(const Json& entry);

/// Compares a file with its entry in `files`. Error(kCheckpoint) says how it differs.
void check_file(const std::string& folder, const std::string& name, const Json& entry,
                const std::function<void()>& alive = {});

Json to_json(const DatasetDigests& digests);
/// Of an unsealed manifest.
DatasetDigests dataset_digests(const Json& manifest);

}  // namespace moesaic
