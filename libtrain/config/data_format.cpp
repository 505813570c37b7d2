#include "config/data_format.h"

#include <utility>

#include "config/file_look.h"
#include "core/error.h"
#include "core/file_glob.h"

namespace moesaic {
namespace {

using Kind = FileLook::Kind;

constexpr const char* kSayText = "say format: text, and the JSON is text as it stands";

[[noreturn]] void refuse(const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kData, message, hint);
}

[[noreturn]] void refuse_foreign(const FileLook& file) {
  refuse(format("{} is {}, and no text", file.path, file.what), file.remedy);
}

DataFormat format_by_name(const FileLook& file) {
  const std::string extension = extension_of(file.path);
  if (is_named_lines(file.path)) return DataFormat::kJsonl;
  if (extension == ".tokens") return DataFormat::kTokenFile;
  if (extension == ".json" && file.kind == Kind::kJsonBegin) {
    refuse(format("{}: JSON over several lines, must be one object a line", file.path),
           format("write a document a line, {{\"text\": \"...\"}}; or {}", kSayText));
  }
  return DataFormat::kText;
}

DataFormat own_format(const FileLook& file) {
  switch (file.kind) {
    case Kind::kTokenFile:
      return DataFormat::kTokenFile;
    case Kind::kTextLines:
      return DataFormat::kJsonl;
    case Kind::kIdLines:
      return DataFormat::kTokens;
    case Kind::kChatLines:
      return DataFormat::kChat;
    case Kind::kPromptLines:
      return DataFormat::kPromptCompletion;
    case Kind::kBothLines:
      refuse(format("{}:{}: has both \"text\" and \"ids\"", file.path, file.line),
             "say which of them counts: format: jsonl, or format: tokens");
    case Kind::kOtherJson:
      refuse(format("{}:{}: {}, must be an object with \"text\" or \"ids\", with \"messages\", or "
                    "with \"prompt\" and \"completion\"",
                    file.path, file.line, file.what),
             format("name the key \"text\"; or {}", kSayText));
    case Kind::kForeign:
      refuse_foreign(file);
    case Kind::kWideText:  // bytes, for a tokenizer that takes them
      if (is_named_lines(file.path)) refuse_foreign(file);
      return DataFormat::kText;
    case Kind::kEmpty:
    case Kind::kText:
    case Kind::kJsonBegin:
      return format_by_name(file);
  }
  return DataFormat::kText;
}

// Of all files alike; empty ones have no say where there are others.
DataFormat common_format(const std::vector<FileLook>& files) {
  const FileLook* first = nullptr;
  DataFormat common = DataFormat::kText;
  for (const FileLook& file : files) {
    if (file.kind == Kind::kEmpty) continue;
    const DataFormat own = own_format(file);
    if (first != nullptr && own != common) {
      refuse(format("{} looks like format {}, and {} like {}", first->path, name_of(common),
                    file.path, name_of(own)),
             "make a source of each, or say which format all of them have");
    }
    if (first == nullptr) first = &file;
    common = own;
  }
  return first == nullptr ? own_format(files.front()) : common;
}

bool looks_like_lines(const FileLook& file) {
  const bool is_json = file.kind == Kind::kOtherJson || file.kind == Kind::kJsonBegin;
  return file.kind == Kind::kTextLines || file.kind == Kind::kIdLines ||
         file.kind == Kind::kBothLines || file.kind == Kind::kChatLines ||
         file.kind == Kind::kPromptLines || (is_json && is_named_lines(file.path));
}

// Text that the recipe calls so, whatever it holds; token files alone are refused.
std::vector<std::string> doubts_of_text(const std::vector<FileLook>& files) {
  std::vector<std::string> lines, foreign;  // paths
  for (const FileLook& file : files) {
    if (file.kind == Kind::kTokenFile)
      refuse(format("{} is a token file, and format is text", file.path), "say format: tokens");
    if (looks_like_lines(file)) lines.push_back(file.path);
    if (file.kind == Kind::kForeign) foreign.push_back(format("{} ({})", file.path, file.what));
  }
  const auto warning = [](const std::vector<std::string>& paths, const char* what) {
    const std::string more = paths.size() > 1 ? format(" and {} more", paths.size() - 1) : "";
    return format("{}{}: {}", paths.front(), more, what);
  };
  std::vector<std::string> warnings;
  if (!lines.empty()) {
    warnings.push_back(warning(lines,
                               "lines of JSON, of which format: text makes text with all keys and "
                               "quotes; format: jsonl takes \"text\" out of them"));
  }
  if (!foreign.empty())
    warnings.push_back(warning(foreign, "no text, and format: text takes its bytes for text"));
  return warnings;
}

// One of the formats of lines, as wanted; a token file where tokens are.
DataFormat lines_format(const std::vector<FileLook>& files, DataFormat wanted) {
  bool any_token_file = false;
  for (const FileLook& file : files) {
    const bool may_be = wanted == DataFormat::kTokens;
    const bool is_json = file.kind == Kind::kIdLines || file.kind == Kind::kBothLines;
    const bool is_named = extension_of(file.path) == ".tokens" && !is_json;
    if (may_be && (file.kind == Kind::kTokenFile || is_named)) {
      any_token_file = true;
    } else if (file.kind == Kind::kTokenFile) {
      refuse(format("{} is a token file, and format is {}", file.path, name_of(wanted)),
             "say format: tokens");
    } else if (file.kind == Kind::kForeign || file.kind == Kind::kWideText) {
      refuse_foreign(file);
    }
  }
  return any_token_file ? DataFormat::kTokenFile : wanted;
}

DataFormat format_named(const std::string& name) {
  constexpr DataFormat kNamed[] = {DataFormat::kText, DataFormat::kJsonl, DataFormat::kTokens,
                                   DataFormat::kPromptCompletion, DataFormat::kChat};
  std::vector<std::string> names = {"auto"};
  for (const DataFormat one : kNamed) {
    if (name == name_of(one)) return one;
    names.emplace_back(name_of(one));
  }
  MOESAIC_CHECK(name != "idx", ErrorKind::kRecipe,
                "data format idx is images, which have no tokens: a model of type mlp reads them");
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kRecipe,
              format("data format '{}' is unknown, allowed are {}", name, join(names, ", ")),
              near.empty() ? "" : format("did you mean {}?", near));
}

}  // namespace

