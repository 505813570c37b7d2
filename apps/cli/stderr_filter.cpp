#include "stderr_filter.h"

#include <algorithm>
#include <cstdlib>

namespace moesaic::cli {
namespace {

constexpr std::size_t kMostBannerLines = 60;  // longer than any banner: it is somebody's text
constexpr std::size_t kMostPartial = 64 << 10;

bool is_rule(const std::string& line) {
  return line.size() >= 70 && line.find_first_not_of('-') == std::string::npos;
}

bool contains_any(const std::string& text, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&text](const char* part) { return text.find(part) != std::string::npos; });
}

// Banners that only say that a rank failed, which the final block says better.
bool is_about_failed_rank(const std::string& banner) {
  return contains_any(
      banner, {"terminated normally, but", "MPI_ABORT was invoked", "noticed that process rank",
               "detected that one or more processes", "non-zero exit code", "non-zero status"});
}

bool is_noise(const std::string& line) {
  return contains_any(
      line, {"Forwarding signal 10 to job", "util/show_help.c at line", "have sent help message",
             "has sent help message", "orte_base_help_aggregate", "processes failed to start"});
}

// The text after `mark`, "" when it is not there.
std::string after(const std::string& text, const char* mark) {
  const std::size_t found = text.find(mark);
  return found == std::string::npos ? "" : text.substr(found + std::string_view(mark).size());
}

}  // namespace

std::optional<RankNotice> read_notice(const std::string& banner) {
  RankNotice notice;
  const std::string noticed = after(banner, "noticed that process rank ");
  const std::string process = after(banner, "Process name: ");
  if (!noticed.empty()) {
    notice.rank = std::atoi(noticed.c_str());
    const std::string node = after(noticed, "on node ");
    notice.host = node.substr(0, node.find_first_of(" \n"));
    notice.signal = std::atoi(after(noticed, "exited on signal ").c_str());
  } else if (!process.empty()) {
    const std::string name = process.substr(0, process.find('\n'));  // [[15291,1],1]
    notice.rank = std::atoi(name.substr(name.rfind(',') + 1).c_str());
    notice.exit_code = std::atoi(after(process, "Exit code:").c_str());
  }
  if (notice.signal == 0 && notice.exit_code == 0) return std::nullopt;
  return notice;
}

void StderrFilter::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c != '\n') {
      partial_.push_back(c);
      if (partial_.size() < kMostPartial) continue;
    }
    line(partial_);
    partial_.clear();
  }
}

void StderrFilter::finish() {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
  release_banner();
}

void StderrFilter::release_banner() {
  for (const std::string& held : banner_) pass_on(held);
  banner_.clear();
}

void StderrFilter::line(const std::string& text) {
  if (!banner_.empty()) {
    banner_.push_back(text);
    if (is_rule(text)) return end_banner();
    if (banner_.size() > kMostBannerLines) release_banner();
  } else if (is_rule(text)) {
    banner_.push_back(text);
  } else if (!is_noise(text)) {
    remember(text);
    pass_on(text);
  }
}

void StderrFilter::end_banner() {
  std::string text;
  for (const std::string& held : banner_) text += held + "\n";
  if (const auto notice = read_notice(text); notice && !notice_) notice_ = notice;
  if (is_about_failed_rank(text)) banner_.clear();
  release_banner();
}

void StderrFilter::remember(const std::string& text) {
  const std::string ranked = text.starts_with("rank ") ? after(text, ": ") : "";
  const std::string& said = ranked.empty() ? text : ranked;
  const int rank = ranked.empty() ? -1 : std::atoi(text.c_str() + 5);
  if (!words_ && said.starts_with("error: ")) words_ = RankWords{rank, said.substr(7), ""};
  const bool same = words_ && words_->rank == rank && words_->hint.empty();
  if (same && said.starts_with("hint: ")) words_->hint = said.substr(6);
}

void StderrFilter::pass_on(const std::string& text) const {
  std::fputs(((options_.live_line ? "\r\x1b[K" : "") + text + "\n").c_str(), options_.out);
  std::fflush(options_.out);
}

}  // namespace moesaic::cli
