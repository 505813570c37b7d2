#include "store/export.h"

#include <cstdio>
#include <memory>

#include "core/json_text.h"
#include "store/shard_plan.h"
#include "threads.h"
#include "verbs.h"

namespace moesaic::worker {

void add_export(CLI::App& app, int&) {
  struct Arguments {
    std::string from;
    std::string to;
    std::string max_shard_size = "5GB";
    ExportOptions options;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("export", "A model becomes a Hugging Face folder");
  verb->add_option("FROM", a->from, "Run folder, checkpoint folder or Hugging Face folder")
      ->required();
  verb->add_option("TO", a->to, "Hugging Face folder to write")->required();
  verb->add_option("--max-shard-size", a->max_shard_size, "Largest size of one file of weights")
      ->capture_default_str();
  verb->add_option("--dtype", a->options.dtype,
                   "keep (that of the folder it came from) | float32 | bfloat16 | float16")
      ->check(CLI::IsMember({"keep", "float32", "bfloat16", "float16"}))
      ->capture_default_str();
  verb->add_option("--base", a->options.base,
                   "Where the model now is that a run with adapters began from (default: where it "
                   "was)");
  verb->add_flag("--overwrite", a->options.overwrite,
                 "Replace what an export or import wrote to TO");
  verb->add_flag("--allow-nonfinite", a->options.allow_nonfinite,
                 "Write weights that are NaN or infinite");
  verb->add_flag("--json", a->json, "Machine output");
  verb->callback([a] {
    use_threads(1, 1);  // the file system is what takes the time
    a->options.max_shard_bytes = parse_size(a->max_shard_size);
    export_model(a->from, a->to, a->options, Log());
    const std::string text = a->json ? json_text({{"from", a->from}, {"to", a->to}}) : a->to;
    std::printf("%s\n", text.c_str());
  });
}

}  // namespace moesaic::worker
