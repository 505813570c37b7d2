#include "arch/config_reader.h"

#include <algorithm>
#include <cmath>

#include "arch/passed_over.h"

namespace moesaic::arch {

std::string ConfigReader::shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text.replace(57, std::string::npos, "...");
  return text;
}

bool ConfigReader::has(const std::string& key) const {
  const auto found = config_.find(key);
  return found != config_.end() && !found->is_null();
}

const Json* ConfigReader::find(const std::string& key) {
  known_.insert(key);
  return has(key) ? &config_.at(key) : nullptr;
}

void ConfigReader::error(const std::string& key, std::string message) {
  problems_.push_back({key, std::move(message), false});
}

void ConfigReader::warning(const std::string& key, std::string message) {
  problems_.push_back({key, std::move(message), true});
}

std::int64_t ConfigReader::integer(const std::string& key, std::int64_t fallback,
                                   std::int64_t least, std::int64_t most) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const bool fits = value->is_number_integer() && *value >= least && *value <= most;
  if (!fits)
    error(key, format("expected an integer from {} to {}, got {}", least, most, shown(*value)));
  return fits ? value->get<std::int64_t>() : fallback;
}

std::int64_t ConfigReader::size(const std::string& key, std::int64_t fallback, std::int64_t most) {
  return integer(key, fallback, 1, most);
}

std::int64_t ConfigReader::count(const std::string& key, std::int64_t fallback, std::int64_t most) {
  return integer(key, fallback, 0, most);
}

double ConfigReader::read_number(const Json& value, const std::string& key, double fallback,
                                 double least, double most) {
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (number >= least && number <= most) return number;  // false for NaN
  error(key, format("expected a number from {} to {}, got {}", least, most, shown(value)));
  return fallback;
}

double ConfigReader::number(const std::string& key, double fallback, double least, double most) {
  const Json* value = find(key);
  return value == nullptr ? fallback : read_number(*value, key, fallback, least, most);
}

double ConfigReader::positive(const std::string& key, double fallback) {
  return number(key, fallback, 1e-30, 1e30);
}

bool ConfigReader::flag(const std::string& key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) error(key, format("expected true or false, got {}", shown(*value)));
  return value->is_boolean() ? value->get<bool>() : fallback;
}

void ConfigReader::only(const std::string& key, const std::vector<Json>& allowed,
                        const std::string& reason) {
  const Json* value = find(key);
  if (value == nullptr) return;
  for (const Json& candidate : allowed) {
    if (*value == candidate) return;
  }
  error(key, format("{} is not supported: {}", shown(*value), reason));
}

void ConfigReader::accept(std::initializer_list<const char*> keys) {
  known_.insert(keys.begin(), keys.end());
}

std::vector<std::int64_t> ConfigReader::sizes(const std::string& key, std::int64_t most) {
  const Json* list = find(key);
  std::vector<std::int64_t> values;
  if (list == nullptr) return values;
  bool good = list->is_array() && list->size() <= 100000;
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    const Json& value = (*list)[i];
    good = value.is_number_integer() && value >= 0 && value <= most;
    if (good) values.push_back(value.get<std::int64_t>());
  }
  if (!good) error(key, format("expected a list of integers 0 to {}, got {}", most, shown(*list)));
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

std::vector<std::int64_t> ConfigReader::widths(const std::string& key, std::int64_t most,
                                               std::size_t longest) {
  const Json* list = find(key);
  std::vector<std::int64_t> values;
  if (list == nullptr) return values;
  bool good = list->is_array() && list->size() <= longest;
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    const Json& value = (*list)[i];
    good = value.is_number_integer() && value >= 1 && value <= most;
    if (good) values.push_back(value.get<std::int64_t>());
  }
  if (!good) {
    error(key, format("expected a list of at most {} integers 1 to {}, got {}", longest, most,
                      shown(*list)));
  }
  return values;
}

std::string ConfigReader::choice(const std::string& key, std::initializer_list<const char*> choices,
                                 const std::string& fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  for (const char* candidate : choices) {
    if (*value == candidate) return candidate;
  }
  error(key, format("{} is not supported; one of {}", shown(*value),
                    join(std::vector<std::string>(choices.begin(), choices.end()), ", ")));
  return fallback;
}

void ConfigReader::refuse_unknown(const std::string& model_type) {
  constexpr std::int64_t kMostNamed = 20;  // a hostile file has millions, each costs a comparison
  std::int64_t unknown = 0;
  for (const auto& [key, value] : config_.items()) {
    if (value.is_null() || known_.contains(key) || is_passed_over(key)) continue;
    if (++unknown > kMostNamed) continue;
    const std::string best = key.size() <= 60 ? nearest(key, known_) : "";
    error(key, format("unknown key for model_type {}{}", model_type,
                      best.empty() ? "" : format(" (did you mean '{}'?)", best)));
  }
  if (unknown > kMostNamed) error("", format("{} more unknown keys", unknown - kMostNamed));
}

}  // namespace moesaic::arch
