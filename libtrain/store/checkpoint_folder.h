// The folder <run>/checkpoints: names, order, space, publication and pruning. Everything here is
// done by one process; crashes between any two steps leave whole checkpoints and leftovers that the
// next save removes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/log.h"

namespace moesaic {

/// step-00000100
std::string step_folder_name(std::int64_t step);
/// The step of such a name; nullopt for any other name.
std::optional<std::int64_t> step_of_folder(const std::string& name);

struct FoundCheckpoint {
  std::string path;
  std::int64_t step = 0;
  /// Saves are numbered; a later save may have a smaller step when a run went back to an older
  /// checkpoint. nullopt: the manifest is missing or damaged.
  std::optional<std::int64_t> sequence;
};

/// The step folders, newest save first. Those with a damaged manifest come at the place of their
/// step. Where `latest` is a folder, of a run that was copied with its links followed, it counts
/// for its step when the step's own folder is not there.
std::vector<FoundCheckpoint> list_checkpoints(const std::string& folder);

/// The files that saves have written into `folder`: those of its checkpoints, of saves that were
/// cut short, and the links `latest` and `best`.
std::vector<std::string> files_of_checkpoints(const std::string& folder);

/// Makes `folder`, removes what crashed saves have left in it, and makes an empty temporary folder
/// for `step`, whose path comes back. What is in the way of a link gets another name, as a
/// warning says. Error when the folder cannot be written or has less than `bytes` free.
std::string begin_checkpoint(const std::string& folder, std::int64_t step, std::uint64_t bytes,
                             const Log& log);

/// Reserves disk space for a file that will grow to `bytes`, without changing its size. Does
/// nothing where the file system cannot.
void reserve_space(const std::string& path, std::uint64_t bytes);
/// Gives back what was reserved and not used.
void release_space(const std::string& path);

/// Moves a finished temporary folder to its name, in place of an older one of that step, and moves
/// `latest` to it; `best` to the checkpoint of that step, where there is one. Durable when it
/// returns.
void publish_checkpoint(const std::string& temporary, const std::string& folder, std::int64_t step,
                        std::optional<std::int64_t> best = {});

/// Removes all but the `keep` newest whole checkpoints and the one that `best` leads to. A damaged
/// one is removed only when it is older than those. What cannot be removed is a warning.
void prune_checkpoints(const std::string& folder, std::int64_t keep, const Log& log);

}  // namespace moesaic
