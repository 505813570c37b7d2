#include "federated/round_poll.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace moesaic {

SiloMembers::SiloMembers(std::vector<std::string> silos) : all_(std::move(silos)) {
  for (const std::string& silo : all_) why_[silo] = "has not joined";
}

void SiloMembers::require(const std::string& silo) const {
  if (why_.contains(silo)) return;
  throw Error(ErrorKind::kRecipe, format("silo {} is none of this federation", silo),
              format("federated.silos names {}", join(all_, ", ")));
}

void SiloMembers::come(const std::string& silo) {
  require(silo);
  here_.insert(silo);
  lost_.erase(silo);
  parted_.erase(silo);
  why_[silo].clear();
}

void SiloMembers::leave(const std::string& silo, const std::string& why) {
  require(silo);
  here_.erase(silo);
  lost_.erase(silo);
  parted_.erase(silo);
  why_[silo] = why;
}

std::map<std::string, bool> SiloMembers::look(const std::map<std::string, double>& silent_s,
                                              double patience_s) {
  std::map<std::string, bool> news;
  for (const auto& [silo, silent] : silent_s) {
    if (here_.contains(silo) && silent > patience_s) {
      here_.erase(silo);
      lost_.insert(silo);
      why_[silo] = format("was lost: nothing was heard of it for {:.0f} s", silent);
      news[silo] = true;
    } else if (lost_.contains(silo) && silent <= patience_s) {
      come(silo);
      news[silo] = false;
    }
  }
  return news;
}

std::string SiloMembers::why_away(const std::string& silo) const {
  const auto found = why_.find(silo);
  return found == why_.end() ? "" : found->second;
}

bool SiloPoll::asks(const std::string& silo) const {
  const auto& asked = options_.asked;
  return std::find(asked.begin(), asked.end(), silo) != asked.end();
}

bool SiloPoll::is_new(const std::string& silo, std::int64_t round,
                      const std::string& digest) const {
  MOESAIC_CHECK(round == options_.round, ErrorKind::kData,
                "silo {}: an answer to round {}, and round {} is open", silo, round,
                options_.round);
  MOESAIC_CHECK(asks(silo), ErrorKind::kData, "silo {} was not asked in round {}", silo, round);
  const auto found = answered_.find(silo);
  if (found == answered_.end()) return true;
  MOESAIC_CHECK(found->second == digest, ErrorKind::kData,
                "silo {}: a second answer to round {}, which differs from the first", silo, round);
  return false;
}

void SiloPoll::count(const std::string& silo, const std::string& digest) {
  answered_.emplace(silo, digest);
  given_up_.erase(silo);
}

void SiloPoll::give_up(const std::string& silo, const std::string& why) {
  if (!answered_.contains(silo)) given_up_[silo] = why;
}

SiloPoll::Status SiloPoll::status(const SiloMembers& members, double now) const {
  bool waits = false;  // for a silo that is here
  std::size_t possible = answered_.size();
  for (const std::string& silo : options_.asked) {
    if (answered_.contains(silo) || given_up_.contains(silo)) continue;
    waits = waits || members.is_here(silo);
    if (!members.has_parted(silo)) ++possible;
  }
  const bool enough = answered_.size() >= options_.needed;
  if (enough && !waits) return Status::kDone;
  if (possible < options_.needed) return Status::kFailed;
  if (now < options_.ends_at) return Status::kOpen;
  return enough ? Status::kDone : Status::kFailed;
}

std::string SiloPoll::missing(const SiloMembers& members) const {
  std::vector<std::string> lines;
  for (const std::string& silo : options_.asked) {
    if (answered_.contains(silo)) continue;
    const auto found = given_up_.find(silo);
    std::string why = found != given_up_.end() ? found->second : members.why_away(silo);
    lines.push_back(format("{} {}", silo, why.empty() ? "has not answered in time" : why));
  }
  return format("{}", join(lines, "; "));
}

std::size_t answers_needed(double quorum, std::size_t asked, std::size_t fewest) {
  // A share such as 0.6 of 5 is 3, whatever its last bit.
  const double share = std::ceil(quorum * static_cast<double>(asked) - 1e-9);
  return std::max({std::size_t{1}, fewest, static_cast<std::size_t>(share)});
}

}  // namespace moesaic
