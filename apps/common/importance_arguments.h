// The options of `importance`, of the launcher and of the worker.
#pragma once

#include "common/inference_arguments.h"

namespace moesaic {

struct ImportanceArguments {
  ModelArguments model;
  std::string recipe;          // whose data, labels and precision are taken
  std::string output;          // HDF5 file
  std::string method = "ewc";  // ewc | mas
  bool not_private = false;    // of data under a ledger (recipe: privacy)
  bool json = false;
};

/// `arguments` must outlive the parse.
void add_importance_arguments(CLI::App& verb, ImportanceArguments& arguments);
/// As the worker reads them.
std::vector<std::string> to_argv(const ImportanceArguments& arguments);

}  // namespace moesaic
