#include "common/without_effect.h"

#include <cstdio>

#include "core/format.h"

namespace moesaic {

void warn_without_effect(bool given, const std::string& option, const std::string& reason) {
  if (!given) return;
  std::fputs(format("warning: {} has no effect: {}\n", option, reason).c_str(), stderr);
}

}  // namespace moesaic
