#include "store/adapter_description.h"

#include <set>
#include <utility>

#include "config/training_table.h"
#include "core/error.h"
#include "core/path.h"

namespace moesaic {
namespace {

using arch::ParameterInfo;

constexpr std::int64_t kMostAdapterRank = 1 << 20;

void require_described(bool good, const std::string& where, const std::string& what) {
  MOESAIC_CHECK(good, ErrorKind::kCheckpoint, "{}: the description of the adapter {}", where, what);
}

LoraTarget described_pair(const std::string& weight, const Json& json, const std::string& where) {
  const Json pair = json.is_object() ? json : Json::object();
  const Json r = pair.value("r", Json()), scale = pair.value("scale", Json());
  const Json dora = pair.value("use_dora", Json());
  const bool good = r.is_number_integer() && r >= 1 && r <= kMostAdapterRank && scale.is_number() &&
                    dora.is_boolean();
  require_described(good, where, "has no r, scale and use_dora for " + printable(weight));
  return {.weight = weight,
          .r = r.get<std::int64_t>(),
          .alpha = 0,
          .scale = scale.get<double>(),
          .dora = dora.get<bool>()};
}

ParameterInfo beside(const ParameterInfo& weight, std::string name,
                     std::vector<std::int64_t> shape) {
  ParameterInfo info = weight;
  info.name = std::move(name);
  info.shape = std::move(shape);
  info.adapter = true;
  return info;
}

void add_described_pair(const ParameterInfo& weight, const LoraTarget& target,
                        arch::ParameterTable& table) {
  const std::size_t last = weight.shape.size() - 1;
  std::vector<std::int64_t> a = weight.shape, b = weight.shape, rows = weight.shape;
  a[last - 1] = target.r;
  b[last] = target.r;
  rows.pop_back();
  table.push_back(beside(weight, lora_a_name(weight.name), a));
  table.push_back(beside(weight, lora_b_name(weight.name), b));
  if (target.dora) table.push_back(beside(weight, lora_magnitude_name(weight.name), rows));
  if (!target.pissa) return;
  table.push_back(beside(weight, lora_a_start_name(weight.name), a));
  table.push_back(beside(weight, lora_b_start_name(weight.name), b));
}

}  // namespace

AdapterDescription AdapterDescription::of(const Adapter& adapter) {
  AdapterDescription description;
  for (const auto& [name, pair] : adapter.pairs) {
    description.pairs[name] = {.weight = name,
                               .r = pair.rank(),
                               .alpha = 0,
                               .scale = pair.scale,
                               .dora = pair.magnitude.defined()};
  }
  for (const auto& [name, values] : adapter.saved) description.saved.push_back(name);
  return description;
}

AdapterDescription AdapterDescription::of(const Recipe& recipe, const arch::Options& arch) {
  AdapterDescription description;
  std::set<std::string> saved, beside;
  for (const ParameterInfo& row : training_table(recipe, arch)) {
    if (is_saved(recipe, row) && !row.adapter) saved.insert(row.name);
    if (row.adapter_scale != 0) beside.insert(row.name);
  }
  description.saved.assign(saved.begin(), saved.end());
  if (!recipe.adapt || !recipe.adapt->lora) return description;
  for (LoraTarget& target : lora_targets(*recipe.adapt->lora, arch, arch::parameter_table(arch))) {
    // What is trained in full has no factors.
    if (beside.contains(target.weight)) description.pairs[target.weight] = std::move(target);
  }
  return description;
}

Json AdapterDescription::to_json() const {
  Json described = Json::object();
  for (const auto& [name, pair] : pairs)
    described[name] = {{"r", pair.r}, {"scale", pair.scale}, {"use_dora", pair.dora}};
  return {{"pairs", described}, {"saved", saved}};
}

AdapterDescription AdapterDescription::from_json(const Json& json, const std::string& where) {
  const Json object = json.is_object() ? json : Json::object();
  const Json pairs = object.value("pairs", Json()), saved = object.value("saved", Json());
  require_described(pairs.is_object() && saved.is_array(), where, "has no pairs and saved");
  AdapterDescription description;
  for (const auto& [name, pair] : pairs.items())
    description.pairs.emplace(name, described_pair(name, pair, where));
  for (const Json& name : saved) {
    require_described(name.is_string(), where, "names what is no text");
    description.saved.push_back(name.get<std::string>());
  }
  return description;
}

arch::ParameterTable AdapterDescription::table(const arch::Options& arch,
                                               const std::string& where) const {
  std::set<std::string> unknown(saved.begin(), saved.end());
  for (const auto& [name, pair] : pairs) unknown.insert(name);
  const std::set<std::string> whole(saved.begin(), saved.end());
  arch::ParameterTable table;
  for (const ParameterInfo& info : arch::parameter_table(arch)) {
    const auto pair = pairs.find(info.name);
    const bool matrix = info.shape.size() > (info.scope == arch::Scope::kExpert ? 2U : 1U);
    if (pair != pairs.end() && !matrix) continue;  // stays unknown
    unknown.erase(info.name);
    if (whole.contains(info.name)) table.push_back(info);
    if (pair != pairs.end()) add_described_pair(info, pair->second, table);
  }
  if (!unknown.empty())
    require_described(false, where, "names " + printable(*unknown.begin()) + ", no such weight");
  return table;
}

std::map<std::string, at::Tensor> named_values(const Adapter& adapter) {
  std::map<std::string, at::Tensor> values = adapter.saved;
  for (const auto& [name, pair] : adapter.pairs) {
    values[lora_a_name(name)] = pair.a;
    values[lora_b_name(name)] = pair.b;
    if (pair.magnitude.defined()) values[lora_magnitude_name(name)] = pair.magnitude;
  }
  return values;
}

}  // namespace moesaic
