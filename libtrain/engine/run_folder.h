// RunFolder: where a run keeps its recipe, metrics, logs and checkpoints. One job at a time owns
// it.
#pragma once

#include <string>
#include <vector>

#include "core/file_lock.h"
#include "engine/run_files.h"

namespace moesaic {

class RunFolder {
 public:
  enum class Mode {
    kFresh,      // refused when the folder holds a run already
    kResume,     // goes on with what is there
    kOverwrite,  // removes what an earlier run left, but not the token cache, and nothing else
  };

  /// Chief only. Makes and locks the folder; error files of an earlier job go. `inputs` are the
  /// files that the run reads. Error(kUsage) when the folder holds a run, another job works in it,
  /// or a file that the run would write or remove is an input or was written by no run;
  /// Error(kCheckpoint) when it cannot be written.
  RunFolder(const std::string& path, Mode mode, const std::vector<std::string>& inputs = {});

 private:
  FileLock lock_;
};

}  // namespace moesaic
