// Names of weights: one tensor per expert on the hub, `...experts.<i>.up_proj.weight`, joined here
// to one parameter `...experts.up_proj.weight` whose first dimension is the expert.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace moesaic {

struct HubName {
  std::string parameter;               // joined
  std::optional<std::int64_t> expert;  // its index; nullopt for a weight that is no expert's
};

/// A name of the hub, taken apart at ".experts.<digits>.".
HubName split_hub_name(const std::string& name);

/// The reverse: the hub's name of one expert of a joined parameter (which has ".experts." in it).
std::string hub_name(const std::string& parameter, std::int64_t expert);

/// The layer of "model.layers.<n>...."; nullopt for other names.
std::optional<std::int64_t> layer_of(const std::string& name);

}  // namespace moesaic
