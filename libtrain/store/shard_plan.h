// How the weights of an exported model are shared out over files. Pure arithmetic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic {

/// "5GB", "200MB", "64KiB" or a number of bytes. Error(kUsage) for anything else and for 0.
std::uint64_t parse_size(const std::string& text);

/// Tensors of these sizes, in order, into files of up to `most` bytes (a larger tensor has one of
/// its own): the number of the file of each tensor. At least one file.
std::vector<std::size_t> plan_shards(const std::vector<std::uint64_t>& bytes, std::uint64_t most);

/// model.safetensors, or model-00001-of-00003.safetensors.
std::string shard_name(std::size_t shard, std::size_t count);

}  // namespace moesaic
