// Who is there, and who has answered: the part of a coordinator that waits for silos. Pure: it
// knows no clock and no network, times are seconds on any clock that goes forward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace moesaic {

/// The silos of a federation, as the coordinator sees them.
class SiloMembers {
 public:
  explicit SiloMembers(std::vector<std::string> silos);

  /// Error(kRecipe), naming it, where the federation has no such silo.
  void require(const std::string& silo) const;
  const std::vector<std::string>& all() const { return all_; }
  /// It can take part from now on; so can one that comes back.
  void come(const std::string& silo);
  /// It takes no part any more: `why` is for people.
  void leave(const std::string& silo, const std::string& why);
  /// It left and will not answer what is open, unless it comes again.
  void part(const std::string& silo) { parted_.insert(silo); }
  bool has_parted(const std::string& silo) const { return parted_.contains(silo); }
  /// Those that take part now and were not heard for longer than `patience_s` are lost; one that is
  /// heard again has come back. -> those of which this is new, and whether they are lost now.
  std::map<std::string, bool> look(const std::map<std::string, double>& silent_s,
                                   double patience_s);

  bool is_lost(const std::string& silo) const { return lost_.contains(silo); }
  bool is_here(const std::string& silo) const { return here_.contains(silo); }
  const std::set<std::string>& here() const { return here_; }
  /// "" for one that is here, else why it is not.
  std::string why_away(const std::string& silo) const;

 private:
  std::vector<std::string> all_;
  std::set<std::string> here_, lost_, parted_;
  std::map<std::string, std::string> why_;
};

/// One question to some silos: a round, or an evaluation.
class SiloPoll {
 public:
  struct Options {
    std::int64_t round = 0;
    std::vector<std::string> asked;  // whose answers count
    std::size_t needed = 0;          // answers without which it fails
    double ends_at = 0;              // its deadline
  };
  enum class Status {
    kOpen,
    kDone,    // enough answers, and nobody who is here is still to answer
    kFailed,  // too few answers at the deadline, or too few silos that could still give one
  };

  explicit SiloPoll(Options options) : options_(std::move(options)) {}

  const Options& options() const { return options_; }
  bool asks(const std::string& silo) const;
  /// Whether an answer to round `round` is new here: false for the same one again, known by its
  /// `digest`, which is no mistake. Error(kData) for one that is of another round, of a silo that
  /// was not asked, or another answer than the one that silo has given already.
  bool is_new(const std::string& silo, std::int64_t round, const std::string& digest) const;
  /// Counts an answer, once.
  void count(const std::string& silo, const std::string& digest);
  /// Nothing is waited for from this silo any more: its answer cannot be used.
  void give_up(const std::string& silo, const std::string& why);
  /// Other answers are needed than before.
  void need(std::size_t answers) { options_.needed = answers; }
  /// A silo that has begun anew may answer again, unless its answer counts.
  void ask_again(const std::string& silo) { given_up_.erase(silo); }

  Status status(const SiloMembers& members, double now) const;
  /// By name.
  const std::map<std::string, std::string>& answered() const { return answered_; }
  /// "a: lost; b: its change is not finite": of those that did not answer.
  std::string missing(const SiloMembers& members) const;

 private:
  Options options_;
  std::map<std::string, std::string> answered_;  // digests
  std::map<std::string, std::string> given_up_;  // why
};

/// Answers that a round of `asked` silos needs: a share of them, and what its rule needs.
std::size_t answers_needed(double quorum, std::size_t asked, std::size_t fewest);

}  // namespace moesaic
