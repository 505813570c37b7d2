// TokenFile: the ids of one source in a memory-mapped file. Little-endian layout (docs/data.md):
//   128 bytes of header | ids, 2 or 4 bytes each | zeros up to a multiple of 8 | documents + 1
//   offsets
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/fs.h"

namespace moesaic {

/// The first bytes of a token file, as they lie there.
struct TokenFileHeader {
  static constexpr char kMagic[8] = {'M', 'O', 'E', 'S', 'A', 'I', 'C', 'T'};
  static constexpr std::uint32_t kVersion = 1;

  char magic[8] = {};
  std::uint32_t version = kVersion;
  std::uint32_t id_bytes = 4;
  std::uint64_t ids = 0;
  std::uint64_t documents = 0;
  std::uint64_t max_id = 0;
  char payload_digest[32] = {};  // hexadecimal XXH3-128 of all that follows the header
  char reserved[24] = {};        // zeros
  char header_digest[32] = {};   // of the bytes before it

  std::string digest() const;
};
static_assert(sizeof(TokenFileHeader) == 128);

class TokenFile {
 public:
  /// Checks header, sizes and document offsets, so that nothing read later lies outside the file;
  /// Error(kData) says what is wrong. `name` is what messages call it: the source of the recipe.
  static std::shared_ptr<const TokenFile> open(const std::string& path,
                                               const std::string& name = "");

  const std::string& path() const { return path_; }
  const std::string& name() const { return name_; }
  const TokenFileHeader& header() const { return header_; }
  std::int64_t ids() const { return static_cast<std::int64_t>(header_.ids); }
  std::int64_t documents() const { return static_cast<std::int64_t>(header_.documents); }
  std::int64_t max_id() const { return static_cast<std::int64_t>(header_.max_id); }

  /// First id of document `index`; of `documents()`, the number of ids.
  std::int64_t document_start(std::int64_t index) const;
  /// Ids `start` to `start + count`. Error(kData) when one is above `max_id()`: the file is
  /// damaged.
  void copy_ids(std::int64_t start, std::int64_t count, std::int64_t* out) const;
  /// Reads the whole file and compares its digest.
  bool verify() const;

 private:
  TokenFile(const std::string& path, const std::string& name);
  void check_header() const;
  void check_offsets() const;
  const char* payload() const { return map_.bytes().data() + sizeof(TokenFileHeader); }
  [[noreturn]] void damaged(const std::string& why) const;

  std::string path_, name_;
  MappedFile map_;
  TokenFileHeader header_;
};

/// Bytes of the ids, padded so that the offsets behind them are aligned.
constexpr std::uint64_t padded_id_bytes(std::uint64_t ids, std::uint64_t id_bytes) {
  return (ids * id_bytes + 7) / 8 * 8;
}

}  // namespace moesaic
