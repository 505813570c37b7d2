// TokenFileWriter: a token file, written as a stream and published whole.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/digest.h"
#include "data/token_file.h"

namespace moesaic {

class TokenFileWriter {
 public:
  /// Writes beside `path`. `id_bytes` is 2 (ids up to 65,535) or 4.
  TokenFileWriter(const std::string& path, int id_bytes);
  /// Removes what was not published.
  ~TokenFileWriter();
  TokenFileWriter(const TokenFileWriter&) = delete;
  TokenFileWriter& operator=(const TokenFileWriter&) = delete;

  void add(std::span<const std::uint32_t> ids);  // to the current document
  void end_document();                           // which has one id at least

  std::uint64_t ids() const { return header_.ids; }
  std::uint64_t documents() const { return starts_.size() - 1; }

  /// Completes header and digests, fsyncs and renames. Needs one document at least.
  void publish();

 private:
  void write(const void* data, std::size_t bytes);
  template <class Id>
  void write_ids(std::span<const std::uint32_t> ids);
  [[noreturn]] void fail() const;

  std::string path_, temporary_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  TokenFileHeader header_;
  Digest digest_;
  std::vector<std::uint64_t> starts_ = {0};
};

}  // namespace moesaic
