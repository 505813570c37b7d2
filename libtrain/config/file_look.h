// FileLook: what a file of data looks like by its beginning.
#pragma once

#include <string>

namespace moesaic {

struct FileLook {
  enum class Kind {
    kEmpty,
    kText,
    kWideText,   // UTF-16 or UTF-32
    kForeign,    // neither text nor tokens: compressed, Parquet ..., also lines of JSON in UTF-16
    kTokenFile,  // made by `moesaic data build`
    kTextLines,  // the first line is a JSON object with "text"
    kIdLines,    // with "ids"
    kBothLines,
    kChatLines,    // with "messages" or "conversations"
    kPromptLines,  // with "prompt" and "completion"
    kOtherJson,    // the first line is JSON without any of them
    kJsonBegin     // begins like JSON, and goes on over several lines
  };

  std::string path;
  Kind kind = Kind::kText;
  std::string what;    // "gzip data", "an array" ...: for messages, where `kind` leaves it open
  std::string remedy;  // what makes text of it
  int line = 1;        // the first one that is not blank
};

/// Reads at most 1 MiB. Error(kData) for what is no regular file or cannot be read.
FileLook look_at(const std::string& path);

/// ".jsonl", in lower case whatever the name has.
std::string extension_of(const std::string& path);
/// By its name: .jsonl, .ndjson, .jsonlines.
bool is_named_lines(const std::string& path);

}  // namespace moesaic
