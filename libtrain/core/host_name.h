// The name of the machine that this process runs on.
#pragma once

#include <string>

namespace moesaic {

/// At most 255 characters; "" where the system does not tell.
std::string host_name();

}  // namespace moesaic
