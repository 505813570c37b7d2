#include "config/device_table.h"

#include <set>

#include "config/schema_builder.h"
#include "core/error.h"
#include "core/fs.h"

namespace moesaic {
namespace {

using namespace rules;

// (arch knows no schemas: its struct is a part of this one.)
struct DeviceEntry {
  arch::Device figures;
};

struct DeviceFile {
  std::vector<DeviceEntry> devices;
};

std::vector<KeyOf<DeviceEntry>> device_keys() {
  constexpr double kMostDevices = 4096;
  const Rule needed{.least = 0.0, .most = 1e9, .above_least = true, .required = true};
  const Rule share{.least = 0.0, .most = 1.0, .above_least = true};
  std::vector<KeyOf<DeviceEntry>> keys;
  add_key(keys, NAMED("name", figures.name), required(), "What the table calls it.");
  add_key(keys, NAMED("type", figures.type), one_of({"cuda", "cpu"}), "As parallel.device.");
  add_key(keys, NAMED("memory_gb", figures.memory_gb), needed, "10^9 bytes.");
  add_key(keys, NAMED("float32_tflops", figures.float32_tflops), needed,
          "10^12 FLOP a second of products in float32.");
  add_key(keys, NAMED("bfloat16_tflops", figures.bfloat16_tflops), {.least = 0.0},
          "The same in bfloat16; 0 = as float32.");
  add_key(keys, NAMED("memory_gb_per_s", figures.memory_gb_per_s), needed,
          "10^9 bytes read and written a second.");
  add_key(keys, NAMED("node_gb_per_s", figures.node_gb_per_s), needed,
          "10^9 bytes a second sent to the devices of its node.");
  add_key(keys, NAMED("network_gb_per_s", figures.network_gb_per_s), needed,
          "The same to other nodes, of each device when all send.");
  add_key(keys, NAMED("per_node", figures.per_node), from(1, kMostDevices), "Devices of a node.");
  add_key(keys, NAMED("usable_memory", figures.usable_memory), share, "Share that a run may fill.");
  add_key(keys, NAMED("product_efficiency", figures.product_efficiency), share,
          "Share of the rate of products that is reached.");
  add_key(keys, NAMED("memory_efficiency", figures.memory_efficiency), share,
          "Share of the rate of memory.");
  add_key(keys, NAMED("link_efficiency", figures.link_efficiency), share,
          "Share of the rates of both links.");
  return keys;
}

const Schema<DeviceEntry>& schema_of(const DeviceEntry*) {
  static const Schema<DeviceEntry> schema{"device", "{name: mine, memory_gb: 80, ...}",
                                          device_keys()};
  return schema;
}

const Schema<DeviceFile>& schema_of(const DeviceFile*) {
  static const Schema<DeviceFile> schema = [] {
    Schema<DeviceFile> made{"table of devices", "{devices: [...]}", {}};
    add_key(made.keys, FIELD(devices), required(), "The devices.");
    return made;
  }();
  return schema;
}

void require_different_names(const YamlNode& root, ProblemList& problems) {
  std::set<std::string> names;
  for (const YamlNode& entry : root.at("devices")->items) {
    const YamlNode* name = entry.at("name");
    if (!names.insert(name->text).second)
      problems.error(name->place, "devices", format("{} is there twice", shown(name->text)));
  }
}

}  // namespace

std::vector<arch::Device> read_devices(const std::string& path) {
  const std::string text = read_file(path, ErrorKind::kRecipe, YamlLimits{}.bytes + 1);
  ProblemList problems;
  const YamlNode root = parse_yaml(text, path, problems);
  DeviceFile file;
  const std::string whole;
  if (!problems.has_errors()) read_value(Slot{root, whole, {}, problems}, file);
  if (!problems.has_errors()) require_different_names(root, problems);
  std::vector<std::string> lines;
  for (const Problem& problem : problems.sorted()) lines.push_back(problem.text());
  if (!lines.empty()) throw Error(ErrorKind::kRecipe, format("{}", join(lines, "\n")));
  std::vector<arch::Device> devices;
  for (const DeviceEntry& entry : file.devices) devices.push_back(entry.figures);
  return devices;
}

}  // namespace moesaic
