// What the data tests share: a temporary folder, and token files of given documents.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fs.h"
#include "core/log.h"
#include "data/sequences.h"
#include "data/token_file.h"
#include "data/token_file_writer.h"

namespace moesaic::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moesaic-data-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  /// Path of a file with this content.
  std::string file(const std::string& name, const std::string& content) const {
    const std::string path = path_ + "/" + name;
    make_folder(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::vector<std::string> names(const std::string& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_ + "/" + folder)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

 private:
  std::string path_;
};

inline Log silent() {
  Log::Options options;
  options.console = false;
  return Log(options);
}

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

/// The error that `action` throws must be of `kind` and hold `part`.
inline void expect_error(ErrorKind kind, const std::string& part,
                         const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(name_of(error.kind()), std::string(name_of(kind))) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << "got:      " << error.what() << "\nexpected: " << part;
  }
}

}  // namespace moesaic::testing
