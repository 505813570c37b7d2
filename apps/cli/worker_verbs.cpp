// The verbs that moesaic-worker does, because they read tensors or HDF5: this process becomes it.
#include "launch_command.h"
#include "process.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

// Every argument after the verb goes on unread, -h too: the worker knows its options.
void add_worker_verb(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->prefix_command();
  verb->set_help_flag();
  verb->callback([verb, name] {
    Command command{{worker_program(), name}, {}};
    for (const std::string& argument : verb->remaining()) command.argv.push_back(argument);
    replace_process(command);
  });
}

}  // namespace

void add_inspect(CLI::App& app, int&) {
  add_worker_verb(app, "inspect",
                  "What a run, checkpoint or file of weights holds: names, shapes, digests");
}

void add_data(CLI::App& app, int&) {
  add_worker_verb(app, "data", "Token files and splits: build, inspect, split");
}

void add_tokenize(CLI::App& app, int&) {
  add_worker_verb(app, "tokenize", "Standard input to token ids, or back");
}

void add_import(CLI::App& app, int&) {
  add_worker_verb(app, "import", "FROM TO: a Hugging Face folder becomes a checkpoint");
}

void add_export(CLI::App& app, int&) {
  add_worker_verb(app, "export", "FROM TO: a model becomes a Hugging Face folder");
}

}  // namespace moesaic::cli
