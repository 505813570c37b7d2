#include "config/training_table.h"

namespace moesaic {

arch::ParameterTable training_table(const Recipe& /*recipe*/, const arch::Options& arch) {
  return arch::parameter_table(arch);  // no block of a recipe rewrites it yet
}

}  // namespace moesaic
