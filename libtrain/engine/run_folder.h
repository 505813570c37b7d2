// RunFolder: where a run keeps its recipe, metrics, logs and checkpoints. One job at a time owns
// it.
#pragma once

#include <string>

namespace moesaic {

class RunFolder {
 public:
  enum class Mode {
    kFresh,      // refused when the folder holds a run already
    kResume,     // goes on with what is there
    kOverwrite,  // removes what an earlier run left, but not the token cache
  };

  /// Chief only. Makes and locks the folder; error files of an earlier job go. Error(kUsage) when
  /// it holds a run or another job works in it, Error(kCheckpoint) when it cannot be written.
  RunFolder(const std::string& path, Mode mode);
  ~RunFolder();
  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&&) = delete;

 private:
  int lock_ = -1;
};

/// Paths inside the folder.
std::string logs_folder(const std::string& run_dir);
std::string log_file(const std::string& run_dir, int rank);
std::string error_file(const std::string& run_dir, int rank);

}  // namespace moesaic
