// TokenFile: the ids of one source in a memory-mapped file, and what is known of them: which may be
// targets, and whose a document is. The layout is in docs/data.md, "Token files".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/fs.h"

namespace moesaic {

/// The first bytes of a token file, as they lie there (little-endian).
struct TokenFileHeader {
  static constexpr char kMagic[8] = {'M', 'O', 'E', 'S', 'A', 'I', 'C', 'T'};
  static constexpr std::uint32_t kPlain = 1;                 // version without any of the sections
  static constexpr std::uint32_t kWithSections = 2;          // version with some
  static constexpr std::uint32_t kTargets = 1, kOwners = 2;  // sections

  char magic[8] = {};
  std::uint32_t version = kPlain;
  std::uint32_t id_bytes = 4;
  std::uint64_t ids = 0;
  std::uint64_t documents = 0;
  std::uint64_t max_id = 0;
  char payload_digest[32] = {};  // hexadecimal XXH3-128 of all that follows the header
  std::uint32_t sections = 0;    // that the file has: a sum of those above
  std::uint32_t reserved = 0;
  std::uint64_t owners = 0;
  std::uint64_t owner_name_bytes = 0;  // of all names together
  char header_digest[32] = {};         // of the bytes before it

  std::string digest() const;
};
static_assert(sizeof(TokenFileHeader) == 128);

/// Where the parts of the file lie, from its first byte. A part that is not there is empty.
struct TokenFileLayout {
  std::uint64_t documents, targets, owners, name_offsets, names, end;

  /// Sizes cannot overflow while counts stay below 2^48.
  static TokenFileLayout of(const TokenFileHeader& header);
};

/// Parts begin at multiples of 8; between them are zeros.
constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 7) / 8 * 8; }

class TokenFile {
 public:
  /// Checks header, sizes, offsets and owners, so that nothing read later lies outside the file;
  /// Error(kData) says what is wrong. `name` is what messages call it: the source of the recipe.
  static std::shared_ptr<const TokenFile> open(const std::string& path,
                                               const std::string& name = "");

  const std::string& path() const { return path_; }
  const std::string& name() const { return name_; }
  const TokenFileHeader& header() const { return header_; }
  /// Of all that follows the header, as the header says; verify() computes it.
  std::string digest() const {
    return std::string(header_.payload_digest, sizeof header_.payload_digest);
  }
  std::int64_t ids() const { return static_cast<std::int64_t>(header_.ids); }
  std::int64_t documents() const { return static_cast<std::int64_t>(header_.documents); }
  std::int64_t max_id() const { return static_cast<std::int64_t>(header_.max_id); }

  /// First id of document `index`; of `documents()`, the number of ids.
  std::int64_t document_start(std::int64_t index) const;
  /// Ids `start` to `start + count`. Error(kData) when one is above `max_id()`: the file is
  /// damaged.
  void copy_ids(std::int64_t start, std::int64_t count, std::int64_t* out) const;

  /// Whether the file says which ids may be targets; all may where it does not. What has no id
  /// before it in its sequence is a target of nothing, whatever its bit says.
  bool has_target_bits() const { return (header_.sections & TokenFileHeader::kTargets) != 0; }
  /// Of ids `start` to `start + count`: 1 where it may be a target, else 0.
  void copy_target_bits(std::int64_t start, std::int64_t count, std::uint8_t* out) const;
  /// How many of ids `start` to `start + count` may be targets.
  std::int64_t targets(std::int64_t start, std::int64_t count) const;

  /// 0 where documents have no owners; else each has one.
  std::int64_t owners() const { return static_cast<std::int64_t>(header_.owners); }
  /// Of document `index`, from 0 to owners() - 1.
  std::int64_t owner(std::int64_t index) const;
  /// Names ascend by their bytes: each occurs once, and files can be joined by them.
  std::string_view owner_name(std::int64_t owner) const;

  /// Reads the whole file and compares its digest.
  bool verify() const;

 private:
  TokenFile(const std::string& path, const std::string& name);
  void check_header() const;
  void check_sections() const;
  void check_documents() const;
  void check_owners() const;
  template <class Number>
  Number number_at(std::uint64_t part, std::int64_t index) const;
  [[noreturn]] void damaged(const std::string& why) const;

  std::string path_, name_;
  MappedFile map_;
  TokenFileHeader header_;
  TokenFileLayout layout_ = {};
};

}  // namespace moesaic
