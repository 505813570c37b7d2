#include <cstdio>
#include <memory>

#include "core/json_text.h"
#include "store/inspect.h"
#include "verbs.h"

namespace moesaic::worker {

void add_inspect(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("inspect", "What a run, checkpoint or file of weights holds");
  verb->add_option("path", *path,
                   "Run, checkpoint or Hugging Face folder, .h5, .safetensors or GGUF file")
      ->required();
  verb->add_flag("--json", *json, "Machine output");
  verb->callback([path, json, &exit_code] {
    const Json inspected = inspect_path(*path);
    std::fputs((*json ? json_text(inspected, 2) + "\n" : inspect_text(inspected)).c_str(), stdout);
    if (!inspected.at("whole").get<bool>()) exit_code = static_cast<int>(ErrorKind::kCheckpoint);
  });
}

}  // namespace moesaic::worker
