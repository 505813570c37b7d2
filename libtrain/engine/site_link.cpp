#include "engine/site_link.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "core/clock.h"
#include "core/error.h"
#include "core/json_text.h"
#include "core/path.h"
#include "protocol/json_form.h"

namespace moesaic {
namespace {

constexpr double kAnswerLookSeconds = 0.5;
constexpr double kEndPatienceSeconds = 5;  // for the end of the program
constexpr const char* kSiteProgram = "moesaic-site";

/// How the program is started. Not by fork(), which processes of MPI must not call: posix_spawn
/// copies no memory. Signals that stop the job are the job's: the program ends after it.
class SpawnPlan {
 public:
  explicit SpawnPlan(int socket) {
    sigset_t blocked;
    sigemptyset(&blocked);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&blocked, signal);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setsigmask(&attributes_, &blocked);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawn_file_actions_adddup2(&files_, socket, STDIN_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&files_, STDERR_FILENO + 1);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  /// 0, or why not.
  int run(const std::string& program, pid_t& process) const {
    std::string name = kSiteProgram;
    char* const argv[] = {name.data(), nullptr};
    return ::posix_spawn(&process, program.c_str(), &files_, &attributes_, argv, environ);
  }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t files_{};
};

/// The child's status once it has ended, waiting for at most so long.
bool ends_within(pid_t process, double seconds, int& status) {
  const Stopwatch watch;
  for (;;) {
    const pid_t ended = ::waitpid(process, &status, WNOHANG);
    if (ended != 0) return ended == process;
    if (watch.seconds() > seconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string how_it_ended(int status) {
  return WIFSIGNALED(status) ? format("signal {}", WTERMSIG(status))
                             : format("exit code {}", WEXITSTATUS(status));
}

}  // namespace

std::unique_ptr<SiteLink> SiteLink::start() {
  const std::string program = program_folder() + "/" + kSiteProgram;
  int ends[2];
  MOESAIC_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, ErrorKind::kDevice,
                "no socket for {}: {}", program, std::strerror(errno));
  pid_t process = 0;
  const int failure = SpawnPlan(ends[1]).run(program, process);
  ::close(ends[1]);
  if (failure == 0) return std::make_unique<SiteLink>(ends[0], process);
  ::close(ends[0]);
  throw Error(ErrorKind::kDevice, format("cannot run {}: {}", program, std::strerror(failure)),
              "build the target moesaic-site into the same folder");
}

SiteLink::SiteLink(int socket, pid_t process) : process_(process), socket_(socket, kSiteProgram) {}

SiteLink::~SiteLink() {
  socket_.close();
  int status = 0;
  if (process_ == 0 || ends_within(process_, kEndPatienceSeconds, status)) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, &status, 0);
}

Json SiteLink::call(const Json& request, const std::function<void()>& alive) {
  MOESAIC_CHECK(!waits_, ErrorKind::kCommunication, "{} was left in the middle of a call",
                kSiteProgram);
  const std::string line = json_text(request);
  waits_ = line.size() <= sites::kLineBytes;  // else the other end hears nothing of it
  Json answered;
  try {
    socket_.write(line);
    answered = answer(alive);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCommunication || !socket_.is_gone()) throw;
    fail(error);
  }
  waits_ = false;
  if (answered.contains("error")) throw sites::error_from(answered["error"]);
  return sites::member_of(answered, "result");
}

Json SiteLink::answer(const std::function<void()>& alive) {
  for (;;) {
    const std::optional<std::string> line = socket_.read(kAnswerLookSeconds);
    if (line) return sites::object_from(*line, format("an answer of {}", kSiteProgram));
    if (alive) alive();
  }
}

void SiteLink::fail(const Error& error) {
  int status = 0;
  const bool ended = process_ != 0 && ends_within(process_, 1, status);
  if (ended) process_ = 0;
  throw Error(ErrorKind::kCommunication,
              format("the program that speaks to the network has ended: {}{}", error.what(),
                     ended ? format(" ({})", how_it_ended(status)) : std::string()),
              "start this side again: it goes on by itself");
}

}  // namespace moesaic
