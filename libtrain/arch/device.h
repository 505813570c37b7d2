// Device: the figures of what one rank runs on, an accelerator or a core, by which a step's time is
// predicted and the ranks are counted that a model needs.
#pragma once

#include <cstdint>
#include <string>

namespace moesaic::arch {

/// Figures as data sheets or measurements have them, and the share of each that a program reaches.
struct Device {
  std::string name;
  std::string type = "cuda";  // cuda | cpu, as parallel.device
  double memory_gb = 0;       // 10^9 bytes of one device
  // 10^12 FLOP a second of matrix products, a multiply-add counting 2.
  double float32_tflops = 0;
  double bfloat16_tflops = 0;   // 0 = as float32
  double memory_gb_per_s = 0;   // 10^9 bytes read and written a second
  double node_gb_per_s = 0;     // 10^9 bytes a second sent to the devices of its node
  double network_gb_per_s = 0;  // ... to other nodes, of each device when all send
  std::int64_t per_node = 1;    // devices of a node

  double usable_memory = 0.9;  // the rest: driver, communication's buffers, what lies in pieces
  double product_efficiency = 0.7;
  double memory_efficiency = 0.8;
  double link_efficiency = 0.8;

  /// Bytes that a rank may fill.
  double usable_bytes() const { return memory_gb * 1e9 * usable_memory; }
  /// FLOP a second of products of values of `compute_bytes`: 2 = bfloat16.
  double product_rate(std::int64_t compute_bytes) const {
    const bool narrow = compute_bytes == 2 && bfloat16_tflops > 0;
    const double wide = float32_tflops / (compute_bytes == 8 ? 2 : 1);
    return (narrow ? bfloat16_tflops : wide) * 1e12 * product_efficiency;
  }
  /// Bytes a second.
  double memory_rate() const { return memory_gb_per_s * 1e9 * memory_efficiency; }
  double node_rate() const { return node_gb_per_s * 1e9 * link_efficiency; }
  double network_rate() const { return network_gb_per_s * 1e9 * link_efficiency; }
};

}  // namespace moesaic::arch
