#include "process_tree.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <system_error>
#include <thread>

#include "core/clock.h"
#include "core/format.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

constexpr double kKillSeconds = 5.0;

bool has_ended(const ProcessInfo& info) { return info.state == 'Z' || info.state == 'X'; }

bool runs(pid_t pid) {
  const auto info = process_info(pid);
  return info && !has_ended(*info);
}

std::multimap<pid_t, ProcessInfo> by_parent() {
  std::multimap<pid_t, ProcessInfo> children;
  std::error_code ended;
  for (fs::directory_iterator entry("/proc", ended), end; !ended && entry != end;
       entry.increment(ended)) {
    const std::string name = entry->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (const auto info = process_info(static_cast<pid_t>(std::stol(name))))
      children.emplace(info->parent, *info);
  }
  return children;
}

// True when it became so within `seconds`.
bool comes_true(double seconds, const std::function<bool()>& condition) {
  const Stopwatch watch;
  while (!condition()) {
    if (watch.seconds() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace

// "PID (any name) STATE PARENT ...".
std::optional<ProcessInfo> process_info(pid_t pid) {
  std::FILE* file = std::fopen(format("/proc/{}/stat", pid).c_str(), "re");
  if (file == nullptr) return std::nullopt;
  char text[512] = {};
  const std::size_t got = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  const std::string line(text, got);
  const std::size_t name_end = line.rfind(')');
  ProcessInfo info{.pid = pid};
  const bool known =
      name_end != std::string::npos &&
      std::sscanf(line.c_str() + name_end + 1, " %c %d", &info.state, &info.parent) == 2;
  return known ? std::optional(info) : std::nullopt;
}

std::vector<ProcessInfo> descendants(pid_t root) {
  const auto children = by_parent();
  std::vector<pid_t> parents = {root};
  std::vector<ProcessInfo> found;
  for (std::size_t i = 0; i < parents.size(); ++i) {
    const auto [begin, end] = children.equal_range(parents[i]);
    for (auto child = begin; child != end; ++child) {
      const ProcessInfo& process = child->second;
      if (process.pid == root) continue;  // not all was read at one moment
      parents.push_back(process.pid);
      if (!has_ended(process)) found.push_back(process);
    }
  }
  return found;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

void end_tree(pid_t root, double grace_s) {
  if (grace_s > 0) {
    ::kill(root, SIGTERM);
    ::kill(root, SIGCONT);  // it may be stopped itself
    comes_true(grace_s, [&] { return !runs(root); });
  }
  comes_true(kKillSeconds, [&] {
    const std::vector<ProcessInfo> left = descendants(root);
    for (const ProcessInfo& process : left) ::kill(process.pid, SIGKILL);
    if (runs(root)) ::kill(root, SIGKILL);
    return left.empty() && !runs(root);
  });
}

std::size_t end_leftovers() {
  std::vector<ProcessInfo> left;
  comes_true(kKillSeconds, [&] {
    pid_t reaped = 0;
    while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    left = descendants(::getpid());
    for (const ProcessInfo& process : left) ::kill(process.pid, SIGKILL);
    return left.empty() && reaped < 0;  // there is no child, not even one that has ended
  });
  return left.size();
}

}  // namespace moesaic::cli
