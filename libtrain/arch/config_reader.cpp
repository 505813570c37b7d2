#include "arch/config_reader.h"

#include <cmath>

namespace moesaic::arch {
namespace {

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

}  // namespace

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

std::int64_t ConfigReader::size(const std::string& key, std::int64_t fallback, std::int64_t most) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const bool fits = value->is_number_integer() && *value >= 1 && *value <= most;
  if (!fits) error(key, format("expected an integer from 1 to {}, got {}", most, shown(*value)));
  return fits ? value->get<std::int64_t>() : fallback;
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

void ConfigReader::only(const std::string& key, std::initializer_list<Json> allowed,
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

double ConfigReader::rope_block(const std::string& key, double fallback) {
  const Json* block = find(key);
  if (block == nullptr) return fallback;
  if (!block->is_object()) {
    error(key, format("expected a mapping such as {{rope_type: default}}, got {}", shown(*block)));
    return fallback;
  }
  double theta = fallback;
  for (const auto& [name, value] : block->items()) {
    const std::string path = key + "." + name;
    if (name == "rope_theta") {
      if (!value.is_null()) theta = read_number(value, path, fallback, 1e-30, 1e30);
    } else if (name == "rope_type" || name == "type") {
      if (value != "default") {
        error(path,
              format("{} is not supported: only the default rotary embedding is", shown(value)));
      }
    } else if (name == "partial_rotary_factor") {
      if (value != 1) error(path, "is not supported: the whole head is rotated");
    } else {
      error(path, "is not a key of the default rotary embedding (rope_type, rope_theta)");
    }
  }
  return theta;
}

double ConfigReader::rope_theta(double fallback) {
  const double plain = positive("rope_theta", fallback);
  const double scaled = rope_block("rope_scaling", plain);
  const double theta = rope_block("rope_parameters", scaled);
  if (has("rope_theta") && theta != plain) {
    error("rope_theta", format("is {} here and {} in rope_parameters", plain, theta));
  }
  return theta;
}

void ConfigReader::refuse_unknown(const std::string& model_type) {
  for (const auto& [key, value] : config_.items()) {
    if (known_.count(key) > 0) continue;
    const std::string best = key.size() <= 60 ? nearest(key, known_) : "";
    error(key, format("unknown key for model_type {}{}", model_type,
                      best.empty() ? "" : format(" (did you mean '{}'?)", best)));
  }
}

}  // namespace moesaic::arch
