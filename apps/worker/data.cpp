#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/without_effect.h"
#include "config/recipe_reader.h"
#include "core/json_text.h"
#include "data/corpus.h"
#include "data/inspect.h"
#include "data/inspect_data.h"
#include "data/split.h"
#include "data/tokenizer.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

void print(const Json& inspected, bool json) {
  std::fputs((json ? json_text(inspected, 2) + "\n" : readable_token_file(inspected)).c_str(),
             stdout);
}

void add_build(CLI::App& data) {
  auto options = std::make_shared<BuildOptions>();
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = data.add_subcommand("build", "Corpora to one token file");
  verb->add_option("inputs", options->inputs, "Files or globs")->required();
  verb->add_option("--output,-o", options->output, "Token file to write (FILE.tokens)")->required();
  verb->add_option("--format", options->format,
                   "auto (by what the files hold) | text | jsonl | tokens | prompt_completion | "
                   "chat")
      ->check(CLI::IsMember({"auto", "text", "jsonl", "tokens", "prompt_completion", "chat"}))
      ->capture_default_str();
  verb->add_option("--tokenizer", options->encode.tokenizer,
                   "byte, a tokenizer.json, or a folder with one")
      ->capture_default_str();
  verb->add_option("--chat-template", options->encode.chat_template,
                   "Jinja file that writes conversations as text (default: the tokenizer's own)");
  verb->add_option("--loss-on", options->encode.loss_on,
                   "auto (completion for prompt_completion and chat) | all | completion")
      ->check(CLI::IsMember({"auto", "all", "completion"}))
      ->capture_default_str();
  verb->add_option("--on-error", options->encode.on_error,
                   "What a line that cannot be read does: stop | skip")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  verb->add_flag("--users", options->encode.owners,
                 "Keep whose each document is: the key \"user\" of its line (privacy.unit: user)");
  verb->add_option("--threads", options->threads, "That tokenise (default: all cores)")
      ->check(CLI::Range(1, 4096));
  verb->add_flag("--json", *json, "Machine output");
  verb->callback([options, json] {
    warn_without_effect(options->format == "tokens" && options->threads > 0, "--threads",
                        "--format is tokens: there is no text to tokenise");
    print(build_output(*options, Log()), *json);
  });
}

struct InspectArguments {
  std::vector<std::string> given;  // a token file, or KEY=VALUE for the recipe
  std::string tokenizer;
  std::string recipe;
  bool json = false;
};

void inspect_recipe(const InspectArguments& arguments) {
  warn_without_effect(!arguments.tokenizer.empty(), "--tokenizer", "the recipe names one");
  for (const std::string& text : arguments.given)
    MOESAIC_CHECK(text.find('=') != std::string::npos, ErrorKind::kUsage,
                  "data inspect counts a token file or what --recipe names, not both: beside a "
                  "recipe it takes KEY=VALUE, got '{}'",
                  text);
  const Json counts = inspect_data(require_recipe(arguments.recipe, arguments.given), Log());
  std::fputs((arguments.json ? json_text(counts, 2) + "\n" : readable_data(counts)).c_str(),
             stdout);
}

void add_inspect_verb(CLI::App& data, int& exit_code) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* verb =
      data.add_subcommand("inspect", "What a token file holds, or the training data of a recipe");
  verb->add_option("FILE|KEY=VALUE", arguments->given,
                   "Token file; with --recipe, settings that go before those of the recipe");
  verb->add_option("--recipe", arguments->recipe,
                   "In place of a token file: the recipe whose data.train is counted, as the "
                   "recipe makes sequences of it");
  verb->add_option("--tokenizer", arguments->tokenizer,
                   "That it was made with, to show how it begins as text: byte, a tokenizer.json, "
                   "or a folder with one");
  verb->add_flag("--json", arguments->json, "Machine output");
  verb->callback([arguments, &exit_code] {
    if (!arguments->recipe.empty()) return inspect_recipe(*arguments);
    MOESAIC_CHECK(arguments->given.size() == 1, ErrorKind::kUsage,
                  "data inspect needs one token file, or a recipe by --recipe");
    const auto tokenizer =
        arguments->tokenizer.empty() ? nullptr : make_tokenizer(arguments->tokenizer);
    const Json inspected = inspect_token_file(arguments->given.front(), tokenizer.get());
    print(inspected, arguments->json);
    if (!inspected.at("digest_ok").get<bool>()) exit_code = static_cast<int>(ErrorKind::kData);
  });
}

void add_split(CLI::App& data) {
  auto options = std::make_shared<SplitOptions>();
  auto json = std::make_shared<bool>(false);
  CLI::App* verb = data.add_subcommand("split", "One JSONL corpus as the data of several silos");
  verb->add_option("source", options->source, "File or glob of JSONL")->required();
  verb->add_option("--parts", options->parts, "Parts to make")
      ->required()
      ->check(CLI::Range(1, 500));
  verb->add_option("--by", options->by,
                   "quantity (parts of unequal size) | label (each value of the field in one part) "
                   "| dirichlet (unequal shares of each value) | field (as label, by --field)")
      ->check(CLI::IsMember({"quantity", "label", "dirichlet", "field"}))
      ->required();
  CLI::Option* field =
      verb->add_option("--field", options->field, "Key of a line that holds its value")
          ->capture_default_str();
  CLI::Option* alpha =
      verb->add_option("--alpha", options->alpha,
                       "Of the Dirichlet distribution: the smaller, the more unequal")
          ->check(CLI::Range(1e-3, 1e6))
          ->capture_default_str();
  verb->add_option("--seed", options->seed, "Of the draws")->capture_default_str();
  verb->add_option("--output,-o", options->output, "Folder to write")->required();
  verb->add_flag("--json", *json, "Machine output: split.json");
  verb->callback([options, json, field, alpha] {
    const bool drawn = options->by == "quantity" || options->by == "dirichlet";
    MOESAIC_CHECK(options->by != "field" || field->count() > 0, ErrorKind::kUsage,
                  "data split --by field needs --field NAME, the key of a line");
    warn_without_effect(field->count() > 0 && options->by == "quantity", "--field",
                        "--by quantity looks at no field");
    warn_without_effect(alpha->count() > 0 && !drawn, "--alpha",
                        "only --by quantity and --by dirichlet draw sizes");
    const Json split = split_corpus(*options, Log());
    std::fputs((*json ? json_text(split, 2) + "\n" : readable_split(split)).c_str(), stdout);
  });
}

}  // namespace

void add_data(CLI::App& app, int& exit_code) {
  CLI::App* data = app.add_subcommand("data", "Token files, and splits of corpora");
  data->require_subcommand(1);
  add_build(*data);
  add_inspect_verb(*data, exit_code);
  add_split(*data);
}

}  // namespace moesaic::worker
