#include "config/problem.h"

#include <algorithm>
#include <tuple>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::size_t kLongestShown = 60;

std::string place_text(const std::string& file, int line, int column) {
  return line > 0 ? format("{}:{}:{}", file, line, column) : file;
}

bool within(const std::string& key, const std::string& parent) {
  if (key.compare(0, parent.size(), parent) != 0) return false;
  return key.size() == parent.size() || key[parent.size()] == '.' || key[parent.size()] == '[';
}

}  // namespace

std::string Place::text() const { return source ? place_text(*source, line, column) : "default"; }

std::string Problem::text() const {
  return format("{}: {}{}{}{}", place_text(file, line, column), warning ? "warning: " : "", key,
                key.empty() ? "" : ": ", message);
}

bool ProblemList::has_errors() const {
  return std::any_of(problems_.begin(), problems_.end(),
                     [](const Problem& p) { return !p.warning; });
}

bool ProblemList::has_error(const std::string& key) const {
  return std::any_of(problems_.begin(), problems_.end(),
                     [&](const Problem& p) { return !p.warning && within(p.key, key); });
}

std::vector<Problem> ProblemList::sorted() const {
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  return sorted;
}

void ProblemList::add(const Place& place, const std::string& key, std::string message,
                      bool warning) {
  if (full()) return;
  const std::string file = place.source ? *place.source : "recipe";
  problems_.push_back({file, place.line, place.column, key, std::move(message), warning});
  if (full()) {
    problems_.push_back({file, 0, 0, "", "too many problems; the others are not shown", false});
  }
}

std::string shortened(const std::string& text) {
  if (text.size() <= kLongestShown) return text;
  std::size_t end = kLongestShown;  // not within a character of several bytes
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string shown(const std::string& text) { return format("'{}'", shortened(text)); }

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  if (word.size() > kLongestShown) return "";
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : format(" (did you mean '{}'?)", best);
}

}  // namespace moesaic
