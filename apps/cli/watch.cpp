// moesaic watch: a run in the terminal while it goes on. It reads the run folder and nothing else.
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "core/clock.h"
#include "core/error.h"
#include "observe/run_view.h"
#include "observe/watch_frame.h"
#include "recipe_facts.h"
#include "terminal.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct WatchArguments {
  std::string run;
  double every_s = 1;
};

// Seconds since the metrics have grown; the clock of another machine may be ahead.
std::optional<double> quiet_seconds(const std::string& folder) {
  struct stat found {};
  if (::stat((folder + "/metrics.jsonl").c_str(), &found) != 0) return std::nullopt;
  return std::max(0.0, unix_time() - static_cast<double>(found.st_mtim.tv_sec));
}

std::vector<std::string> frame_of(const RunView& run, const std::string& footer) {
  const TerminalSize size = terminal_size();
  const bool color = can_draw() && std::getenv("NO_COLOR") == nullptr;
  return watch_frame(
      run, quiet_seconds(run.folder()),
      {.columns = size.columns, .rows = size.rows, .color = color, .footer = footer});
}

void print_frame(const RunView& run) {
  for (const std::string& line : frame_of(run, "")) std::puts(line.c_str());
}

void update(RunView& run) {
  run.update();
  take_recipe_facts(run);
}

// Until the run ends or its watcher does.
void follow(RunView& run, double every_s) {
  Terminal terminal;
  while (!run.has_ended()) {
    terminal.draw(frame_of(run, "q ends"));
    const Terminal::Event event = terminal.wait(every_s);
    if (event == Terminal::Event::kQuit) return;
    if (event == Terminal::Event::kTime) update(run);
  }
}

void run_watch(const WatchArguments& arguments) {
  RunView run(arguments.run);
  update(run);
  if (can_draw()) follow(run, arguments.every_s);
  print_frame(run);
}

}  // namespace

void add_watch(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<WatchArguments>();
  CLI::App* verb = app.add_subcommand(
      "watch", "A run in the terminal while it goes on; one picture of it where there is none");
  verb->add_option("run", arguments->run, "Run folder, also one of a run on another machine")
      ->required();
  verb->add_option("--every", arguments->every_s, "Seconds between looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->callback([arguments, &exit_code] { run_watch(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
