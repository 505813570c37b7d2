#include "monitor/run_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/json.h"

namespace moesaic {
namespace {

// They speak of the steps of their own row, and are missing from a row where there is nothing to
// say.
constexpr const char* kOfOneRow[] = {"skipped", "straggler_rank"};

constexpr JsonLimits kRowLimits = {.depth = 8, .values = 500'000};

/// Nothing for what is no row.
std::optional<Json> row_of(std::string_view line) {
  try {
    Json row = parse_json(line, "metrics.jsonl", ErrorKind::kData, kRowLimits);
    if (row.is_object() && row.contains("step") && row["step"].is_number_integer()) return row;
  } catch (const Error&) {
  }
  return std::nullopt;
}

// A sink writes null for what is not finite.
double number_of(const Json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

bool is_number(const Json& value) { return value.is_number() || value.is_null(); }

template <class Value>
bool has_room(const std::map<std::string, Value>& values, const std::string& name) {
  return values.size() < RunRows::kMostNames || values.contains(name);
}

}  // namespace

void RunRows::add(std::string_view line) {
  const std::optional<Json> row = row_of(line);
  if (!row) {
    ++counts_.bad_lines;
    return;
  }
  step_ = row->at("step").get<std::int64_t>();
  for (const char* name : kOfOneRow) values_.erase(name);
  bool finite = true;
  for (const auto& [name, value] : row->items()) {
    if (name == "step") continue;
    if (is_number(value) && has_room(values_, name)) {
      finite = finite && std::isfinite(values_[name] = number_of(value));
    } else if (value.is_array() && has_room(vectors_, name) &&
               std::all_of(value.begin(), value.end(), is_number)) {
      std::vector<double>& numbers = vectors_[name];
      numbers.clear();
      for (const Json& element : value) numbers.push_back(number_of(element));
    }
  }
  if (step_ <= counted_step_) return;
  counted_step_ = step_;
  ++counts_.rows;
  if (!finite) ++counts_.nonfinite_rows;
  const auto skipped = values_.find("skipped");
  if (skipped != values_.end() && skipped->second > 0 && skipped->second < 1e15)
    counts_.skipped_steps += std::llround(skipped->second);
}

void RunRows::start_again() {
  step_ = 0;
  values_.clear();
  vectors_.clear();
}

void RunRows::forget_counts() {
  counts_ = {};
  counted_step_ = step_;
}

}  // namespace moesaic
