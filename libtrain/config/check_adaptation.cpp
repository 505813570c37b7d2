#include "config/check.h"
#include "config/name_pattern.h"
#include "config/training_table.h"

namespace moesaic {

void check_adaptation(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.adapt || problems.has_error("adapt")) return;
  const auto refuse = [&](bool wrong, const std::string& key, const std::string& message) {
    if (wrong) problems.error(place_of(places, key), key, message);
  };
  if (recipe.adapt->lora) {
    refuse(!recipe.model.from, "adapt.lora", "there is no model.from that it could adapt");
    refuse(recipe.moe.balance.moves_bias(), "moe.balance.type",
           "moves the correction biases, which stay as they are under adapt.lora; none, or a loss");
  }
  try {
    training_table(recipe, architecture_of(recipe));
  } catch (const KeyError& error) {
    refuse(true, error.key(), error.message());
  }
}

}  // namespace moesaic
