#include "config/training_table.h"

#include "config/parameter_groups.h"

namespace moesaic {

arch::ParameterTable training_table(const Recipe& recipe, const arch::Options& arch) {
  arch::ParameterTable table = arch::parameter_table(arch);
  apply_groups(recipe.optimizer.groups, table);  // last: they may name what was added
  return table;
}

}  // namespace moesaic
