// Writes the files of one checkpoint into a folder that is published afterwards: by a run that
// saves (CheckpointStore::save), and by import.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "store/dataset_writer.h"

namespace moesaic {

/// What goes into the folder.
struct CheckpointFiles {
  std::vector<DatasetPart> model;          // -> model.h5
  std::vector<DatasetPart> state;          // -> state.h5; empty: none
  Json config = Json::object();            // -> config.json
  std::map<std::string, std::string> hub;  // -> hub/<name>; chief only

  std::uint64_t bytes() const;  // upper bound, of the datasets and the chief's files
};

/// The manifest before the files are known: no tokenizer, nothing of a training.
Json manifest_head(const RankContext& context, std::int64_t step, const std::string& dtype);

/// Collective over world. Writes everything into the empty `folder`, durably, the completed
/// manifest last. After a failure every rank throws.
void write_checkpoint(const RankContext& context, const std::string& folder,
                      const CheckpointFiles& files, Json manifest);

}  // namespace moesaic
