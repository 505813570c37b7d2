// The one exception type. A kind is also an exit code of every program.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "core/format.h"

namespace moesaic {

enum class ErrorKind {
  kUsage = 2,          // wrong command line, run folder in use
  kRecipe = 3,         // the recipe, or how it fits this job
  kData = 4,           // corpora, unreadable inputs
  kDevice = 5,         // no such device, out of device memory
  kCommunication = 6,  // time-out, lost rank
  kCheckpoint = 7,     // damaged, disk full, folder not writable
  kInternal = 8,       // a defect of Moesaic
  kBudget = 9,         // the privacy budget is spent
};

/// The kind of that exit code, nothing where there is none.
std::optional<ErrorKind> kind_of(int exit_code);

/// Exit code of a job that saved on a signal and can be resumed.
inline constexpr int kExitStopped = 75;

/// Lower-case name of a kind, as written in error files: "recipe", "data" ...
const char* name_of(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  /// `message` says what, where and got against allowed; `hint` says what to do next (may be
  /// empty).
  Error(ErrorKind kind, std::string message, std::string hint = "");

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }
  const std::string& hint() const { return hint_; }

 private:
  ErrorKind kind_;
  std::string hint_;
};

/// Nearest of `candidates` to `word` by edit distance, or "" when none is near.
template <class Range>
std::string nearest(const std::string& word, const Range& candidates);

/// Optimal string alignment distance (insert, delete, replace, swap of neighbours).
std::size_t edit_distance(const std::string& a, const std::string& b);

template <class Range>
std::string nearest(const std::string& word, const Range& candidates) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 2;  // further away is no help
  for (const auto& item : candidates) {
    const std::string candidate(item);
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

[[noreturn]] void throw_internal(const char* file, int line, const char* condition);

}  // namespace moesaic

/// For what the user's world can break: MOESAIC_CHECK(ok, ErrorKind::kData, "{} is empty", path).
#define MOESAIC_CHECK(condition, kind, ...)                                         \
  do {                                                                              \
    if (!(condition)) throw ::moesaic::Error(kind, ::moesaic::format(__VA_ARGS__)); \
  } while (false)

/// For what only a defect of Moesaic can break.
#define MOESAIC_ASSERT(condition)                                                \
  do {                                                                           \
    if (!(condition)) ::moesaic::throw_internal(__FILE__, __LINE__, #condition); \
  } while (false)
