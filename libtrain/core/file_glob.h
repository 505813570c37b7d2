// Which files a path of the recipe names.
#pragma once

#include <string>
#include <vector>

#include "core/log.h"

namespace moesaic {

/// The regular files that `pattern` matches (wildcards of glob(7): * ? [...]), in byte order of
/// their names. A file of exactly that name is taken as it is. Folders that a wildcard matches are
/// left out with a warning. Error(kData) when nothing matches.
std::vector<std::string> expand_files(const std::string& pattern, const Log& log);

}  // namespace moesaic
