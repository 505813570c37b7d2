// The messages of a TensorBoard event file, encoded by hand: the few fields of tensorflow.Event
// that are needed do not earn a dependency on protobuf. Each function returns one Event as bytes;
// `record` frames it as TFRecord does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "observe/metrics.h"

namespace moesaic::event {

/// The first Event of every file.
std::string file_version(double wall_time);

/// A run (re)starts at `step`: TensorBoard drops what earlier files hold from that step on.
std::string session_start(double wall_time, std::int64_t step);

/// Values as scalars; vectors as histograms over their finite elements.
std::string summary(double wall_time, const MetricsRow& row);

/// Length, its masked CRC, the bytes, their masked CRC.
std::string record(std::string_view event);

}  // namespace moesaic::event
