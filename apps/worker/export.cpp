#include "store/export.h"

#include <cstdio>
#include <memory>

#include "common/without_effect.h"
#include "core/json_text.h"
#include "store/export_adapter.h"
#include "store/shard_plan.h"
#include "threads.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

struct ExportArguments {
  std::string from;
  std::string to;
  std::string max_shard_size = "5GB";
  std::string expert_layout = "per_expert";
  ExportOptions options;
  bool only_adapter = false;
  bool json = false;
};

void add_options(CLI::App& verb, ExportArguments& a) {
  verb.add_option(
          "FROM", a.from,
          "Run folder, checkpoint folder or Hugging Face folder; with --adapter alone: PEFT "
          "folder")
      ->required();
  verb.add_option("TO", a.to, "Hugging Face folder to write; with --adapter alone: PEFT folder")
      ->required();
  verb.add_option("--max-shard-size", a.max_shard_size, "Largest size of one file of weights")
      ->capture_default_str();
  verb.add_option("--dtype", a.options.dtype,
                  "keep (that of the folder it came from) | float32 | bfloat16 | float16")
      ->check(CLI::IsMember({"keep", "float32", "bfloat16", "float16"}))
      ->capture_default_str();
  verb.add_option("--base", a.options.base,
                  "Where the model now is that a run with adapters, or a PEFT folder, belongs to "
                  "(default: where it says)");
  verb.add_flag("--overwrite", a.options.overwrite, "Replace what an export or import wrote to TO");
  verb.add_flag("--allow-nonfinite", a.options.allow_nonfinite,
                "Write weights that are NaN or infinite");
  verb.add_flag("--json", a.json, "Machine output");
}

// With a value: what is merged into the model. Alone: the adapter is what is exported.
CLI::Option* add_adapter_options(CLI::App& verb, ExportArguments& a) {
  CLI::Option* adapter =
      verb.add_option("--adapter", a.options.adapter,
                      "PATH: merge this adapter into the model; alone: write the adapter FROM "
                      "as a PEFT folder")
          ->expected(0, 1);
  verb.add_option("--expert-layout", a.expert_layout,
                  "Of the pairs of routed experts in a PEFT folder: per_expert | fused")
      ->needs(adapter)
      ->check(CLI::IsMember({"per_expert", "fused"}))
      ->capture_default_str();
  return adapter;
}

void warn_of_effects(const ExportArguments& a) {
  const ExportArguments defaults;
  const bool of_model = a.options.dtype != defaults.options.dtype || a.options.allow_nonfinite ||
                        a.max_shard_size != defaults.max_shard_size;
  warn_without_effect(a.only_adapter && of_model, "--dtype, --max-shard-size and --allow-nonfinite",
                      "an adapter is written as it is, in one file");
  const bool of_adapter = a.expert_layout != defaults.expert_layout || a.options.base;
  warn_without_effect(!a.only_adapter && of_adapter, "--expert-layout and --base",
                      "--adapter has a path, so a merged model is written");
}

void run_export(const ExportArguments& a) {
  if (!a.only_adapter) return export_model(a.from, a.to, a.options, Log());
  const bool fused = a.expert_layout == "fused";
  export_adapter(a.from, a.to,
                 {.base = a.options.base.value_or(""),
                  .layout = fused ? ExpertLayout::kFused : ExpertLayout::kPerExpert,
                  .overwrite = a.options.overwrite});
}

}  // namespace

void add_export(CLI::App& app, int&) {
  auto a = std::make_shared<ExportArguments>();
  CLI::App* verb = app.add_subcommand("export", "A model becomes a Hugging Face folder");
  add_options(*verb, *a);
  const CLI::Option* adapter = add_adapter_options(*verb, *a);
  verb->callback([a, adapter] {
    use_threads(1, 1);  // the file system is what takes the time
    a->options.max_shard_bytes = parse_size(a->max_shard_size);
    a->only_adapter = adapter->count() > 0 && a->options.adapter.empty();
    warn_of_effects(*a);
    run_export(*a);
    const std::string text = a->json ? json_text({{"from", a->from}, {"to", a->to}}) : a->to;
    std::printf("%s\n", text.c_str());
  });
}

}  // namespace moesaic::worker
