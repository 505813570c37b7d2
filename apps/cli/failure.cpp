#include "failure.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "core/error.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

constexpr int kCommunication = static_cast<int>(ErrorKind::kCommunication);

std::optional<RankError> read_error(const std::string& path) {
  try {
    const Json file = read_json(path, ErrorKind::kInternal, {.bytes = 1 << 20});
    return RankError{file.at("rank").get<int>(),
                     file.value("host", ""),
                     file.at("time").get<double>(),
                     file.value("kind", ""),
                     file.at("message").get<std::string>(),
                     file.value("hint", ""),
                     file.value("behind", std::vector<int>{})};
  } catch (const std::exception&) {
    return std::nullopt;  // a rank that died while it wrote
  }
}

bool is_exit_code(int code) { return kind_of(code).has_value(); }

// Exit code of a kind's name, `otherwise` for a name that is not known here.
int code_of(const std::string& kind, int otherwise) {
  for (int code = static_cast<int>(ErrorKind::kUsage); is_exit_code(code); ++code) {
    if (kind == name_of(*kind_of(code))) return code;
  }
  return is_exit_code(otherwise) ? otherwise : kCommunication;
}

std::string log_of(const std::string& run_dir, int rank) {
  if (run_dir.empty()) return "";
  const std::string path = format("{}/logs/rank-{}.log", run_dir, rank);
  std::error_code code;
  return fs::exists(path, code) ? path : "";
}

std::string hint_for(int signal, const Advice& advice) {
  if (signal == SIGKILL) {
    return format("often the kernel's out-of-memory killer (see dmesg): use more ranks, or {}{}",
                  advice.less_memory, advice.afterwards);
  }
  if (signal == SIGPIPE) return "a program that it wrote to has ended before it";
  if (signal == SIGXCPU) return "its CPU time is limited (ulimit -t)" + advice.afterwards;
  constexpr std::array kCrashes = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  const bool crash = std::find(kCrashes.begin(), kCrashes.end(), signal) != kCrashes.end();
  return crash ? "a crash is a defect of Moesaic or of a library; please report it with all input "
                 "and logs"
               : "it was stopped from outside";
}

Failure from_error(const std::vector<RankError>& errors, int exit_code) {
  const RankError& first = errors.front();
  Failure failure{.exit_code = code_of(first.kind, exit_code),
                  .rank = first.rank,
                  .host = first.host,
                  .message = first.message,
                  .hint = first.hint,
                  .behind = first.behind};
  for (const RankError& error : errors) {
    if (error.rank != first.rank) failure.others.push_back(error.rank);
  }
  return failure;
}

Failure from_notice(const RankNotice& notice, int exit_code, const Advice& advice) {
  const bool is_mpirun = notice.rank == RankNotice::kMpirun;
  Failure failure{.exit_code = is_exit_code(exit_code) ? exit_code : kCommunication,
                  .rank = notice.rank,
                  .host = notice.host};
  if (notice.signal != 0) {
    failure.message = format("{} was killed by signal {} ({})", is_mpirun ? "mpirun" : "it",
                             notice.signal, ::strsignal(notice.signal));
    const bool known = is_mpirun && notice.signal == SIGABRT && !advice.mpirun_died.empty();
    failure.hint = known ? advice.mpirun_died : hint_for(notice.signal, advice);
  } else {
    failure.message = format("it ended with exit code {}", notice.exit_code);
    failure.hint = "what it said stands above";
  }
  return failure;
}

}  // namespace

ErrorFiles::ErrorFiles(const std::string& run_dir)
    : logs_(run_dir.empty() ? "" : run_dir + "/logs"), before_(list()) {}

std::map<std::string, ErrorFiles::Identity> ErrorFiles::list() const {
  std::map<std::string, Identity> files;
  if (logs_.empty()) return files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(logs_, code)) {
    const std::string name = entry.path().filename().string();
    struct stat status {};
    const bool wanted = name.starts_with("error.rank-") && name.ends_with(".json");
    if (!wanted || ::stat(entry.path().c_str(), &status) != 0) continue;
    files[entry.path().string()] = {
        status.st_ino, std::int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec};
  }
  return files;
}

std::vector<RankError> ErrorFiles::appeared() const {
  std::vector<RankError> errors;
  for (const auto& [path, identity] : list()) {
    const auto old = before_.find(path);
    if (old != before_.end() && old->second == identity) continue;
    if (const auto error = read_error(path)) errors.push_back(*error);
  }
  std::stable_sort(errors.begin(), errors.end(),
                   [](const RankError& a, const RankError& b) { return a.time < b.time; });
  return errors;
}

// A rank that a signal killed leaves no file; those that waited for it may write that they lost it.
Failure explain(const std::vector<RankError>& errors, const Ending& ending,
                const std::string& run_dir, const Advice& advice) {
  const int exit_code = ending.exit_code;
  const bool killed = ending.notice && ending.notice->signal != 0;
  const bool own_error =
      !errors.empty() && code_of(errors.front().kind, exit_code) != kCommunication;
  Failure failure;
  if (!errors.empty() && (own_error || !killed)) {
    failure = from_error(errors, exit_code);
  } else if (ending.words && is_exit_code(exit_code)) {
    const RankWords& words = *ending.words;
    failure = {.exit_code = exit_code,
               .rank = words.rank,
               .message = words.message,
               .hint = words.hint,
               .told = true};
  } else if (ending.notice) {
    failure = from_notice(*ending.notice, exit_code, advice);
    for (const RankError& error : errors) failure.others.push_back(error.rank);
  } else {
    failure.exit_code = is_exit_code(exit_code) ? exit_code : kCommunication;
    failure.message = format("the job ended with exit code {}", exit_code);
    failure.hint = "what it said stands above";
    // mpirun does not always tell which rank it was when one dies within milliseconds of its start.
    if (const int signal = exit_code - 128; signal > 0 && signal < NSIG) {
      failure.message = format("a rank was killed by signal {} ({})", signal, ::strsignal(signal));
      failure.hint = hint_for(signal, advice);
    }
  }
  const int cause = failure.behind.empty() ? failure.rank : failure.behind.front();
  if (cause >= 0) failure.log = log_of(run_dir, cause);
  return failure;
}

std::string to_text(const Failure& failure) {
  if (failure.told) return "";
  std::string text = "error: ";
  if (failure.rank >= 0) {
    text += format("rank {} failed{}: ", failure.rank,
                   failure.host.empty() ? "" : " on " + failure.host);
  }
  text += failure.message + "\n";
  if (!failure.hint.empty()) text += "hint: " + failure.hint + "\n";
  if (!failure.log.empty()) text += "log: " + failure.log + "\n";
  if (!failure.others.empty()) {
    text += format("also failed, after it: rank {}\n", join(failure.others, ", "));
  }
  return text;
}

Json to_json(const Failure& failure) {
  return {{"rank", failure.rank},    {"host", failure.host}, {"message", failure.message},
          {"hint", failure.hint},    {"log", failure.log},   {"others", failure.others},
          {"behind", failure.behind}};
}

}  // namespace moesaic::cli
