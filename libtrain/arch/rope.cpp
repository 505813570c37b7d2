#include "arch/rope.h"

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "arch/config_reader.h"

namespace moesaic::arch {
namespace {

// Keys of each variant; `rope_type` (or `type`) and `rope_theta` are keys of all.
const std::map<std::string, std::set<std::string>>& variants() {
  static const std::map<std::string, std::set<std::string>> keys = {
      {"default", {}},
      {"linear", {"factor"}},
      {"dynamic", {"factor"}},
      {"llama3",
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
      {"yarn",
       {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow",
        "mscale", "mscale_all_dim", "truncate"}}};
  return keys;
}

double yarn_magnitude(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

/// One of the two blocks, `rope_parameters` or `rope_scaling`.
class RopeBlock {
 public:
  RopeBlock(ConfigReader& reader, std::string key, const Json& block)
      : reader_(reader), key_(std::move(key)), block_(block) {}

  Rope read(Rope rope, std::int64_t max_position_embeddings) {
    const std::optional<std::string> named = type();
    if (!named) return rope;
    rope.type = type_ = *named;
    if (!check_keys()) return rope;
    rope.theta = positive("rope_theta", rope.theta);
    if (rope.type == "default") return rope;
    const auto most = static_cast<double>(max_position_embeddings);
    if (rope.type == "llama3" || rope.type == "yarn") {
      rope.original_max_position_embeddings = trained_length(most);
    }
    const bool derived = rope.type == "yarn" && !has("factor") && knows_trained_length();
    rope.factor = derived ? most / rope.original_max_position_embeddings : required("factor");
    if (has("factor") && rope.factor < 1)
      reader_.warning(path("factor"),
                      format("{} is below 1: it shortens the context", rope.factor));
    if (rope.type == "llama3") read_llama3(rope);
    if (rope.type == "yarn") read_yarn(rope);
    return rope;
  }

 private:
  bool has(const std::string& name) const {
    const auto found = block_.find(name);
    return found != block_.end() && !found->is_null();
  }
  std::string path(const std::string& name) const { return key_ + "." + name; }

  /// Nothing where it is none that is known: then nothing is said of the other keys.
  std::optional<std::string> type() const {
    const std::string name = has("rope_type") ? "rope_type" : "type";
    if (!has(name)) return "default";
    if (has("type") && block_.at("type") != block_.at(name)) {
      reader_.error(path("type"), format("is {}, and rope_type is {}: remove one of them",
                                         ConfigReader::shown(block_.at("type")),
                                         ConfigReader::shown(block_.at(name))));
    }
    const Json& value = block_.at(name);
    if (value.is_string() && variants().contains(value.get<std::string>()))
      return value.get<std::string>();
    std::vector<std::string> known;
    for (const auto& [variant, keys] : variants()) known.push_back(variant);
    reader_.error(path(name), format("{} is not supported; one of {}", ConfigReader::shown(value),
                                     join(known, ", ")));
    return std::nullopt;
  }

  bool check_keys() {
    bool good = true;
    for (const auto& [name, value] : block_.items()) {
      // `finetuned` is a note of how the model was made.
      const bool known = name == "rope_type" || name == "type" || name == "rope_theta" ||
                         name == "finetuned" || variants().at(type_).contains(name) ||
                         value.is_null() || (name == "partial_rotary_factor" && value == 1);
      if (known) continue;
      reader_.error(path(name), reason_against(name));
      good = false;
    }
    return good;
  }

  std::string reason_against(const std::string& name) const {
    if (name == "partial_rotary_factor") return "is not supported: the whole head is rotated";
    if (!has("rope_type") && !has("type"))
      return "says nothing without a rope_type (linear, dynamic, llama3, yarn)";
    return format("is not a key of the rope_type {}", type_);
  }

  bool knows_trained_length() const {
    constexpr const char* kKey = "original_max_position_embeddings";
    return has(kKey) || reader_.has(kKey);
  }
  // Beside the block it goes first, as in Transformers, which takes all positions where it is
  // absent.
  double trained_length(double most) {
    constexpr const char* kKey = "original_max_position_embeddings";
    if (!knows_trained_length() && has("factor")) {
      reader_.warning(path(kKey), format("is missing: {}, all positions of the model, is taken for "
                                         "it, as Transformers does",
                                         most));
    }
    return reader_.positive(kKey, positive(kKey, most));
  }

  double positive(const std::string& name, double fallback) {
    return has(name) ? reader_.read_number(block_.at(name), path(name), fallback, 1e-30, 1e30)
                     : fallback;
  }
  double required(const std::string& name) {
    if (!has(name))
      reader_.error(path(name), format("is missing; the rope_type {} needs it", type_));
    return positive(name, 1.0);
  }

  void read_llama3(Rope& rope) {
    rope.low_freq_factor = required("low_freq_factor");
    rope.high_freq_factor = required("high_freq_factor");
    const bool both = has("low_freq_factor") && has("high_freq_factor");
    if (both && rope.low_freq_factor >= rope.high_freq_factor)
      reader_.error(path("high_freq_factor"), "must be above low_freq_factor");
  }

  // Absent, null and 0 mean the same, as in Transformers.
  double or_zero(const std::string& name, double fallback) {
    const bool zero = has(name) && block_.at(name) == 0;
    return zero ? fallback : positive(name, fallback);
  }

  void read_yarn(Rope& rope) {
    rope.beta_fast = or_zero("beta_fast", 32);
    rope.beta_slow = or_zero("beta_slow", 1);
    rope.mscale = or_zero("mscale", 0);
    rope.mscale_all_dim = or_zero("mscale_all_dim", 0);
    rope.given_attention_factor = positive("attention_factor", 0);
    if (has("truncate")) {
      const Json& value = block_.at("truncate");
      if (!value.is_boolean()) {
        reader_.error(path("truncate"),
                      format("expected true or false, got {}", ConfigReader::shown(value)));
      } else {
        rope.truncate = value.get<bool>();
      }
    }
    if (rope.beta_fast < rope.beta_slow)
      reader_.error(path("beta_fast"),
                    format("is {}, below beta_slow {}", rope.beta_fast, rope.beta_slow));
    if (rope.theta <= 1) reader_.error(path("rope_theta"), "must be above 1 for yarn");
  }

  ConfigReader& reader_;
  std::string key_;
  const Json& block_;
  std::string type_ = "default";
};

}  // namespace

double Rope::attention_factor() const {
  if (type != "yarn") return 1.0;
  if (given_attention_factor > 0) return given_attention_factor;
  if (mscale > 0 && mscale_all_dim > 0)
    return yarn_magnitude(factor, mscale) / yarn_magnitude(factor, mscale_all_dim);
  return yarn_magnitude(factor, 1.0);
}

double Rope::softmax_factor() const {
  if (type != "yarn" || mscale_all_dim == 0) return 1.0;
  const double magnitude = yarn_magnitude(factor, mscale_all_dim);
  return magnitude * magnitude;
}

Rope read_rope(ConfigReader& reader, const Rope& defaults, std::int64_t max_position_embeddings,
               std::int64_t dim) {
  reader.accept({"original_max_position_embeddings"});
  Rope base = defaults;
  base.theta = reader.positive("rope_theta", defaults.theta);
  Rope rope = base;
  bool first = true;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    reader.accept({key});
    if (!reader.has(key)) continue;
    const Json& block = reader.json().at(key);
    if (!block.is_object()) {
      reader.error(key, format("expected a mapping such as {{rope_type: default}}, got {}",
                               ConfigReader::shown(block)));
      continue;
    }
    const Rope found = RopeBlock(reader, key, block).read(base, max_position_embeddings);
    if (!first && found != rope) reader.error(key, "differs from rope_scaling: remove one of them");
    rope = found;
    first = false;
  }
  if (reader.has("rope_theta") && rope.theta != base.theta) {
    reader.error("rope_theta",
                 format("is {} here and {} in rope_parameters", base.theta, rope.theta));
  }
  if (rope.type == "dynamic" && dim <= 2)
    reader.error("rope_parameters", "dynamic needs heads that are wider than 2");
  return rope;
}

void write_rope(const Rope& rope, Json& config) {
  Json block = {{"rope_type", rope.type}, {"rope_theta", rope.theta}};
  const auto& keys = variants().at(rope.type);
  const auto put = [&](const char* name, double value, bool present = true) {
    if (keys.contains(name) && present) block[name] = value;
  };
  put("factor", rope.factor);
  if (keys.contains("original_max_position_embeddings")) {
    block["original_max_position_embeddings"] =
        static_cast<std::int64_t>(rope.original_max_position_embeddings);
  }
  put("low_freq_factor", rope.low_freq_factor);
  put("high_freq_factor", rope.high_freq_factor);
  put("attention_factor", rope.given_attention_factor, rope.given_attention_factor > 0);
  put("beta_fast", rope.beta_fast);
  put("beta_slow", rope.beta_slow);
  put("mscale", rope.mscale, rope.mscale > 0);
  put("mscale_all_dim", rope.mscale_all_dim, rope.mscale_all_dim > 0);
  if (keys.contains("truncate") && !rope.truncate) block["truncate"] = false;
  // Both spellings, for readers before and after Transformers 5.
  config["rope_parameters"] = block;
  config["rope_theta"] = rope.theta;
  if (rope.type == "default") return;
  block.erase("rope_theta");
  config["rope_scaling"] = block;
}

}  // namespace moesaic::arch
