// moesaic schema: every recipe key, its type, default and meaning.
#include <cstdio>
#include <memory>

#include "verbs.h"
#include "config/schema_text.h"

namespace moesaic::cli {
namespace {

struct SchemaArguments {
  bool markdown = false;
  bool json = false;
};

void run_schema(const SchemaArguments& arguments) {
  const std::string text = arguments.json       ? schema_json().dump(2) + "\n"
                           : arguments.markdown ? schema_markdown()
                                                : schema_table();
  std::fputs(text.c_str(), stdout);
}

}  // namespace

void add_schema(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<SchemaArguments>();
  CLI::App* verb = app.add_subcommand("schema", "Every recipe key: type, default, meaning");
  CLI::Option* markdown =
      verb->add_flag("--markdown", arguments->markdown, "As docs/recipe-reference.md");
  verb->add_flag("--json", arguments->json, "Machine output")->excludes(markdown);
  verb->callback([arguments, &exit_code] { run_schema(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
