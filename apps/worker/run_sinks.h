// Where the rows of metrics of a run go.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "config/recipe.h"
#include "core/log.h"
#include "observe/console_sink.h"
#include "observe/jsonl_sink.h"
#include "observe/tensorboard_sink.h"

namespace moesaic::worker {

struct SinkOptions {
  bool resumed = false;  // the run goes on after the rows of run.step()
};

/// Console, metrics.jsonl and TensorBoard; `run` is a TrainingRun, a FederatedRun or a Coordinator.
/// Chief only.
template <class Run>
void add_sinks(const Recipe& recipe, const SinkOptions& options, const Log& log, Run& run) {
  const char* columns = std::getenv("COLUMNS");
  ConsoleSink::Options console;
  console.log = log;
  console.max_steps = run.max_steps();
  console.terminal = std::getenv("MOESAIC_TERMINAL") != nullptr;
  console.columns = columns != nullptr ? std::max(20, std::atoi(columns)) : 80;
  console.color = std::getenv("NO_COLOR") == nullptr;
  run.add_sink(std::make_unique<ConsoleSink>(console));
  run.add_sink(std::make_unique<JsonlSink>(
      JsonlSink::Options{recipe.run_dir + "/metrics.jsonl", run.step()}));
  if (!recipe.log.tensorboard) return;
  run.add_sink(std::make_unique<TensorBoardSink>(
      TensorBoardSink::Options{recipe.run_dir + "/tensorboard", options.resumed ? run.step() : 0}));
}

}  // namespace moesaic::worker
