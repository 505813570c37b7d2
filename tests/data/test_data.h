// What the data tests share: token files of given documents, and what they hold.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "data/sequences.h"
#include "data/token_file.h"
#include "data/token_file_writer.h"
#include "support/temporary_folder.h"

namespace moesaic::testing {

using Documents = std::vector<std::vector<std::uint32_t>>;
using TargetBits = std::vector<std::vector<std::uint8_t>>;  // of each document; empty = all
using Owners = std::vector<std::string>;  // of each document; empty = none has one

inline void write_tokens(const std::string& path, const Documents& documents, int id_bytes = 2,
                         const TargetBits& targets = {}, const Owners& owners = {}) {
  TokenFileWriter writer(path, id_bytes);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    writer.add(documents[i], targets.empty() ? std::vector<std::uint8_t>() : targets[i]);
    if (owners.empty())
      writer.end_document();
    else
      writer.end_document(owners[i]);
  }
  writer.publish();
}

inline std::shared_ptr<const TokenFile> tokens_of(const TemporaryFolder& folder,
                                                  const Documents& documents,
                                                  const std::string& name = "source",
                                                  const TargetBits& targets = {}) {
  const std::string path = folder.path() + "/" + name + ".tokens";
  write_tokens(path, documents, 2, targets);
  return TokenFile::open(path, name);
}

inline std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const auto* data = tensor.const_data_ptr<std::int64_t>();
  return {data, data + tensor.numel()};
}

/// 0, 1, 2 ... count - 1, from `first`.
inline std::vector<std::uint32_t> counting(std::uint32_t count, std::uint32_t first = 0) {
  std::vector<std::uint32_t> ids(count);
  for (std::uint32_t i = 0; i < count; ++i) ids[i] = first + i;
  return ids;
}

inline std::vector<std::int64_t> ids_of(const Sequences& sequences, std::int64_t index) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(sequences.length(index)));
  sequences.copy_ids(index, ids.data());
  return ids;
}

}  // namespace moesaic::testing
