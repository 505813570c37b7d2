#include "limits.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>

#include "config/recipe_reader.h"
#include "config/training_table.h"
#include "core/format.h"
#include "plan_report.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

std::string limit_gib(double bytes) {
  const double gib = bytes / (1024.0 * 1024.0 * 1024.0);
  return gib < 1000 ? format("{:.3g} GiB", gib) : format("{:.0f} GiB", gib);
}

void warn_of_limit(const std::string& text) {
  std::fputs(("warning: " + text + "\n").c_str(), stderr);
}

double bytes_of_one(const Recipe& recipe) {
  Recipe alone = recipe;  // whose one rank holds everything
  alone.federated.reset();
  alone.parallel.ranks = alone.parallel.expert = 1;
  alone.parallel.shard_optimizer = false;
  const Json plan = plan_json(alone);
  const std::int64_t master_bytes = recipe.train.precision == "float64" ? 8 : 4;
  const bool shortened = recipe.checkpoint.dtype == "bfloat16";  // masters lie beside
  double bytes = plan.at("rank_optimizer_bytes").get<double>() +
                 plan.at("rank_remembered_bytes").get<double>();
  for (const arch::ParameterInfo& info : training_table(recipe, architecture_of(recipe))) {
    if (!is_saved(recipe, info)) continue;
    bytes += static_cast<double>(info.bytes(master_bytes));
    if (shortened) bytes += 2.0 * static_cast<double>(info.numel());
  }
  return bytes;
}

std::int64_t most_at_once(const Recipe& recipe) {
  const CheckpointOptions& checkpoint = recipe.checkpoint;
  std::int64_t most = checkpoint.keep + 1;
  if (checkpoint.every_steps == 0) most = 1;
  if (checkpoint.every_steps > 0 && recipe.train.max_steps)
    most = std::min(most, *recipe.train.max_steps / checkpoint.every_steps + 1);
  return most + (checkpoint.best ? 1 : 0);
}

// What runs before have left there: it is replaced.
double bytes_below(const std::string& folder) {
  double bytes = 0;
  std::error_code code;
  fs::recursive_directory_iterator item(folder, code), end;
  for (; !code && item != end; item.increment(code)) {
    std::error_code of_file;
    if (!item->is_regular_file(of_file)) continue;
    const std::uintmax_t size = item->file_size(of_file);
    if (!of_file) bytes += static_cast<double>(size);
  }
  return bytes;
}

// Where the folder is or will be; below 0 where it is not known.
double free_disk_bytes(const std::string& folder) {
  std::error_code code;
  fs::path path = fs::absolute(folder, code);
  while (!code && !fs::exists(path, code) && path.has_parent_path() && path != path.parent_path())
    path = path.parent_path();
  const fs::space_info space = fs::space(path, code);
  return code ? -1 : static_cast<double>(space.available);
}

void warn_of_memory(const Recipe& recipe, const Machine& machine) {
  if (recipe.parallel.device != "cpu") return;  // the plan's is the device's
  const double free = available_memory_bytes();
  const std::int64_t ranks = (recipe.parallel.ranks + machine.nodes - 1) / machine.nodes;
  const double of_rank = plan_json(recipe).at("rank_memory_bytes").get<double>();
  const double needed = of_rank * static_cast<double>(ranks);
  if (free <= 0 || needed <= free) return;
  warn_of_limit(
      format("memory: {} about {} here ({} each), and {} are available: the run may be "
             "killed; train.checkpoint_activations, a smaller train.micro_batch_size, "
             "parallel.shard_optimizer or more machines help (docs/memory.md)",
             ranks == 1 ? std::string("1 rank needs") : format("{} ranks need", ranks),
             limit_gib(needed), limit_gib(of_rank), limit_gib(free)));
}

void warn_of_disk(const Recipe& recipe) {
  const double needed = checkpoints_bytes(recipe);
  const double free = free_disk_bytes(recipe.run_dir);
  if (free < 0 || needed <= free) return;
  const double usable = free + bytes_below(recipe.run_dir + "/checkpoints");
  if (needed <= usable) return;
  warn_of_limit(
      format("disk: the checkpoints of the run take up to about {} ({} of {}), and {} are free for "
             "{}: free some, or lower checkpoint.keep",
             limit_gib(needed), most_at_once(recipe), limit_gib(bytes_of_one(recipe)),
             limit_gib(usable), recipe.run_dir));
}

}  // namespace

double checkpoints_bytes(const Recipe& recipe) {
  const bool saves =
      recipe.checkpoint.every_steps > 0 || recipe.checkpoint.final || recipe.checkpoint.best;
  return saves ? bytes_of_one(recipe) * static_cast<double>(most_at_once(recipe)) : 0.0;
}

void warn_of_limits(const Recipe& recipe, const Machine& machine) {
  warn_of_memory(recipe, machine);
  warn_of_disk(recipe);
}

}  // namespace moesaic::cli
