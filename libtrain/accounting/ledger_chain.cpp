#include "accounting/ledger_chain.h"

#include <array>

#include "core/json_text.h"
#include "core/secret_key.h"
#include "core/secure_digest.h"

namespace moesaic::accounting {
namespace {

constexpr std::size_t kLongestLine = 4096;

std::string event_line(const Event& event, const std::string& previous, std::int64_t torn) {
  Json json = {{"noise_multiplier", event.noise_multiplier},
               {"sampling_rate", event.sampling_rate},
               {"overflow", event.overflow},
               {"steps", event.steps}};
  if (torn > 0) json["torn"] = torn;
  json["previous"] = previous;
  return json_text(json) + "\n";
}

// Of bytes that nobody can guess.
std::string new_salt() {
  std::array<std::byte, 64> bytes{};
  SecretKey::from_system().stream(0, 0, bytes);
  return secure_digest_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool is_json(std::string_view line) {
  return line.size() <= kLongestLine && Json::accept(line.begin(), line.end());
}

}  // namespace

void LedgerChain::fail(const std::string& what) const {
  throw Error(ErrorKind::kCheckpoint, format("{}:{}: {}", where_, lines_ + 1, what),
              "the ledger was changed or damaged: what was spent on these data is not known from "
              "it any more; put back a whole copy of the file");
}

void LedgerChain::read(std::string_view text) {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    read_line(text.substr(begin, end - begin));
    offset_ += end - begin + 1;
    ++lines_;
    begin = end + 1;
  }
  tail_ = text.substr(begin);
  if (torn_ > 0 && tail_.empty()) fail("this is the end, after a line that is no JSON");
  if (tail_.size() > kLongestLine) fail("a line of more than 4096 bytes");
}

void LedgerChain::read_line(std::string_view line) {
  if (line.size() > kLongestLine) fail("a line of more than 4096 bytes");
  if (lines_ > 0 && !is_json(line)) {  // cut off, if the next one says so
    ++torn_;
  } else {
    const Json json = parse_json(line, format("{}:{}", where_, lines_ + 1), ErrorKind::kCheckpoint);
    try {
      lines_ == 0 ? read_terms(json) : read_event(json);
    } catch (const Json::exception& error) {
      fail(format("not a line of a ledger: {}", json_reason(error.what())));
    }
  }
  head_ = secure_digest_of(line);
  if (head_ == awaited_) seen_ = true;
}

void LedgerChain::read_terms(const Json& json) {
  if (json.at("ledger").get<int>() != 1) fail("a ledger of another version");
  LedgerTerms terms{json.at("data").get<std::string>(), json.at("unit").get<std::string>(), {}};
  const Json& budget = json.at("budget");
  if (!budget.is_null()) {
    terms.budget = {budget.at("epsilon").get<double>(), budget.at("delta").get<double>()};
    const auto& [epsilon, delta] = *terms.budget;
    if (!(epsilon >= 0 && delta > 0 && delta < 1)) fail("a budget that is none");
  }
  terms_ = terms;
}

void LedgerChain::read_event(const Json& json) {
  if (json.at("previous").get<std::string>() != head_)
    fail("it does not follow the line before it, which was changed or is missing");
  if (json.value("torn", std::int64_t{0}) != torn_)
    fail("it does not say that lines before it were cut off");
  const Event event{json.at("noise_multiplier").get<double>(),
                    json.at("sampling_rate").get<double>(), json.at("steps").get<std::int64_t>(),
                    json.at("overflow").get<double>()};
  check_event(event, format("{}:{}", where_, lines_ + 1), ErrorKind::kCheckpoint);
  add_event(events_, event);
  torn_ = 0;
}

std::string LedgerChain::first_line(const LedgerTerms& terms) {
  Json json = {{"ledger", 1}, {"data", terms.data}, {"unit", terms.unit}, {"budget", nullptr}};
  if (terms.budget)
    json["budget"] = {{"epsilon", terms.budget->epsilon}, {"delta", terms.budget->delta}};
  json["salt"] = new_salt();
  return json_text(json) + "\n";
}

std::string LedgerChain::healing(const Event& event) const {
  if (tail_.empty()) return "";
  if (is_json(tail_)) return "\n";  // all but the newline had been written
  Event charged = events_.empty() ? event : events_.back();
  charged.steps = torn_ + 1;
  return "\n" + event_line(charged, secure_digest_of(tail_), torn_ + 1);
}

std::string LedgerChain::line(const Event& event) const { return event_line(event, head_, 0); }

}  // namespace moesaic::accounting
