// moesaic-worker: the program that runs as each MPI rank, and that the launcher starts for verbs
// that read tensors.
#include <string>

#include "common/program.h"
#include "core/error.h"
#include "core/version.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

std::string version_text() {
  std::string text;
  for (const auto& [name, version] : build_versions()) text += name + " " + version + "\n";
  return text;
}

int run(int argc, char** argv) {
  // The launcher becomes it for some verbs: their help shows the command that was given.
  CLI::App app(
      "Moesaic worker: one rank of a training job. Usually started by `moesaic`, mpirun or srun.",
      "moesaic");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  int exit_code = 0;
  for (const auto add : {add_train, add_score, add_generate, add_eval, add_importance, add_federate,
                         add_inspect, add_data, add_tasks, add_tokenize, add_import, add_export}) {
    add(app, exit_code);
  }
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace moesaic::worker

int main(int argc, char** argv) {
  return moesaic::run_program([&] { return moesaic::worker::run(argc, argv); });
}
