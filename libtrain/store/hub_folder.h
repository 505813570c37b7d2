// A Hugging Face folder: config.json, model.safetensors or an index with shards, and small files
// beside them. Opening it reads the headers of all shards and no weight.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/log.h"
#include "store/safetensors.h"

namespace moesaic {

/// A tensor and the file that holds it.
struct HubTensor {
  const SafetensorsFile* file = nullptr;
  const SafetensorsTensor* tensor = nullptr;
  std::string name = {};  // in the model: without what a wrapper around it has added to its name
};

class HubFolder {
 public:
  /// Whether `path` is a folder with safetensors of a model in it.
  static bool is_at(const std::string& path);

  /// Error(kCheckpoint) when a file is missing or damaged, or index and shards disagree.
  explicit HubFolder(const std::string& path);
  HubFolder(HubFolder&&) = default;  // tensors point into the files, which do not move
  HubFolder& operator=(HubFolder&&) = default;

  const std::string& path() const { return path_; }
  const Json& config() const { return config_; }
  /// In the order of their names in the files.
  const std::vector<HubTensor>& tensors() const { return tensors_; }
  /// In the order of the names of the shards.
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  std::string path_;
  Json config_;
  std::vector<SafetensorsFile> files_;
  std::vector<HubTensor> tensors_;
};

/// The files of a Hugging Face folder that go with its model wherever it goes (tokenizer,
/// generation config, licence ...): name -> content. All regular files at its top, but for weights,
/// their indices, hidden files, and what is too large, which a warning names.
std::map<std::string, std::string> read_small_files(const std::string& folder, const Log& log);

}  // namespace moesaic
