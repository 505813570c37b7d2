// moesaic report: what happened in runs, as one HTML file, and its pictures as SVG files.
#include <cstdio>
#include <memory>

#include "core/error.h"
#include "core/fs.h"
#include "observe/report_data.h"
#include "observe/report_page.h"
#include "observe/svg_pictures.h"
#include "recipe_facts.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

constexpr std::size_t kMostRuns = 50;

struct ReportArguments {
  std::vector<std::string> runs;
  std::string output;
  std::string svg;  // folder, "" = no files of pictures
};

void warn_of(const RunView& run) {
  for (const std::string& remark : run.remarks())
    std::fputs(format("warning: {}: {}\n", run.folder(), remark).c_str(), stderr);
}

void write_pictures(const Json& data, const std::string& folder) {
  make_folder(folder);
  for (const SvgPicture& picture : svg_pictures(data)) {
    const std::string path = folder + "/" + picture.name;
    write_file_atomic(path, picture.text);
    std::puts(path.c_str());
  }
}

void run_report(const ReportArguments& arguments) {
  MOESAIC_CHECK(arguments.runs.size() <= kMostRuns, ErrorKind::kUsage,
                "{} runs, at most {} fit in one report", arguments.runs.size(), kMostRuns);
  std::vector<RunView> runs;
  std::vector<std::string> recipes;
  for (const std::string& folder : arguments.runs) {
    RunView& run = runs.emplace_back(folder);
    take_recipe_facts(run);
    recipes.push_back(run.recipe());
    warn_of(run);
  }
  const std::string output =
      arguments.output.empty() ? arguments.runs[0] + "/report.html" : arguments.output;
  const Json data = report_data(runs, recipe_differences(recipes));
  write_file_atomic(output, report_page(data));
  std::puts(output.c_str());
  if (!arguments.svg.empty()) write_pictures(data, arguments.svg);
}

}  // namespace

void add_report(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<ReportArguments>();
  CLI::App* verb = app.add_subcommand(
      "report", "What happened in runs, as one HTML file: curves, experts, restarts, recipes");
  verb->add_option("run", arguments->runs, "Run folders, shown beside each other")->required();
  verb->add_option("-o,--output", arguments->output,
                   "The file to write (default: report.html in the first run folder)");
  verb->add_option("--svg", arguments->svg,
                   "A folder for the pictures as SVG files, too; it is made where it is not there");
  verb->callback([arguments, &exit_code] { run_report(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
