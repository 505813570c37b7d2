#include "observe/svg_pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "observe/report_charts.h"
#include "observe/report_data.h"
#include "observe/run_folder_files.h"
#include "observe/svg_axis.h"
#include "observe/svg_text.h"

namespace moesaic {
namespace {

using testing::RunFolderFiles;

Json report_of(const std::vector<const RunFolderFiles*>& folders) {
  std::vector<RunView> runs;
  for (const RunFolderFiles* folder : folders) runs.emplace_back(folder->path());
  return report_data(runs, {});
}

std::map<std::string, std::string> pictures_of(const Json& data) {
  std::map<std::string, std::string> found;
  for (const SvgPicture& picture : svg_pictures(data)) found[picture.name] = picture.text;
  return found;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++times;
  return times;
}

const Json* chart_of(const Json& data, const std::string& title) {
  for (const Json& chart : data.at("charts"))
    if (chart.at("title").get<std::string>() == title) return &chart;
  return nullptr;
}

TEST(ReportCharts, GiveRunsColorsAndKeysDashes) {
  const RunFolderFiles a, b;
  for (const RunFolderFiles* run : {&a, &b})
    run->write("metrics.jsonl",
               "{\"step\":1,\"loss\":2,\"valid_loss\":3,\"silo_x_loss\":1,"
               "\"silo_y_loss\":2,\"silo__loss\":3,\"silo_loss\":4,\"mine\":5}\n");
  const Json data = report_of({&a, &b});
  const Json* loss = chart_of(data, "Loss");
  ASSERT_NE(loss, nullptr);
  const Json& series = loss->at("series");
  ASSERT_EQ(series.size(), 4U);
  EXPECT_EQ(series[1].at("dash"), "5 3");
  EXPECT_EQ(series[1].at("marked"), false);
  EXPECT_EQ(series[2].at("color"), 1);
  EXPECT_EQ(series[2].at("marked"), true);
  const std::string name = data.at("runs")[1].at("name").get<std::string>();
  EXPECT_EQ(series[3].at("label"), name + " valid_loss");
  EXPECT_EQ(chart_of(data, "Loss of each silo")->at("series").size(), 4U);
  for (const char* other : {"silo_loss", "silo__loss"})
    EXPECT_EQ(chart_of(data, other)->at("section"), kOtherValues) << other;
  EXPECT_EQ(chart_of(data, "mine")->at("series")[0].at("label"), data.at("runs")[0].at("name"));
  EXPECT_EQ(chart_of(data, "Epsilon spent"), nullptr);
}

TEST(ReportCharts, TakeNoNameForAPattern) {
  const RunFolderFiles run;
  run.write("metrics.jsonl", "{\"step\":1,\"loss\":2,\"*\":3}\n");
  const Json data = report_of({&run});
  EXPECT_EQ(chart_of(data, "*")->at("series").size(), 1U);
}

TEST(SvgPictures, AreOfEachChartAndOfTheLoads) {
  const RunFolderFiles run;
  run.write_metrics(40);
  run.write("logs/rank-0.log",
            "2026 rank 0 info: run       x\n2026 rank 0 info: resumed from x after step 20\n");
  run.write("restarts.jsonl",
            "{\"step\":21,\"rank\":1,\"message\":\"a < b & \\\"c\\\"\"}\n{\"step\":4000}\n");
  const auto found = pictures_of(report_of({&run}));
  ASSERT_TRUE(found.contains("Loss.svg"));
  ASSERT_TRUE(found.contains("Tokens-a-second.svg"));
  const std::string& loss = found.at("Loss.svg");
  EXPECT_EQ(loss.find("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\""), 0U);
  EXPECT_TRUE(loss.ends_with("</svg>\n"));
  EXPECT_EQ(count(loss, "class=\"curve\""), 1U);
  EXPECT_EQ(count(loss, "class=\"resumed\""), 1U);
  EXPECT_EQ(count(loss, "class=\"restart\""), 1U);  // the other is of no step that is shown
  EXPECT_NE(loss.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
  // From step 1 at the left edge to step 40 at the right one; the first loss is the highest.
  EXPECT_NE(loss.find("d=\"M66 "), std::string::npos) << loss;
  EXPECT_NE(loss.find("L708 "), std::string::npos) << loss;
  const auto loads = std::find_if(found.begin(), found.end(), [](const auto& picture) {
    return picture.first.starts_with("Load-of-the-experts-of-");
  });
  ASSERT_NE(loads, found.end());
  // Layer 0: the even share twice, its double, nothing; layer 1: four times as much, nothing.
  EXPECT_EQ(count(loads->second, "<path"), 3U + 2U);
  EXPECT_EQ(count(loads->second, "h40v1h-40z"), 8U);
  EXPECT_NE(loads->second.find("fill=\"#ffffff\" shape-rendering"), std::string::npos);
}

TEST(SvgPictures, OfRunsInAnyStateAreWhole) {
  const RunFolderFiles lost, begun, same;
  lost.write("metrics.jsonl",
             "{\"step\":1,\"loss\":null,\"grad_norm\":-1}\n{\"step\":2,\"loss\":null}\n");
  begun.write("recipe.yaml", "name: x\n");
  same.write("metrics.jsonl", "{\"step\":5,\"loss\":0,\"a b\":1,\"a-b\":2,\"a\\u0001b\":3}\n");
  const auto found = pictures_of(report_of({&lost, &begun, &same}));
  EXPECT_EQ(count(found.at("Loss.svg"), "class=\"lost\""), 1U);
  for (const char* name : {"Gradient-norm.svg", "a-b.svg", "a-b-2.svg", "a-b-3.svg"})
    EXPECT_TRUE(found.contains(name)) << name;
  for (const auto& [name, text] : found) {
    EXPECT_EQ(text.find(" nan"), std::string::npos) << name;
    EXPECT_EQ(text.find("\"nan"), std::string::npos) << name;
    EXPECT_EQ(text.find('\x01'), std::string::npos) << name;
  }
}

TEST(SvgPictures, GrowNotWithTheRun) {
  const RunFolderFiles run;
  std::string rows;
  for (int step = 1; step <= 50'000; ++step)
    rows += "{\"step\":" + std::to_string(step) + ",\"loss\":" + std::to_string(step % 97) + "}\n";
  run.write("metrics.jsonl", rows);
  EXPECT_LT(pictures_of(report_of({&run})).at("Loss.svg").size(), 500'000U);
}

TEST(SvgText, HoldsOnlyWhatXmlMay) {
  SvgText svg(10, 20.25, "a\"b", "#fff");
  svg.add("text", {{"x", "1"}}, "<\xff\x02>");
  EXPECT_NE(svg.text().find("height=\"20.2\""), std::string::npos) << svg.text();
  EXPECT_NE(svg.text().find("aria-label=\"a&quot;b\""), std::string::npos);
  EXPECT_NE(svg.text().find(">&lt;\xEF\xBF\xBD &gt;</text>"), std::string::npos) << svg.text();
}

TEST(SvgAxis, HasRoundMarksAndPlaces) {
  const SvgAxis linear({.low = 0, .high = 10, .from = 100, .to = 200});
  EXPECT_EQ(linear.ticks(5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(linear.place(5), 150);
  const SvgAxis decades({.low = 0.01, .high = 100, .from = 100, .to = 0, .log = true});
  EXPECT_NEAR(decades.place(1), 50, 1e-9);
  const std::vector<double> ticks = decades.ticks(5);
  ASSERT_GE(ticks.size(), 3U);
  for (const double tick : ticks) EXPECT_NEAR(std::log10(tick), std::round(std::log10(tick)), 1e-9);
  const SvgAxis point({.low = 3, .high = 3, .from = 0, .to = 10});
  EXPECT_NEAR(point.place(3), 5, 1e-9);
}

}  // namespace
}  // namespace moesaic
