// HubOrigin: what a model brings along from the Hugging Face folder that it came from, so that an
// export gives it back.
#pragma once

#include <c10/core/ScalarType.h>

#include <map>
#include <string>

namespace moesaic {

/// Empty for a model that Moesaic initialised.
struct HubOrigin {
  std::map<std::string, std::string> files;  // name -> content of the small files; chief only
  /// Parameter name ("experts." joined) -> dtype there; the same on all ranks.
  std::map<std::string, at::ScalarType> dtypes;
};

}  // namespace moesaic
