// One architecture family: how its config.json is read and written, and which parameters a block
// has.
#pragma once

#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/config_reader.h"

namespace moesaic::arch {

struct Family {
  const char* model_type;
  const char* causal_lm_class;  // `architectures` of config.json
  Options (*read)(ConfigReader& reader);
  void (*write)(const Options& options, Json& config);  // the keys that only this family has
  void (*mlp)(const Options& options, const std::string& prefix, std::vector<ParameterInfo>& table);
};

extern const Family kOlmoe;
extern const Family kLlama;

/// Largest values that a size may have: above them a configuration is a mistake or an attack.
inline constexpr std::int64_t kMostWidth = std::int64_t{1} << 24;
inline constexpr std::int64_t kMostLayers = 4096;
inline constexpr std::int64_t kMostExperts = 65536;
inline constexpr double kMostParameters = 1e15;

/// Reads the keys that every decoder has, into `options` that hold the family's defaults.
void read_decoder(ConfigReader& reader, Options& options);

/// The entries of a table: a linear map [out, in], a bias of zeros, a norm of ones.
ParameterInfo linear(std::string name, std::int64_t out, std::int64_t in);
ParameterInfo bias(std::string name, std::vector<std::int64_t> shape);
ParameterInfo norm(std::string name, std::int64_t width);

/// The whole model, in the order in which a forward pass meets the parameters.
std::vector<ParameterInfo> decoder_table(const Family& family, const Options& options);

}  // namespace moesaic::arch
