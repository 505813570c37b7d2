// Where Open MPI keeps the files of one job.
#pragma once

#include <string>

#include "process.h"

namespace moesaic::cli {

/// A folder of one job's own under TMPDIR, removed with all in it at the end. Open MPI 4 gives all
/// jobs of a user one folder and removes it when a job ends, under the feet of one that starts: its
/// MPI_Init then fails ("A call to mkdir was unable to create the desired directory").
class SessionFolder {
 public:
  /// Nothing is made where the caller's environment has named a folder, nor where none can be made:
  /// the job then does as Open MPI does by itself.
  SessionFolder();
  ~SessionFolder();
  SessionFolder(const SessionFolder&) = delete;
  SessionFolder& operator=(const SessionFolder&) = delete;

  const std::string& path() const { return path_; }  // "" = none

  /// Makes the job of `command`, all on this node, keep its files here.
  void give_to(Command& command) const;

 private:
  std::string path_;
};

}  // namespace moesaic::cli
