// What score, eval and generate share: starting the ranks that compute with a model.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace moesaic::cli {

struct InferenceJob {
  std::string verb;
  std::vector<std::string> arguments;  // of the worker
  std::string device = "cpu";
  int ranks = 1;
  int threads = 0;                             // of a rank, 0 = cores / ranks on the node
  bool gives_stdin = false;                    // the job reads this process's stdin
  std::string less_memory;                     // what a user does who is out of memory
  std::string model = {};                      // as Prometheus hears of it
  std::optional<std::string> prometheus = {};  // port, or path of a file
};

/// What they refer to must outlive the parse.
void add_ranks_option(CLI::App& verb, int& ranks);
void add_prometheus_option(CLI::App& verb, std::optional<std::string>& prometheus);

/// The exit code of the job. Error(kUsage) inside of a job of several tasks.
int run_inference_job(const InferenceJob& job);

}  // namespace moesaic::cli
