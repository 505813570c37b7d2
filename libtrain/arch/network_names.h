// What the hub calls the parts of a block's feed-forward network.
#pragma once

namespace moesaic::arch {

struct Options;

struct NetworkNames {
  const char* block = "mlp.";
  const char* gate = "gate_proj";  // of experts; a dense network has gate_proj, up_proj, down_proj
  const char* up = "up_proj";
  const char* down = "down_proj";
  const char* shared = "shared_experts.";
  const char* shared_gate = "shared_expert_gate";
};
const NetworkNames& network_names(const Options& options);

}  // namespace moesaic::arch