const char* name_of(DataFormat format) {
  switch (format) {
    case DataFormat::kText:
      return "text";
    case DataFormat::kJsonl:
      return "jsonl";
    case DataFormat::kPromptCompletion:
      return "prompt_completion";
    case DataFormat::kChat:
      return "chat";
    case DataFormat::kTokens:
    case DataFormat::kTokenFile:
      break;
  }
  return "tokens";
}

bool is_of_text(DataFormat format) {
  return format != DataFormat::kTokens && format != DataFormat::kTokenFile;
}

bool has_completions(DataFormat format) {
  return format == DataFormat::kPromptCompletion || format == DataFormat::kChat;
}

DataFiles with_format(std::vector<std::string> files, const std::string& wanted) {
  const DataFormat given = wanted == "auto" ? DataFormat::kText : format_named(wanted);
  std::vector<FileLook> looks;
  for (const std::string& file : files) looks.push_back(look_at(file));
  DataFiles found{.files = std::move(files), .format = given, .warnings = {}};
  if (wanted == "auto") {
    found.format = common_format(looks);
  } else if (given == DataFormat::kText) {
    found.warnings = doubts_of_text(looks);
  } else {
    found.format = lines_format(looks, given);
  }
  return found;
}

DataFiles find_data(const SourceOptions& source, const Log& log) {
  return with_format(expand_files(source.path, log), source.format);
}

}  // namespace moesaic
