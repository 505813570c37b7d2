#include "engine/run_files.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

#include "config/model_config.h"
#include "config/recipe_reader.h"
#include "config/tasks.h"
#include "core/file_glob.h"
#include "core/fs.h"
#include "core/path.h"
#include "store/checkpoint_folder.h"

namespace moesaic {
namespace {

constexpr ErrorKind kUnreadable = ErrorKind::kCheckpoint;
constexpr std::string_view kFirstLine = "# The complete recipe of a run; moesaic train wrote it.\n";

/// `begin`, a digit, anything, and one of the ends; files that were being written end in .tmp too.
bool is_numbered(std::string name, std::string_view begin,
                 std::initializer_list<std::string_view> ends) {
  if (name.ends_with(".tmp")) name.resize(name.size() - 4);
  return name.starts_with(begin) && name.size() > begin.size() &&
         std::isdigit(static_cast<unsigned char>(name[begin.size()])) != 0 &&
         std::any_of(ends.begin(), ends.end(), [&](auto end) { return name.ends_with(end); });
}

template <class Wanted>
void add_files(const std::string& folder, const Wanted& wanted, std::vector<std::string>& files) {
  if (!is_folder(folder, kUnreadable) || !link_target(folder).empty()) return;
  for (const std::string& name : names_in(folder, kUnreadable)) {
    const std::string path = folder + "/" + name;
    if (wanted(name) && is_file(path, kUnreadable)) files.push_back(path);
  }
}

bool is_at_top(const std::string& name) {
  for (const char* own : {"metrics.jsonl", "metrics.prom", "report.html", "restarts.jsonl",
                          "routing.png", "tasks.json", "tasks.h5", "tasks.png"})
    if (name == own || name == own + std::string(".tmp")) return true;
  return is_numbered(name, "trace-", {".json"});
}

bool is_log(const std::string& name) {
  return is_numbered(name, "rank-", {".log", ".state"}) ||
         is_numbered(name, "error.rank-", {".json"}) || is_numbered(name, "stacks-", {".txt"});
}

// Of a federation across sites: what a coordinator keeps of its rounds, and what is on its way.
bool is_of_round(const std::string& name) {
  return name == "journal.jsonl" || is_numbered(name, "round-", {".safetensors"});
}
bool is_under_way(const std::string& name) {
  for (const char* own : {"start", "model", "change", "masked"})
    if (name == own + std::string(".safetensors")) return true;
  return name == "answer.json" || is_numbered(name, "round-", {".safetensors"});
}

// Other programs write files of events too; ours say their second and its fraction.
bool is_events(const std::string& name) {
  constexpr std::string_view kBegin = "events.out.tfevents.";
  constexpr std::size_t kSecond = 10, kFraction = 6;
  if (!name.starts_with(kBegin)) return false;
  const std::string rest = name.substr(kBegin.size());
  return rest.size() > kSecond + kFraction + 1 && rest.find_first_not_of("0123456789") == kSecond &&
         rest.find_first_not_of("0123456789", kSecond + 1) == kSecond + 1 + kFraction;
}

// What silos of a federation keep between rounds.
void add_silos(const std::string& folder, std::vector<std::string>& files) {
  if (!is_folder(folder, kUnreadable) || !link_target(folder).empty()) return;
  for (const std::string& name : names_in(folder, kUnreadable)) {
    for (std::string& file : files_of_checkpoints(format("{}/{}/checkpoints", folder, name)))
      files.push_back(std::move(file));
  }
}

// Every line of `text`, in order, is one of the recipe as it is written now, which has more keys.
bool is_complete(const std::string& text, const std::string& path) {
  try {
    std::istringstream lines(text);
    std::istringstream all(to_yaml(recipe_from_yaml(text, path)));
    for (std::string line, now; std::getline(lines, line);) {
      do {
        if (!std::getline(all, now)) return false;
      } while (now != line);
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

// What recipes of runs have always had, as complete as they were, and without a comment.
bool has_first_sections(const std::string& text) {
  const std::string lines = "\n" + text;
  if (lines.find("\n#") != std::string::npos) return false;
  const auto is_there = [&](const char* section) {
    return lines.find(format("\n{}:", section)) != std::string::npos;
  };
  constexpr const char* kSections[] = {
      "name", "seed",      "run_dir",  "model",    "tokenizer",  "data", "train",
      "moe",  "optimizer", "schedule", "parallel", "checkpoint", "eval", "log"};
  return std::all_of(std::begin(kSections), std::end(kSections), is_there);
}

// Whether all files below `folder` are of `own`, which is sorted, or in the folder `cache`.
bool has_only(const std::string& folder, const std::vector<std::string>& own,
              const std::string& cache) {
  const std::vector<std::string> names = names_in(folder, kUnreadable);
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    const std::string path = folder + "/" + name;
    if (link_target(path).empty() && is_folder(path, kUnreadable))
      return path == cache || has_only(path, own, cache);
    return std::binary_search(own.begin(), own.end(), path);
  });
}

// Metrics, a whole checkpoint, and nothing that no run writes; a token cache may hold anything.
bool has_all_of_run_alone(const std::string& run_dir) {
  const std::vector<FoundCheckpoint> saved = list_checkpoints(run_dir + "/checkpoints");
  const bool is_run = is_file(run_dir + "/metrics.jsonl", kUnreadable) &&
                      std::any_of(saved.begin(), saved.end(),
                                  [](const auto& one) { return one.sequence.has_value(); });
  if (!is_run) return false;
  std::vector<std::string> own = files_of_run(run_dir);
  add_files(
      run_dir, [](const auto& name) { return name == ".lock" || name == "recipe.yaml"; }, own);
  std::sort(own.begin(), own.end());
  return has_only(run_dir, own, run_dir + "/cache");
}

void add_data(const std::vector<SourceOptions>& sources, std::vector<std::string>& inputs) {
  const Log quiet({.console = false});
  for (const SourceOptions& source : sources) {
    if (source.labels) inputs.push_back(*source.labels);
    try {
      for (std::string& file : expand_files(source.path, quiet)) inputs.push_back(std::move(file));
    } catch (const Error&) {  // told when the data are opened
    }
  }
}

}  // namespace

std::string logs_folder(const std::string& run_dir) { return run_dir + "/logs"; }
std::string log_file(const std::string& run_dir, int rank) {
  return format("{}/rank-{}.log", logs_folder(run_dir), rank);
}
std::string error_file(const std::string& run_dir, int rank) {
  return format("{}/error.rank-{}.json", logs_folder(run_dir), rank);
}
std::string recipe_file(const std::string& run_dir) { return run_dir + "/recipe.yaml"; }

void write_run_recipe(const Recipe& recipe) {
  write_file_atomic(recipe_file(recipe.run_dir), std::string(kFirstLine) + to_yaml(recipe));
}

bool holds_run(const std::string& run_dir) {
  const std::string path = recipe_file(run_dir);
  if (!is_file(path, kUnreadable)) return false;
  const std::string text = read_file(path, kUnreadable, 16U << 20);
  if (text.starts_with(kFirstLine)) return true;
  if (!is_file(log_file(run_dir, 0), kUnreadable)) return false;
  return is_complete(text, path) || (has_first_sections(text) && has_all_of_run_alone(run_dir));
}

std::vector<std::string> files_of_run(const std::string& run_dir) {
  std::vector<std::string> files;
  add_files(run_dir, is_at_top, files);
  add_files(logs_folder(run_dir), is_log, files);
  add_files(run_dir + "/tensorboard", is_events, files);
  for (std::string& file : files_of_checkpoints(run_dir + "/checkpoints"))
    files.push_back(std::move(file));
  add_silos(run_dir + "/silos", files);
  add_files(run_dir + "/rounds", is_of_round, files);
  add_files(run_dir + "/exchange", is_under_way, files);
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> inputs_of(const Recipe& recipe, const std::string& recipe_path) {
  std::vector<std::string> inputs = {recipe_path};
  for (const SourceList& list : source_lists(recipe)) add_data(list.sources, inputs);
  for (const char* name : {"", "/tokenizer.json", "/tokenizer_config.json"}) {
    const std::string file = recipe.tokenizer + name;
    if (is_file(file, ErrorKind::kRecipe)) inputs.push_back(file);
  }
  if (recipe.model.from) {
    if (const auto config = find_model_config(*recipe.model.from)) inputs.push_back(*config);
  }
  return inputs;
}

}  // namespace moesaic
