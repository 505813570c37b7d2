#include "config/check.h"
#include "config/name_pattern.h"
#include "config/training_table.h"

namespace moesaic {

void check_adaptation(const Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.adapt || problems.has_error("adapt")) return;
  const auto refuse = [&](bool wrong, const std::string& key, const std::string& message) {
    if (wrong) problems.error(place_of(places, key), key, message);
  };
  refuse(recipe.adapt->from && !recipe.adapt->lora, "adapt.from",
         "says what adapt.lora goes on from, and there is none");
  refuse(recipe.adapt->lora && !recipe.model.from, "adapt.lora",
         "there is no model.from that it could adapt");
  const bool few = recipe.adapt->lora || recipe.adapt->esft;
  refuse(few && recipe.moe.balance.moves_bias(), "moe.balance.type",
         format("moves the correction biases, which stay as they are under adapt.{}; none, or a "
                "loss",
                recipe.adapt->lora ? "lora" : "esft"));
  if (recipe.adapt->esft) {
    refuse(recipe.adapt->lora.has_value(), "adapt.esft",
           "trains chosen experts and what adapt.train names, nothing else; remove it or "
           "adapt.lora");
    refuse(recipe.moe.placement == "balanced", "moe.placement",
           "balanced moves experts from rank to rank; under adapt.esft they stay in_order");
  }
  try {
    training_table(recipe, architecture_of(recipe));
  } catch (const KeyError& error) {
    refuse(true, error.key(), error.message());
  }
}

}  // namespace moesaic
