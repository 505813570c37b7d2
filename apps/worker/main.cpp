// moesaic-worker: the program that runs as each MPI rank, and that the launcher starts for verbs
// that read tensors.
#include <csignal>
#include <cstdio>
#include <exception>

#include "core/error.h"
#include "core/version.h"
#include "verbs.h"

namespace {

std::string version_text() {
  std::string text;
  for (const auto& [name, version] : moesaic::build_versions()) text += name + " " + version + "\n";
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file size limit is an error of the write, not the end of the rank
  CLI::App app(
      "Moesaic worker: one rank of a training job. Usually started by `moesaic`, mpirun or srun.");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  int exit_code = 0;
  moesaic::worker::add_train(app, exit_code);
  moesaic::worker::add_score(app, exit_code);
  moesaic::worker::add_generate(app, exit_code);
  moesaic::worker::add_eval(app, exit_code);
  moesaic::worker::add_inspect(app, exit_code);
  moesaic::worker::add_data(app, exit_code);
  moesaic::worker::add_tokenize(app);
  moesaic::worker::add_import(app, exit_code);
  moesaic::worker::add_export(app, exit_code);
  try {
    app.parse(argc, argv);
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(moesaic::ErrorKind::kUsage);
  } catch (const moesaic::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(moesaic::ErrorKind::kInternal);
  }
}
