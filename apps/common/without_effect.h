// Options that were given and change nothing are warned of, as recipes warn of such keys.
#pragma once

#include <string>

namespace moesaic {

/// On stderr: "warning: --seed has no effect: --temperature is 0". `given`: and not the default.
void warn_without_effect(bool given, const std::string& option, const std::string& reason);

}  // namespace moesaic
