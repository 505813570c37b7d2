#include "federated/round_journal.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "core/secret_key.h"
#include "core/secure_digest.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kMostJournalBytes = std::uint64_t{1} << 30;

std::string drawn_name() {
  const SecretKey key = SecretKey::from_system().derived("run");
  const auto bytes = key.bytes().first<16>();
  std::string name;
  for (const std::byte byte : bytes) name += format("{:02x}", std::to_integer<unsigned>(byte));
  return name;
}

}  // namespace

RoundJournal::RoundJournal(std::string path) : path_(std::move(path)) {
  constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
  if (!is_file(path_, kKind)) write_file_atomic(path_, "");
  const std::string text = read_file(path_, kKind, kMostJournalBytes);
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    read_line(text.substr(begin, end - begin));
  if (begin < text.size()) write_file_atomic(path_, std::string_view(text).substr(0, begin));
  if (events_.empty()) append({{"event", "run"}, {"round", 0}, {"run", drawn_name()}});
  MOESAIC_CHECK(events_[0].at("event") == "run" && events_[0].value("run", Json()).is_string(),
                kKind, "{}:1: this line does not name the run", path_);
}

std::string RoundJournal::run() const { return events_.at(0).at("run").get<std::string>(); }

void RoundJournal::read_line(const std::string& line) {
  const std::string where = format("{}:{}", path_, events_.size() + 1);
  Json event = parse_json(line, where, ErrorKind::kCheckpoint);
  const auto text_at = [&event](const char* key) {
    return event.is_object() && event.contains(key) && event[key].is_string()
               ? event[key].get<std::string>()
               : std::string("?");
  };
  const bool whole = text_at("previous") == head_ && text_at("event") != "?" &&
                     event.value("round", Json()).is_number_integer();
  if (!whole) {
    throw Error(ErrorKind::kCheckpoint,
                format("{}: this line does not follow the one before it", where),
                "the journal was changed or damaged: put back a whole copy, or start a new run "
                "from the last checkpoint with model.from");
  }
  head_ = secure_digest_of(line);
  events_.push_back(std::move(event));
}

std::vector<Json> RoundJournal::find(const std::string& event, std::int64_t round) const {
  std::vector<Json> found;
  std::copy_if(events_.begin(), events_.end(), std::back_inserter(found), [&](const Json& one) {
    return one.at("event") == event && one.at("round") == round;
  });
  return found;
}

std::int64_t RoundJournal::last(const std::string& event) const {
  std::int64_t round = -1;
  for (const Json& one : events_)
    if (one.at("event") == event) round = one.at("round").get<std::int64_t>();
  return round;
}

void RoundJournal::append(Json event) {
  event["previous"] = head_;
  const std::string line = json_text(event);
  append_file(path_, line + "\n");
  head_ = secure_digest_of(line);
  events_.push_back(std::move(event));
}

}  // namespace moesaic
