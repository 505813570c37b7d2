// FileKind: what the first bytes of a file say it is, where that is no plain text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moesaic {

struct FileKind {
  std::string name;    // "gzip data", "UTF-16 text" ...
  std::string remedy;  // what makes text of it
};

/// Of a file that begins with `head`; nothing for plain text and for what cannot be told.
std::optional<FileKind> file_kind(std::string_view head);

/// Whether it begins with a byte order mark of UTF-16 or UTF-32, or with "{" in one of them.
bool is_wide_text(std::string_view head);

/// Whether it begins as what `moesaic data build` writes.
bool is_token_file(std::string_view head);

/// Error(kData) that names `path` and what it is, where it is not what lines of JSON are read from.
void require_plain_text(std::string_view head, const std::string& path);

}  // namespace moesaic
