// TokenFileWriter: a token file, written as a stream and published whole.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
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

  /// To the current document. `may_be_target`: one value an id, 0 where it is no target; empty =
  /// all may be. What it says of the first id of a document matters only where documents are packed
  /// end to end.
  void add(std::span<const std::uint32_t> ids, std::span<const std::uint8_t> may_be_target = {});
  /// The document has one id at least. Each document of a file has an owner, or none has.
  void end_document();
  void end_document(std::string_view owner);

  std::uint64_t ids() const { return header_.ids; }
  std::uint64_t documents() const { return starts_.size() - 1; }

  /// Completes header and digests, fsyncs and renames. Needs one document at least. A file has the
  /// sections that it needs: target bits where some id is no target, owners where there are some.
  void publish();

 private:
  void write(const void* data, std::size_t bytes);
  template <class Id>
  void write_ids(std::span<const std::uint32_t> ids);
  void note_targets(std::size_t ids, std::span<const std::uint8_t> may_be_target);
  void write_targets();
  void write_owners();
  void pad();  // to a multiple of 8
  [[noreturn]] void fail() const;

  std::string path_, temporary_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  TokenFileHeader header_;
  Digest digest_;
  std::uint64_t written_ = 0;  // bytes after the header
  std::vector<std::uint64_t> starts_ = {0};
  std::vector<bool> may_be_target_;                           // empty until some id is no target
  std::map<std::string, std::uint32_t, std::less<>> owners_;  // numbered as they came
  std::vector<std::uint32_t> owner_of_document_;
};

}  // namespace moesaic
