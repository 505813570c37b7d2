// IDX files by hand, plain or gzip.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace moesaic::testing {

/// The bytes of an IDX file of unsigned bytes.
inline std::string idx_bytes(const std::vector<std::uint32_t>& shape,
                             const std::vector<std::uint8_t>& values) {
  std::string bytes = {'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const std::uint32_t extent : shape) {
    for (const unsigned shift : {24U, 16U, 8U, 0U})
      bytes += static_cast<char>(static_cast<unsigned char>(extent >> shift));
  }
  for (const std::uint8_t value : values) bytes += static_cast<char>(value);
  return bytes;
}

/// A gzip file with this content.
inline std::string gzip_file(const TemporaryFolder& folder, const std::string& name,
                             const std::string& content) {
  const std::string path = folder.path() + "/" + name;
  gzFile file = gzopen(path.c_str(), "wb");
  EXPECT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
            static_cast<int>(content.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
  return path;
}

/// Images of 2 x 2 pixels, 10 i ... 10 i + 3, and their labels.
struct IdxPair {
  std::string images, labels;  // paths
};
inline IdxPair idx_pair(const TemporaryFolder& folder, const std::vector<std::uint8_t>& labels) {
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (std::size_t p = 0; p < 4; ++p) pixels.push_back(static_cast<std::uint8_t>(10 * i + p));
  }
  const auto count = static_cast<std::uint32_t>(labels.size());
  return {folder.file("images.idx", idx_bytes({count, 2, 2}, pixels)),
          gzip_file(folder, "labels.idx.gz", idx_bytes({count}, labels))};
}

}  // namespace moesaic::testing
