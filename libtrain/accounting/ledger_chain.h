// The text of a ledger: JSON lines, each but the first with the digest of the line before it.
//
//   {"ledger":1,"data":"<digest>","unit":"sequence","budget":{"epsilon":8.0,"delta":1e-06},
//    "salt":"<random>"}
//   {"noise_multiplier":1.1,"sampling_rate":0.01,"overflow":0.0,"steps":1,"previous":"<digest>"}
//
// Checkpoints, which may go to others, have the digest of the last line. It hangs on the data, but
// for the salt nobody who guesses at them could tell whether a guess is right.
//
// A line that was cut off when a machine stopped is never removed: the next line has "torn", the
// number of such lines before it, and charges for each of them, though its step cannot have begun.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "accounting/budget.h"
#include "accounting/event.h"
#include "core/json.h"

namespace moesaic::accounting {

/// The first line.
struct LedgerTerms {
  std::string data;  // digest of the data set
  std::string unit;  // sequence, document, user; silo
  std::optional<Budget> budget;
};

class LedgerChain {
 public:
  /// `where` is the path, for messages; `awaited` a digest to look out for, or "".
  explicit LedgerChain(std::string where, std::string awaited = "")
      : where_(std::move(where)), awaited_(std::move(awaited)) {}

  /// The text from byte offset() of the file to its end. Throws Error(kCheckpoint) at the first
  /// line that is none, or does not follow the one before it; what came before stays.
  void read(std::string_view text);

  /// Bytes of whole lines that were read.
  std::uint64_t offset() const { return offset_; }
  const std::optional<LedgerTerms>& terms() const { return terms_; }
  const Events& events() const { return events_; }
  /// Digest of the last whole line, as of its bytes without the newline (secure_digest_of).
  const std::string& head() const { return head_; }
  /// Whether a line with the awaited digest was read, or none is awaited.
  bool has_awaited() const { return awaited_.empty() || seen_; }
  /// Whether the last line was cut off.
  bool is_torn() const { return !tail_.empty(); }

  /// What to append: to a file that is empty, to one that is torn, and for an event.
  static std::string first_line(const LedgerTerms& terms);
  std::string healing(const Event& event) const;
  std::string line(const Event& event) const;

 private:
  void read_line(std::string_view line);
  void read_terms(const Json& json);
  void read_event(const Json& json);
  [[noreturn]] void fail(const std::string& what) const;

  std::string where_;
  std::string awaited_;
  bool seen_ = false;
  std::uint64_t offset_ = 0;
  std::int64_t lines_ = 0;
  std::int64_t torn_ = 0;  // lines at the end that were cut off, with a newline since
  std::optional<LedgerTerms> terms_;
  Events events_;
  std::string head_;
  std::string tail_;  // after the last newline
};

}  // namespace moesaic::accounting
