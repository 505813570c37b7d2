// A table of devices: the YAML file that `plan --matrix` reads.
#pragma once

#include <string>
#include <vector>

#include "arch/device.h"

namespace moesaic {

/// `devices` of a file such as data/devices.yaml, in its order. Error(kRecipe) with every mistake,
/// each after file:line:col, and where the file cannot be read.
std::vector<arch::Device> read_devices(const std::string& path);

}  // namespace moesaic
