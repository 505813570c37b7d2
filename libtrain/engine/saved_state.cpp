#include "engine/saved_state.h"

#include "config/training_table.h"

namespace moesaic {

StateDict saved_part(const Recipe& recipe, const ParameterSet& parameters) {
  StateDict state = state_of(parameters);
  std::erase_if(state, [&](const StateEntry& entry) {
    return !is_saved(recipe, *parameters.find(entry.name));
  });
  return state;
}

StateDict training_state(const TrainingParts& parts) {
  StateDict state = parts.optimizer->state();
  append(state_beside_optimizer(parts), state);
  return state;
}

StateDict state_beside_optimizer(const TrainingParts& parts) {
  StateDict state;
  for (const auto& part : parts.around) append(part->state(), state);
  for (const auto& transform : parts.transforms) append(transform->state(), state);
  return state;
}

void append(const StateDict& more, StateDict& state) {
  state.insert(state.end(), more.begin(), more.end());
}

StateDict on_host(StateDict state) {
  for (StateEntry& entry : state) entry.tensor = entry.tensor.cpu();
  return state;
}

void copy_back(const StateDict& host, const StateDict& live) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (!live[i].tensor.is_same(host[i].tensor)) at::Tensor(live[i].tensor).copy_(host[i].tensor);
  }
}

}  // namespace moesaic
