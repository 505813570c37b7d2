// The verbs of `moesaic-worker`, one source file each: what needs LibTorch, MPI or HDF5.
#pragma once

#include <CLI/CLI.hpp>

namespace moesaic::worker {

void add_train(CLI::App& app, int& exit_code);
void add_score(CLI::App& app, int& exit_code);
void add_generate(CLI::App& app, int& exit_code);
void add_eval(CLI::App& app, int& exit_code);
void add_importance(CLI::App& app, int& exit_code);
void add_federate(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_data(CLI::App& app, int& exit_code);
void add_tasks(CLI::App& app, int& exit_code);
void add_tokenize(CLI::App& app, int& exit_code);
void add_import(CLI::App& app, int& exit_code);
void add_export(CLI::App& app, int& exit_code);

}  // namespace moesaic::worker
