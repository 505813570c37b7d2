// This machine.
#pragma once

#include <string>

namespace moesaic {

/// As the system calls it: not always a name that other machines know.
std::string host_name();

}  // namespace moesaic
