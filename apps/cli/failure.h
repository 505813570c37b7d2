// Why a job failed: the first rank that did, from the error files of the run folder and from what
// mpirun noticed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "stderr_filter.h"

namespace moesaic::cli {

struct Failure {
  int exit_code = 0;
  int rank = -1;  // -1 = not known
  std::string host;
  std::string message;
  std::string hint;
  std::string log;          // of the rank that has the cause, "" = it has none
  std::vector<int> others;  // ranks that failed too, after it
  std::vector<int> behind;  // ranks that it has waited for: the cause is in their logs
  bool told = false;        // it stands on stderr already
};

/// What a rank wrote into error.rank-<r>.json before it ended the job.
struct RankError {
  int rank = 0;
  std::string host;
  double time = 0;  // seconds since 1970
  std::string kind;
  std::string message;
  std::string hint;
  std::vector<int> behind;  // ranks that it has waited for in vain
};

/// The error files that appear in a run folder after this moment. Told from older ones by the file
/// itself and not by its time: the clocks of other nodes may differ.
class ErrorFiles {
 public:
  /// "" = the job has no run folder.
  explicit ErrorFiles(const std::string& run_dir);

  /// The earliest first.
  std::vector<RankError> appeared() const;

 private:
  using Identity = std::pair<std::uint64_t, std::int64_t>;  // inode, time of change in ns
  std::map<std::string, Identity> list() const;

  std::string logs_;
  std::map<std::string, Identity> before_;
};

/// What a user of the verb does next.
struct Advice {
  std::string less_memory = "lower train.micro_batch_size";
  std::string afterwards = "; then go on with --resume auto";  // "" = just start it again
  std::string mpirun_died = "";  // why mpirun itself was killed, "" = not known
};

/// How the job ended.
struct Ending {
  int exit_code = 0;  // of the worker or mpirun, 0 when a signal ended that process
  std::optional<RankNotice> notice;
  std::optional<RankWords> words;
};

Failure explain(const std::vector<RankError>& errors, const Ending& ending,
                const std::string& run_dir, const Advice& advice);

/// The block that ends a failed job's stderr; "" when all of it stands there already.
std::string to_text(const Failure& failure);
Json to_json(const Failure& failure);

}  // namespace moesaic::cli
