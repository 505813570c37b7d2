// moesaic: the command line. It starts at once: no LibTorch, MPI or HDF5 is loaded here.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/program.h"
#include "core/error.h"
#include "core/version.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

constexpr int kUsage = static_cast<int>(ErrorKind::kUsage);

std::string version_text() {
  std::string text;
  for (const auto& [name, version] : build_versions()) text += name + " " + version + "\n";
  text.pop_back();
  return text;
}

void add_verbs(CLI::App& app, int& exit_code) {
  for (const auto add :
       {add_train, add_score, add_eval, add_importance, add_generate, add_tasks, add_plan,
        add_validate, add_recipes, add_schema, add_data, add_tokenize, add_inspect, add_import,
        add_export, add_privacy, add_federate, add_doctor}) {
    add(app, exit_code);
  }
}

// CLI11 calls a mistyped verb an unexpected argument; the nearest verb says more.
void check_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  if (word.starts_with('-') || std::find(verbs.begin(), verbs.end(), word) != verbs.end()) return;
  const std::string near = nearest(word, verbs);
  throw Error(ErrorKind::kUsage,
              format("'{}' is no verb of moesaic{}", word,
                     near.empty() ? "" : format(" (did you mean '{}'?)", near)),
              format("one of {}", join(verbs, ", ")));
}

int run_verb(int argc, char** argv) {
  CLI::App app("Moesaic trains Mixture-of-Experts language models on MPI ranks.", "moesaic");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  app.footer("moesaic VERB -h says more about a verb.");
  int exit_code = 0;
  add_verbs(app, exit_code);
  if (argc < 2) {
    std::fputs(app.help().c_str(), stdout);
    return kUsage;
  }
  check_verb(app, argv[1]);
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
}

}  // namespace
}  // namespace moesaic::cli

int main(int argc, char** argv) {
  return moesaic::run_program([&] { return moesaic::cli::run_verb(argc, argv); });
}
