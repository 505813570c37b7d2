#include "engine/chief_turn.h"

#include "core/json_text.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

constexpr const char* kWaiting = "wait";

/// What the work ends with: its result, or its error.
Json outcome_of(const std::function<std::string()>& work) {
  const auto failed = [](ErrorKind kind, const std::string& message, const std::string& hint) {
    return Json{{"kind", static_cast<int>(kind)}, {"message", message}, {"hint", hint}};
  };
  try {
    return {{"result", work()}};
  } catch (const ChiefTurn::Stopped&) {
    return {{"stopped", true}};
  } catch (const Error& error) {
    return failed(error.kind(), error.what(), error.hint());
  } catch (const std::exception& error) {
    return failed(ErrorKind::kInternal, error.what(), "");
  }
}

}  // namespace

void ChiefTurn::alive() {
  if (label_.empty()) return;
  if (stop_.requested()) throw Stopped();
  world_.broadcast(std::string(kWaiting), 0, label_);
}

std::string ChiefTurn::share(const std::string& label, const std::function<std::string()>& work) {
  std::string text;
  if (world_.is_chief()) {
    label_ = label;
    text = json_text(outcome_of([&] {
      if (stop_.requested()) throw Stopped();
      return work();
    }));
    label_.clear();
    world_.broadcast(text, 0, label);
  } else {
    do {
      text = world_.broadcast(std::string(), 0, label);
    } while (text == kWaiting);
  }
  const Json outcome = Json::parse(text);
  if (outcome.contains("stopped")) throw Stopped();
  if (outcome.contains("result")) return outcome["result"].get<std::string>();
  throw SharedError(
      Error(static_cast<ErrorKind>(outcome["kind"].get<int>()),
            outcome["message"].get<std::string>(), outcome["hint"].get<std::string>()),
      0, world_.size());
}

}  // namespace moesaic
