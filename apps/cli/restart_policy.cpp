#include "restart_policy.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace moesaic::cli {
namespace {

// The same input leads to the same end.
bool comes_again(int exit_code) {
  constexpr std::array kKinds = {ErrorKind::kUsage, ErrorKind::kRecipe, ErrorKind::kData,
                                 ErrorKind::kBudget};
  return std::any_of(kKinds.begin(), kKinds.end(),
                     [&](ErrorKind kind) { return exit_code == static_cast<int>(kind); });
}

}  // namespace

std::string RestartPolicy::obstacle(const AttemptEnd& end) const {
  if (comes_again(end.exit_code)) {
    return format("a failure of kind {} would come again",
                  name_of(static_cast<ErrorKind>(end.exit_code)));
  }
  if (furthest_ < 2) return "step 1 was not done";
  if (static_cast<std::int64_t>(restarts_.size()) < options_.restarts) return "";
  return format("{} restarts within {} s are used up (train.restarts, train.restart_window_s)",
                options_.restarts, options_.window_s);
}

RestartDecision RestartPolicy::after(const AttemptEnd& end, double now_s) {
  if (end.exit_code == 0 || end.exit_code == kExitStopped) return {};
  if (end.was_asked) return {.reason = "the job was asked to stop"};
  furthest_ = std::max(furthest_, end.step);
  while (!restarts_.empty() && now_s - restarts_.front() > options_.window_s) restarts_.pop_front();
  RestartDecision decision{.same_again = last_ == end, .reason = obstacle(end)};
  last_ = end;
  if (!decision.reason.empty()) return decision;
  restarts_.push_back(now_s);
  decision.restart = true;
  decision.number = ++number_;
  return decision;
}

}  // namespace moesaic::cli
