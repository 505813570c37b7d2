#include "store/import.h"

#include <cstdio>
#include <memory>

#include "core/json_text.h"
#include "threads.h"
#include "verbs.h"

namespace moesaic::worker {

void add_import(CLI::App& app, int&) {
  struct Arguments {
    std::string from;
    std::string to;
    ImportOptions options;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "import", "A Hugging Face folder, GGUF file or adapter becomes a checkpoint");
  verb->add_option(
          "FROM", a->from,
          "Folder with config.json and safetensors, or GGUF file; with --base: PEFT folder")
      ->required();
  verb->add_option("TO", a->to, "Checkpoint folder to write")->required();
  verb->add_flag("--overwrite", a->options.overwrite,
                 "Replace what an export or import wrote to TO");
  verb->add_flag("--allow-nonfinite", a->options.allow_nonfinite,
                 "Take weights that are NaN or infinite");
  CLI::Option* base =
      verb->add_option("--base", a->options.base,
                       "FROM is a PEFT folder, an adapter of this model: TO holds the adapter "
                       "alone, as the checkpoint of a run with adapters");
  arch::UpcycleOptions& upcycle = a->options.upcycle;
  CLI::Option* experts =
      verb->add_option("--upcycle", upcycle.num_experts,
                       "Networks of a dense model become so many experts (docs/moe.md)")
          ->check(CLI::Range(2, 65536))
          ->excludes(base);
  verb->add_option("--experts-per-tok", upcycle.num_experts_per_tok, "Experts that a token meets")
      ->needs(experts)
      ->capture_default_str();
  verb->add_option("--granularity", upcycle.granularity, "Experts that one copy is cut into")
      ->needs(experts)
      ->capture_default_str();
  verb->add_option("--noise", upcycle.noise, "Added to the weights, relative to their deviation")
      ->needs(experts)
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--reinit", upcycle.reinit, "Share of the inner units that begin anew")
      ->needs(experts)
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--seed", a->options.seed, "Of routers, noise and new units")->needs(experts);
  verb->add_flag("--json", a->json, "Machine output");
  verb->callback([a] {
    use_threads(1, 1);  // the file system is what takes the time
    import_model(a->from, a->to, a->options, Log());
    const std::string text = a->json ? json_text({{"from", a->from}, {"to", a->to}}) : a->to;
    std::printf("%s\n", text.c_str());
  });
}

}  // namespace moesaic::worker
