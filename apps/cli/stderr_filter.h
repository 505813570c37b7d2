// What mpirun and the ranks write to stderr, line by line: it is passed on, but for mpirun's
// banners about a failed job. Those are read instead, and the launcher says the same in one block.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic::cli {

/// The first rank that failed, by mpirun's word. Either signal or exit_code is not 0.
struct RankNotice {
  static constexpr int kMpirun = -1;  // as rank: mpirun itself
  int rank = 0;
  std::string host;  // "" = not said
  int signal = 0;
  int exit_code = 0;
};

/// What a rank said itself: "rank 1: error: ..." and the hint under it. Before MPI has started
/// there is no "rank 1: ".
struct RankWords {
  int rank = -1;  // -1 = not said
  std::string message;
  std::string hint;
};

class StderrFilter {
 public:
  struct Options {
    std::FILE* out = stderr;
    bool live_line = false;  // a progress line may stand on the terminal: clear it before a line
  };

  explicit StderrFilter(const Options& options) : options_(options) {}

  void feed(std::string_view bytes);
  /// The end of the stream: an unfinished line or banner is passed on.
  void finish();

  const std::optional<RankNotice>& notice() const { return notice_; }
  /// The first error that was passed on.
  const std::optional<RankWords>& words() const { return words_; }

 private:
  void line(const std::string& text);
  void end_banner();
  void release_banner();
  void remember(const std::string& text);
  void pass_on(const std::string& text) const;

  Options options_;
  std::string partial_;
  std::vector<std::string> banner_;  // its lines so far, from the opening rule on
  std::optional<RankNotice> notice_;
  std::optional<RankWords> words_;
};

/// Reads "mpirun noticed that process rank 1 ... on node x exited on signal 9 (Killed)." and the
/// banner with "Process name: [[1,1],2]" and "Exit code: 4".
std::optional<RankNotice> read_notice(const std::string& banner);

}  // namespace moesaic::cli
