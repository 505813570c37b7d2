// moesaic federate simulate: the coordinator and the silos of a recipe, all on this machine, as
// they would run on their own ones: keys, network and folders are real.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/site_recipe.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "identity/keys.h"
#include "launch_command.h"
#include "launcher.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

constexpr const char* kHost = "127.0.0.1";

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  const bool found =
      socket >= 0 && ::bind(socket, plain, size) == 0 && ::getsockname(socket, plain, &size) == 0;
  const int failure = errno;
  if (socket >= 0) ::close(socket);
  MOESAIC_CHECK(found, ErrorKind::kUsage, "no free port on {}: {}", kHost, std::strerror(failure));
  return ntohs(address.sin_port);
}

/// A verb of this program as a child, whose words come here line by line under its name.
class Site {
 public:
  Site(std::string name, const std::vector<std::string>& argv)
      : name_(std::move(name)), child_({argv, {}}, {.out = ChildProcess::Stdout::kToStderr}) {}

  int pipe() const { return is_open_ ? child_.stderr_pipe() : -1; }
  void stop() const { child_.send(SIGTERM); }
  /// Its exit code, once it has ended and all was read.
  std::optional<int> ended() {
    const std::optional<int> status = child_.ended();
    read();
    if (!status || is_open_) return std::nullopt;
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  }

 private:
  void read() {
    char buffer[4096];
    ssize_t got = 0;
    while (is_open_ && (got = ::read(child_.stderr_pipe(), buffer, sizeof buffer)) > 0)
      text_.append(buffer, static_cast<std::size_t>(got));
    if (got == 0) is_open_ = false;
    std::size_t begin = 0;
    for (std::size_t end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1)
      std::fputs(format("{}: {}\n", name_, text_.substr(begin, end - begin)).c_str(), stderr);
    text_.erase(0, begin);
  }

  std::string name_;
  ChildProcess child_;
  std::string text_;
  bool is_open_ = true;
};

/// The signals that stop a program, kept until they are asked for. Children get them as they are.
class HeldSignals {
 public:
  HeldSignals() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM}) sigaddset(&set_, signal);
    ::sigprocmask(SIG_BLOCK, &set_, nullptr);
  }
  bool came() const {
    const timespec at_once{};
    return ::sigtimedwait(&set_, nullptr, &at_once) > 0;
  }

 private:
  sigset_t set_{};
};

class Simulation {
 public:
  Simulation(const RecipeArguments& arguments, Recipe recipe)
      : arguments_(arguments), recipe_(std::move(recipe)) {}

  int run() {
    std::vector<std::string> names;
    for (const SiloOptions& silo : recipe_.federated->silos) names.push_back(silo.name);
    make_folder(at("sites"));
    identity::make_keys({.folder = at("keys"), .coordinator = kHost, .silos = names});
    address_ = format("{}:{}", kHost, free_port());
    std::vector<std::string> argv = {program(), "federate", "coordinator", arguments_.path};
    argv.insert(argv.end(), arguments_.overrides.begin(), arguments_.overrides.end());
    argv.insert(argv.end(), {"--listen", address_, "--keys", at("keys/coordinator")});
    Site coordinator("coordinator", argv);
    std::vector<std::unique_ptr<Site>> silos;
    for (const SiloOptions& silo : recipe_.federated->silos)
      silos.push_back(std::make_unique<Site>(silo.name, silo_argv(silo)));
    return wait(coordinator, silos);
  }

 private:
  std::string at(const std::string& name) const { return recipe_.run_dir + "/" + name; }
  static std::string program() { return program_folder() + "/moesaic"; }

  std::vector<std::string> silo_argv(const SiloOptions& silo) const {
    SiteRecipe site{
        .name = silo.name, .data = {silo.train, silo.valid}, .parallel = {}, .privacy = {}};
    site.parallel = recipe_.parallel;
    site.parallel.ranks = silo.ranks;
    if (site.parallel.threads_per_rank == 0)
      site.parallel.threads_per_rank =
          std::max<std::int64_t>(1, Machine::here().usable_cores / all_ranks());
    const std::string file = at(format("sites/{}.yaml", silo.name));
    write_file_atomic(file, to_yaml(site));
    return {program(),   "federate",
            "silo",      file,
            "--connect", address_,
            "--keys",    at("keys/" + silo.name),
            "--run-dir", at("sites/" + silo.name)};
  }

  std::int64_t all_ranks() const {
    std::int64_t ranks = 0;
    for (const SiloOptions& silo : recipe_.federated->silos) ranks += silo.ranks;
    return ranks;
  }

  // The coordinator tells the silos when all is done. Without it they are stopped.
  int wait(Site& coordinator, std::vector<std::unique_ptr<Site>>& silos) const {
    std::optional<int> code;
    for (;;) {
      const bool was_there = !code;
      if (was_there) code = coordinator.ended();
      std::erase_if(silos, [](const auto& silo) { return silo->ended().has_value(); });
      if (code && silos.empty()) return *code;
      if (was_there && code && *code != 0)
        for (const auto& silo : silos) silo->stop();
      if (signals_.came()) {
        coordinator.stop();
        for (const auto& silo : silos) silo->stop();
      }
      std::vector<pollfd> ready = {{code ? -1 : coordinator.pipe(), POLLIN, 0}};
      for (const auto& silo : silos) ready.push_back({silo->pipe(), POLLIN, 0});
      ::poll(ready.data(), ready.size(), 100);
    }
  }

  const RecipeArguments& arguments_;
  Recipe recipe_;
  HeldSignals signals_;
  std::string address_;
};

int run_simulate(const RecipeArguments& arguments) {
  refuse_inside_a_job("federate simulate " + arguments.path);
  Recipe recipe = require_recipe(arguments.path, arguments.overrides);
  require_across_sites(recipe);
  require_data_of_silos(recipe);
  return Simulation(arguments, std::move(recipe)).run();
}

}  // namespace

void add_federate_simulate(CLI::App& federate, int& exit_code) {
  const auto arguments = std::make_shared<RecipeArguments>();
  CLI::App* verb = federate.add_subcommand(
      "simulate", "Coordinator and silos on this machine, with keys and network of their own");
  add_recipe_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] { exit_code = run_simulate(*arguments); });
}

}  // namespace moesaic::cli
