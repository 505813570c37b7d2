// LayerTraining: what of a layer is trained, as the table says: which linear maps need their inputs
// for backward, and where backward ends.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "arch/parameter_table.h"

namespace moesaic::arch {

/// The maps of a group by what they read: what the half of the layer begins with, latents, or what
/// its end takes back to the stream.
enum class MapPlace { kIn, kLatent, kOut };

/// Maps with one input.
struct MapTraining {
  bool weight = false;  // one of the weights is trained, and needs the input
  int adapters = 0;     // beside frozen weights, whose first factors need it
  double ranks = 0;     // of adapters, whose second factors need what the first ones gave

  bool any() const { return weight || adapters > 0 || ranks > 0; }
};

class LayerTraining {
 public:
  /// All is trained.
  LayerTraining() = default;
  /// `below`: something that the layer's input depends on is trained. `rows`: the layer's.
  LayerTraining(const Options& options, const std::vector<const ParameterInfo*>& rows, bool below);

  MapTraining maps(Group group, MapPlace place) const;
  /// The input of the layer has a gradient.
  bool input() const { return input_; }
  /// What attention reads has one.
  bool attention() const { return attention_; }
  /// The stream after attention has one.
  bool stream() const { return stream_; }
  /// What the network's inner maps give has one.
  bool network() const { return network_; }
  /// The result of the layer has one.
  bool output() const { return output_; }

 private:
  bool all_ = true;
  bool input_ = true, attention_ = true, stream_ = true, network_ = true, output_ = true;
  std::map<std::pair<Group, MapPlace>, MapTraining> maps_;
};

/// Of each layer, those for multi-token prediction last.
std::vector<LayerTraining> training_of_layers(const Options& options, const ParameterTable& table);

}  // namespace moesaic::arch
