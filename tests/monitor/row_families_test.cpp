#include "monitor/row_families.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include "core/format.h"
#include "monitor/row_metric.h"
#include "observe/metrics_reader.h"

namespace moesaic {
namespace {

// The text that Prometheus gets, without the lines of help.
std::string text_of(const std::string& line) {
  RunRows rows;
  rows.add(metrics_row(line).value());
  MetricFamilies families("run");
  add_rows(rows, families);
  return prometheus::TextSerializer().Serialize(families.all());
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(RowMetric, HasBaseUnitsAndNoSuffixOfAnotherKind) {
  const std::tuple<const char*, const char*, double> cases[] = {
      {"step_s", "moesaic_step_seconds", 1},
      {"wait_ms", "moesaic_wait_seconds", 1e-3},
      {"tokens_per_s", "moesaic_tokens_per_second", 1},
      {"memory_peak_mb", "moesaic_memory_peak_bytes", 1048576},
      {"change_bytes", "moesaic_change_bytes", 1},
      {"epsilon", "moesaic_epsilon", 1},
      {"grand_total", "moesaic_grand_total_value", 1},
      {"what ever-1.2", "moesaic_what_ever_1_2", 1},
      {"loss_total", "moesaic_objective", 1}};
  for (const auto& [key, name, unit] : cases) {
    EXPECT_EQ(row_metric(key).name, name);
    EXPECT_EQ(row_metric(key).unit, unit) << key;
    EXPECT_FALSE(row_metric(key).help.empty()) << key;
  }
}

TEST(RowFamilies, SayWhatARowSays) {
  const std::string text = text_of(
      R"({"step":7,"loss":2.5,"loss_balance":1.5,"silo_north_loss":3,"memory_peak_mb":2,)"
      R"("valid_loss":null,"layer_max_violation":[0.5,1],"rank_wait_s":[0.25,0],"loss_spikes":2,"expert_load.1":[0.75,0.25]})");
  for (const char* line : {"moesaic_step{job=\"run\"} 7", "moesaic_loss{job=\"run\"} 2.5",
                           "moesaic_loss_term{job=\"run\",term=\"balance\"} 1.5",
                           "moesaic_silo_loss{job=\"run\",region=\"north\"} 3",
                           "moesaic_memory_peak_bytes{job=\"run\"} 2097152",
                           "moesaic_layer_max_violation{job=\"run\",layer=\"0\"} 0.5",
                           "moesaic_expert_load_ratio{job=\"run\",layer=\"1\",expert=\"0\"} 1.5",
                           "moesaic_nonfinite_rows_total{job=\"run\"} 1",
                           "moesaic_rank_wait_seconds{job=\"run\",instance=\"rank-0\"} 0.25",
                           "moesaic_loss_spikes_total{job=\"run\"} 2",
                           "# TYPE moesaic_rows_total counter", "# TYPE moesaic_loss gauge"})
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
  EXPECT_NE(text.find("moesaic_valid_loss{job=\"run\"} Nan"), std::string::npos) << text;
}

TEST(RowFamilies, NameTheRankThatHoldsTheOthersUp) {
  EXPECT_TRUE(has_line(text_of(R"({"step":1,"straggler_rank":3})"),
                       "moesaic_straggler{job=\"run\",instance=\"rank-3\"} 1"));
  for (const char* none : {R"({"step":1,"straggler_rank":-1})", R"({"step":1,"loss":2})"})
    EXPECT_EQ(text_of(none).find("moesaic_straggler"), std::string::npos);
}

TEST(RowFamilies, GiveEachSeriesOnce) {
  const std::string text = text_of(R"({"step":1,"a-b":1,"a_b":2,"rows_total":9})");
  EXPECT_EQ(text.find("moesaic_a_b{"), text.rfind("moesaic_a_b{"));
  EXPECT_TRUE(has_line(text, "moesaic_rows_total{job=\"run\"} 1")) << text;
}

TEST(RowFamilies, LeaveOutListsThatAreTooLong) {
  std::string list = "1";
  for (std::size_t i = 1; i <= kMostListSeries; ++i) list += ",1";
  const std::string text =
      text_of(format("{{\"step\":1,\"expert_load.0\":[{}],\"loss\":2}}", list));
  EXPECT_EQ(text.find("moesaic_expert_load_ratio"), std::string::npos);
  EXPECT_TRUE(has_line(text, "moesaic_loss{job=\"run\"} 2"));
}

TEST(MetricFamilies, MakeLabelsOfAnyText) {
  MetricFamilies families("a\"b\xff");
  families.gauge("moesaic_x", "X.", 1);
  const std::string text = prometheus::TextSerializer().Serialize(families.all());
  EXPECT_NE(text.find("job=\"a\\\"b\xEF\xBF\xBD\""), std::string::npos) << text;
}

}  // namespace
}  // namespace moesaic
