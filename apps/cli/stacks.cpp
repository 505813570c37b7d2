#include "stacks.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>

#include "core/format.h"
#include "machine.h"
#include "process.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

constexpr double kLeastSeconds = 0.5;  // no debugger is quicker

// Of a file that has no size, as all in /proc; "" where it may not be read.
std::string proc_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string lines_that_begin(const std::string& text, std::initializer_list<const char*> words) {
  std::istringstream lines(text);
  std::string found;
  for (std::string line; std::getline(lines, line);)
    for (const char* word : words)
      if (line.starts_with(word)) found += line + "\n";
  return found;
}

std::string by_kernel(pid_t process) {
  const std::string folder = format("/proc/{}", process);
  std::string text =
      lines_that_begin(proc_text(folder + "/status"), {"Name:", "State:", "VmRSS:", "Threads:"});
  std::error_code ended;
  for (fs::directory_iterator task(folder + "/task", ended), end; !ended && task != end;
       task.increment(ended)) {
    const std::string path = task->path().string();
    const std::string state = lines_that_begin(proc_text(path + "/status"), {"State:"});
    text += format("thread {}: {}, waits in {}\n", task->path().filename().string(),
                   state.substr(0, state.find('\n')), proc_text(path + "/wchan"));
    text += proc_text(path + "/stack");  // for root alone
  }
  return text;
}

Command debugger_of(pid_t process) {
  const std::string number = format("{}", process);
  if (const std::string program = find_on_path("eu-stack"); !program.empty())
    return {{program, "-p", number, "-n", "64"}, {}};
  if (const std::string program = find_on_path("gdb"); !program.empty())
    return {{program, "-batch", "-nx", "-p", number, "-ex", "thread apply all backtrace 64"}, {}};
  return {};
}

}  // namespace

std::string StackReader::by_debugger(pid_t process) const {
  const Command command = debugger_of(process);
  if (command.argv.empty()) return "(no debugger: neither eu-stack nor gdb is on the PATH)\n";
  const double left_s = budget_s_ - spent_.seconds();
  if (left_s < kLeastSeconds) return "(no time is left for a debugger)\n";
  const Captured said = run_captured(command, left_s);
  const bool useful = said.output.find('#') != std::string::npos;  // of a frame: "#0  ..."
  if (useful) return said.output;
  return format("({} {})\n", command.argv.front(),
                said.exit_code < 0 ? "was not done in time" : "may not look into it");
}

std::string StackReader::read(pid_t process) const {
  return by_kernel(process) + by_debugger(process);
}

}  // namespace moesaic::cli
