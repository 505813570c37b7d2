#include <ATen/Parallel.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "comm/mpi/mpi_world.h"
#include "config/recipe_reader.h"
#include "core/clock.h"
#include "core/fs.h"
#include "device.h"
#include "engine/assemble.h"
#include "engine/run_folder.h"
#include "engine/training_run.h"
#include "observe/console_sink.h"
#include "observe/jsonl_sink.h"
#include "observe/tensorboard_sink.h"
#include "threads.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

struct Arguments {
  std::string recipe;
  std::vector<std::string> overrides;
  std::string resume;
  bool overwrite = false;
};

RunFolder::Mode mode_of(const Arguments& arguments) {
  if (arguments.overwrite) return RunFolder::Mode::kOverwrite;
  return arguments.resume.empty() ? RunFolder::Mode::kFresh : RunFolder::Mode::kResume;
}

// What the launcher's final block is made of. False when it was not written.
bool write_error(const std::string& run_dir, int rank, const Error& error) noexcept {
  if (error.kind() == ErrorKind::kUsage) return false;  // the folder may belong to another job
  try {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const Json record = {{"rank", rank},
                         {"host", host},
                         {"time", unix_time()},
                         {"kind", name_of(error.kind())},
                         {"message", error.what()},
                         {"hint", error.hint()}};
    write_file_atomic(error_file(run_dir, rank),
                      record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return true;
  } catch (const std::exception&) {
    return false;  // the folder is what failed
  }
}

void add_sinks(const Recipe& recipe, const Arguments& arguments, TrainingRun& run) {
  const char* columns = std::getenv("COLUMNS");
  const bool resumed = !arguments.resume.empty();
  ConsoleSink::Options console;
  console.max_steps = run.max_steps();
  console.terminal = std::getenv("MOESAIC_TERMINAL") != nullptr;
  console.columns = columns != nullptr ? std::max(20, std::atoi(columns)) : 80;
  console.color = std::getenv("NO_COLOR") == nullptr;
  run.add_sink(std::make_unique<ConsoleSink>(console));
  run.add_sink(std::make_unique<JsonlSink>(
      JsonlSink::Options{recipe.run_dir + "/metrics.jsonl", run.step()}));
  if (!recipe.log.tensorboard) return;
  run.add_sink(std::make_unique<TensorBoardSink>(
      TensorBoardSink::Options{recipe.run_dir + "/tensorboard", resumed ? run.step() : 0}));
}

int train(const Recipe& recipe, const Arguments& arguments, const MpiSession& session,
          StopSignal& stop) {
  std::unique_ptr<RunFolder> folder;
  if (session.rank() == 0) folder = std::make_unique<RunFolder>(recipe.run_dir, mode_of(arguments));
  const CommOptions comm{recipe.parallel.timeout_s, recipe.log.check_collectives};
  session.world(comm, {}).barrier(
      "run folder");  // from here on there is a folder for logs and watchdog
  const Communicator host = session.world(comm, {.folder = logs_folder(recipe.run_dir)});
  const auto [device, world] = open_device(recipe.parallel.device, host, session, comm);
  const Log log({.rank = session.rank(),
                 .file = log_file(recipe.run_dir, session.rank()),
                 .console = session.rank() == 0});
  const int threads = use_threads(recipe.parallel.threads_per_rank, session.local_size());
  const arch::Options arch = architecture_of(recipe);
  const Plan plan =
      Plan::make(world.size(), static_cast<int>(recipe.parallel.expert), arch.num_experts);
  const RankContext context = RankContext::make(world, plan, log, device);
  log.info("run       {}, {} threads a rank", recipe.run_dir, threads);

  TrainingRun run(recipe, context, {.resume = arguments.resume});
  if (context.is_chief()) {
    write_file_atomic(recipe.run_dir + "/recipe.yaml", to_yaml(recipe));
    add_sinks(recipe, arguments, run);
  }
  const int exit_code = run.run(stop);
  world.barrier("end");
  return exit_code;
}

[[noreturn]] void end_job(const Recipe& recipe, const MpiSession& session, const Error& error) {
  const bool launcher_tells = write_error(recipe.run_dir, session.rank(), error) &&
                              std::getenv("MOESAIC_LAUNCHER") != nullptr;
  if (!launcher_tells) {
    std::fprintf(stderr, "rank %d: error: %s\n", session.rank(), error.what());
    if (!error.hint().empty())
      std::fprintf(stderr, "rank %d: hint: %s\n", session.rank(), error.hint().c_str());
  }
  session.abort(error.exit_code());
}

// The only place that catches: one failing rank ends the whole job.
int run_rank(const Arguments& arguments) {
  StopSignal stop;  // before MPI starts threads
  const MpiSession session;
  const Recipe recipe = require_recipe(arguments.recipe, arguments.overrides, session.size());
  try {
    return train(recipe, arguments, session, stop);
  } catch (const Error& error) {
    end_job(recipe, session, error);
  } catch (const std::bad_alloc&) {
    end_job(recipe, session,
            Error(ErrorKind::kDevice, "out of memory",
                  "lower train.micro_batch_size or use more ranks"));
  } catch (const std::exception& error) {
    end_job(recipe, session, Error(ErrorKind::kInternal, error.what()));
  }
}

}  // namespace

void add_train(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("train", "Train as one rank of an MPI job");
  verb->add_option("recipe", arguments->recipe, "Recipe file")->required();
  verb->add_option("overrides", arguments->overrides, "KEY=VALUE ...");
  verb->add_option("--resume", arguments->resume, "auto, or a checkpoint or run folder");
  verb->add_flag("--overwrite", arguments->overwrite, "Empty the run folder first");
  verb->callback([arguments, &exit_code] { exit_code = run_rank(*arguments); });
}

}  // namespace moesaic::worker
