// Checkpoint folders: crash-safe publication, digests, loading on any layout. The format is
// described in docs/checkpoint-format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"
#include "store/hub_origin.h"

namespace moesaic {

/// What a checkpoint holds. Saving reads it; loading fills the tensors in place.
struct CheckpointContent {
  StateDict model;               // -> model.h5: all that inference needs
  StateDict state;               // -> state.h5: what training alone needs
  Json config = Json::object();  // -> config.json
  Json tokenizer;                // -> manifest "tokenizer": {"type": "byte"}
  Json base;  // -> manifest "base" unless null: of what model.h5 holds a part (adapters)
  Json training =
      Json::object();    // -> manifest "training": step, tokens, recipe ... (JSON scalars and text)
  bool is_part = false;  // loading: the files may hold more than this
  std::optional<std::int64_t> best = {};  // saving: the step that the link `best` leads to
  HubOrigin hub;  // -> hub/<file>, and attribute hub_dtype of each dataset of model.h5
};

/// One checkpoint folder that was found and whose manifest and file digests are whole.
struct CheckpointInfo {
  std::string path;
  std::int64_t step = 0;
  Json manifest;
};

class CheckpointStore {
 public:
  struct Options {
    std::string folder;            // <run_dir>/checkpoints
    std::int64_t keep = 2;         // newest ones kept after a save
    std::string dtype = "master";  // master | bfloat16
  };

  explicit CheckpointStore(Options options) : options_(std::move(options)) {}

  /// Collective over world. Writes step-<step> and moves `latest`, and `best` where the
  /// content says so and that checkpoint is there; on any error the temporary
  /// folder is removed, the older checkpoints are untouched and every rank throws
  /// Error(kCheckpoint).
  void save(const RankContext& context, std::int64_t step, const CheckpointContent& content) const;

  /// Collective over world. The newest whole checkpoint; damaged ones are named in the log. nullopt
  /// when there is none at all; Error(kCheckpoint) when there are some and all are damaged.
  std::optional<CheckpointInfo> newest(const RankContext& context) const;

  /// Collective over world. Checks one folder: a checkpoint, or the newest whole one of a run
  /// folder or of its checkpoints folder.
  static CheckpointInfo open(const RankContext& context, const std::string& path);

  /// Collective over world. What the checkpoint keeps of the Hugging Face folder that its weights
  /// came from; a run that goes on from it hands it on.
  static HubOrigin origin(const RankContext& context, const CheckpointInfo& info);

  /// Collective over world. Fills the tensors of `content.model`, and those of `content.state`
  /// unless it is empty, each rank its own slices, however the ranks that saved had shared it out.
  /// Names, shapes and types are compared on all ranks before any tensor changes; a value is copied
  /// after its digest was right. When a rank throws, every rank does, and the tensors are partly
  /// filled: use them only after another load. To resume, types must be equal; without state
  /// (`model.from`, inference) floating types are converted.
  static void load(const RankContext& context, const CheckpointInfo& info,
                   CheckpointContent& content);

 private:
  Options options_;
};

}  // namespace moesaic
