// What a rank tells of itself while it works: a small file under logs/, written again in place at
// every step and collective. A file, because it can be read while the rank and MPI are stuck.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moesaic {

struct RankState {
  std::uint64_t sequence = 0;  // collectives entered
  std::uint64_t counter = 0;   // grows with every sign of life
  double time = 0;             // of the last one: seconds since 1970 on its machine
  std::int64_t step = 0;       // under way; 0 = none has begun
  std::int64_t pid = 0;        // on `host`
  std::string host;
  std::string where = "(none yet)";  // "'<label>' of <group>"

  bool operator==(const RankState&) const = default;
};

/// "<folder>/rank-<rank>.state". A thread that communicates by itself has a file of its own.
std::string rank_state_file(const std::string& folder, int rank, const std::string& thread = "");

/// nullopt where no file is, or none of these.
std::optional<RankState> read_rank_state(const std::string& path);

/// The ranks that have entered fewer than `sequence` collectives, or of which nothing is known.
std::vector<int> ranks_behind(const std::vector<std::optional<RankState>>& ranks,
                              std::uint64_t sequence);

class RankStateFile {
 public:
  RankStateFile() = default;  // keeps nothing
  /// Error(kCheckpoint) when the file cannot be made.
  explicit RankStateFile(const std::string& path);
  ~RankStateFile();
  RankStateFile(const RankStateFile&) = delete;
  RankStateFile& operator=(const RankStateFile&) = delete;
  RankStateFile(RankStateFile&& other) noexcept;
  RankStateFile& operator=(RankStateFile&& other) noexcept;

  /// A reader sees one state or the other. A full disk is no error: nothing is lost but this.
  void write(const RankState& state) const;

 private:
  int fd_ = -1;
};

}  // namespace moesaic
