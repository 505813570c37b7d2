// config.json of an exported model.
#pragma once

#include <string>

#include "arch/arch.h"

namespace moesaic {

/// The text: `original`, the config.json of the folder that the model came from ("" = none), where
/// it still describes `options`, so that keys which Moesaic has no use for survive; else a new one.
/// `dtype` ("bfloat16" ...) is entered as the type of the weights, and layers for multi-token
/// prediction, which have no weights here, are taken out.
std::string hub_config_text(const arch::Options& options, const std::string& original,
                            const std::string& dtype);

}  // namespace moesaic
