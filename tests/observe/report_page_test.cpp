#include "observe/report_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "observe/report_data.h"
#include "observe/run_folder_files.h"

namespace moesaic {
namespace {

using testing::RunFolderFiles;

Json data_of(const std::vector<std::string>& folders, const ReportLimits& limits = {}) {
  std::vector<RunView> runs;
  for (const std::string& folder : folders) runs.emplace_back(folder);
  return report_data(runs, {}, limits);
}

std::string remarks_of(const Json& run) { return run.at("remarks").dump(); }

TEST(ReportPage, KeepsTextOfOthersOutOfTheHtml) {
  const Json data = {{"name", "</script><script>alert(1)</script><!-- {{nonce}} {{data}}"}};
  const std::string text = json_for_script(data);
  EXPECT_EQ(text.find('<'), std::string::npos);
  EXPECT_EQ(Json::parse(text), data);
  const std::string page = report_page(data);
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_NE(page.find("{{nonce}} {{data}}\""), std::string::npos);  // not replaced in a text
}

TEST(ReportPage, IsOneFileThatAsksNoNetwork) {
  const std::string page = report_page({{"runs", Json::array()}});
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_EQ(page.find("@report"), std::string::npos);
  EXPECT_EQ(page.find("https:"), std::string::npos);
  EXPECT_EQ(page.find("src="), std::string::npos);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(page, report_page({{"runs", Json::array()}}));
  EXPECT_NE(page, report_page({{"runs", 1}}));
}

TEST(ReportData, HoldsCurvesLoadsAndRecipe) {
  const RunFolderFiles run;
  run.write_metrics(10);
  run.write("recipe.yaml", "name: x\n");
  const Json found = data_of({run.path()}).at("runs").at(0);
  EXPECT_EQ(found.at("step"), 10);
  EXPECT_EQ(found.at("rows"), 10);
  EXPECT_EQ(found.at("recipe"), "name: x\n");
  EXPECT_EQ(found.at("curves").size(), 3U);
  const Json& loss = found.at("curves").at(1);
  EXPECT_EQ(loss.at("name"), "loss");
  EXPECT_EQ(loss.at("values").at(0), 2.0);
  EXPECT_EQ(loss.at("steps").at(9), 10);
  EXPECT_EQ(found.at("loads").at("columns"), 10);
  EXPECT_EQ(found.at("loads").at("cells").at(0), "VfV0p000");
  EXPECT_EQ(remarks_of(found), "[]");
}

TEST(ReportData, OfAMillionRowsIsSmallAndKeepsExtremes) {
  const RunFolderFiles run;
  std::string text;
  for (int step = 1; step <= 200'000; ++step)
    text += "{\"step\":" + std::to_string(step) +
            (step == 77'777 ? ",\"loss\":99}\n" : ",\"loss\":1.2345678}\n");
  run.write("metrics.jsonl", text);
  const Json data = data_of({run.path()}, {.points = 1000});
  const Json& loss = data.at("runs").at(0).at("curves").at(0);
  EXPECT_LE(loss.at("values").size(), 1000U);
  EXPECT_EQ(std::count(loss.at("values").begin(), loss.at("values").end(), Json(99.0)), 1);
  EXPECT_EQ(loss.at("values").at(0), 1.234568);
  EXPECT_LT(report_page(data).size(), 100'000U);
}

TEST(ReportData, SaysWhatIsMissingOrDamaged) {
  const RunFolderFiles begun, damaged;
  begun.write("recipe.yaml", "name: x\n");
  damaged.write("metrics.jsonl", "{\"step\":1,\"loss\":null}\n{\"step\":");
  damaged.write("tasks.json", "{}");
  const Json data = data_of({begun.path(), damaged.path()});
  EXPECT_NE(remarks_of(data.at("runs").at(0)).find("no row of metrics yet"), std::string::npos);
  const Json& second = data.at("runs").at(1);
  EXPECT_NE(remarks_of(second).find("has no end"), std::string::npos);
  EXPECT_NE(remarks_of(second).find("tasks.json"), std::string::npos);
  EXPECT_EQ(second.at("curves").at(0).at("lost"), Json({1, 1}));
  EXPECT_TRUE(second.at("tasks").is_null());
}

TEST(ReportData, IsOfRunFoldersOnly) {
  const testing::TempFolder empty;
  EXPECT_THROW(RunView view(empty.path()), Error);
  EXPECT_THROW(RunView view(empty.file("nothing")), Error);
}

TEST(ReportData, GivesEqualNamesNumbers) {
  const testing::TempFolder folder;
  std::vector<std::string> paths;
  for (const char* parent : {"a", "b"}) {
    const std::string path = folder.file(std::string(parent) + "/run");
    std::filesystem::create_directories(path);
    std::ofstream(path + "/recipe.yaml") << "name: x\n";
    paths.push_back(path);
  }
  const Json data = data_of(paths);
  EXPECT_EQ(data.at("runs").at(0).at("name"), "run");
  EXPECT_EQ(data.at("runs").at(1).at("name"), "run (2)");
}

TEST(LoadCells, AreLevelsAroundTheEvenShare) {
  EXPECT_EQ(load_cells({{0.25, 0.5, 0.125, 0}}), "VfL0");
  EXPECT_EQ(load_cells({{1.0, 1e-9}}), "f1");
}

}  // namespace
}  // namespace moesaic
