#include "observe/report_charts.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace moesaic {
namespace {

constexpr std::size_t kSeriesColors = 8;  // of report/themes.json

struct Panel {
  std::string section;
  std::string title;
  std::vector<std::string> keys;
  bool log = false;
  bool many = false;  // the '*' of the key stands for any name
};

const std::array kPanels = {
    Panel{"Learning", "Loss", {"loss", "valid_loss"}},
    Panel{"Learning", "Validation accuracy", {"valid_accuracy"}},
    Panel{"Learning", "Learning rate", {"learning_rate"}},
    Panel{"Learning", "Gradient norm", {"grad_norm"}, true},
    Panel{"Tasks", "Task under way", {"task"}},
    Panel{"Privacy", "Epsilon spent", {"epsilon"}},
    Panel{"Federation", "Round", {"round"}},
    Panel{"Federation", "Loss of each silo", {"silo_*_loss"}, false, true},
    Panel{"Experts", "Busiest expert above the mean (max_violation)", {"max_violation"}},
    Panel{"Experts", "Experts without a token", {"dead_experts"}},
    Panel{"Experts", "Share of dropped choices", {"dropped_fraction"}},
    Panel{"Speed and memory", "Tokens a second", {"tokens_per_s"}},
    Panel{"Speed and memory", "Seconds of a step", {"step_s"}},
    Panel{"Speed and memory",
          "Seconds of waiting since the last row",
          {"sync_wait_s", "checkpoint_s"}},
    Panel{"Speed and memory", "Peak memory of the chief, MB", {"memory_peak_mb"}},
};

// What a name is called in that panel: what stands for the '*', else itself. Nothing for a name
// that is not meant.
std::optional<std::string> name_in(const Panel& panel, const std::string& key,
                                   const std::string& name) {
  if (!panel.many) return name == key ? std::optional(name) : std::nullopt;
  const std::size_t star = key.find('*');
  const bool fits = name.size() >= key.size() && name.starts_with(key.substr(0, star)) &&
                    name.ends_with(key.substr(star + 1));
  return fits ? std::optional(name.substr(star, name.size() - key.size() + 1)) : std::nullopt;
}

bool has_something(const Json& curve) {
  return !curve.at("steps").empty() || curve.at("lost").at(0).get<std::int64_t>() > 0;
}

// Solid first; then each time that all colors have had their turn another one.
const char* dash_of(std::size_t color) {
  constexpr std::array kDashes = {"", "6 3", "2 3", "8 3 2 3"};
  return kDashes[color / kSeriesColors % kDashes.size()];
}

class Charts {
 public:
  explicit Charts(const Json& runs) : runs_(runs) {
    for (const Json& run : runs) {
      places_.emplace_back();
      for (std::size_t i = 0; i < run.at("curves").size(); ++i) {
        const auto name = run.at("curves")[i].at("name").get<std::string>();
        places_.back().emplace(name, i);
        if (seen_.insert(name).second) names_.push_back(name);
      }
    }
  }

  Json all() {
    for (const Panel& panel : kPanels) add(panel);
    for (const std::string& name : names_) {
      if (!has_panel(name)) add({kOtherValues, name, {name}});
    }
    return std::move(charts_);
  }

 private:
  static bool has_panel(const std::string& name) {
    return std::any_of(kPanels.begin(), kPanels.end(), [&](const Panel& panel) {
      return std::any_of(panel.keys.begin(), panel.keys.end(), [&](const std::string& key) {
        return name_in(panel, key, name).has_value();
      });
    });
  }

  void add(const Panel& panel) {
    Json series = Json::array();
    bool some = false;
    for (std::size_t run = 0; run < runs_.size(); ++run) {
      for (const std::string& key : panel.keys) {
        for (const auto& [name, curve] : found(panel, run, key)) {
          some = some || has_something(runs_[run].at("curves")[curve]);
          const std::size_t color = panel.many ? series.size() : run;
          series.push_back({{"label", label_of(panel, run, name)},
                            {"run", run},
                            {"curve", curve},
                            {"color", color},
                            {"dash", key == panel.keys[0] ? dash_of(color) : "5 3"},
                            {"marked", key == panel.keys[0] && !panel.many}});
        }
      }
    }
    if (some)
      charts_.push_back({{"section", panel.section},
                         {"title", panel.title},
                         {"log", panel.log},
                         {"series", std::move(series)}});
  }

  // Names in the panel, and where their curves are.
  std::vector<std::pair<std::string, std::size_t>> found(const Panel& panel, std::size_t run,
                                                         const std::string& key) const {
    std::vector<std::pair<std::string, std::size_t>> all;
    const auto place = places_[run].find(key);
    if (!panel.many) {
      if (place != places_[run].end()) all.emplace_back(key, place->second);
      return all;
    }
    const Json& curves = runs_[run].at("curves");
    for (std::size_t i = 0; i < curves.size(); ++i) {
      if (auto name = name_in(panel, key, curves[i].at("name").get<std::string>()))
        all.emplace_back(std::move(*name), i);
    }
    return all;
  }

  std::string label_of(const Panel& panel, std::size_t run, const std::string& name) const {
    if (runs_.size() < 2) return name;
    const auto of_run = runs_[run].at("name").get<std::string>();
    return panel.many || panel.keys.size() > 1 ? of_run + " " + name : of_run;
  }

  const Json& runs_;
  std::vector<std::map<std::string, std::size_t>> places_;  // of curves by name, by run
  std::vector<std::string> names_;                          // of all, in the order they came in
  std::set<std::string> seen_;                              // the same
  Json charts_ = Json::array();
};

}  // namespace

Json report_charts(const Json& runs) { return Charts(runs).all(); }

}  // namespace moesaic
