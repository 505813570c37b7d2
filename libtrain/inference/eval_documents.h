// EvalDocuments: the documents of a file as token ids, whatever the format of the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/data_format.h"
#include "core/log.h"
#include "data/input_file.h"
#include "inference/eval_task.h"

namespace moesaic {

class TokenFile;

class EvalDocuments {
 public:
  struct Document {
    std::vector<std::uint32_t> ids;
    std::int64_t bytes = 0;  // of its text
    bool of_text = false;    // false: its ids were given
  };

  /// `format`: auto | text | jsonl | tokens; with auto each line of JSON may have text or ids.
  /// Error(kData) as of with_format().
  EvalDocuments(const std::string& path, const std::string& format, EvalTask::Model model,
                const Log& log);

  /// False at the end. Error(kData) with file and line for what cannot be read, and for ids that
  /// the model does not have.
  bool next(Document& document);

 private:
  bool read_text(Document& document);
  bool read_line(Document& document);
  bool read_tokens(Document& document);
  void encode(const std::string& text, const std::string& where, Document& document) const;

  std::string path_;
  EvalTask::Model model_;
  bool by_line_ = false;  // whether each line says what it has
  DataFormat format_ = DataFormat::kText;
  std::optional<InputFile> input_;           // of lines
  std::shared_ptr<const TokenFile> tokens_;  // of a token file
  std::int64_t read_ = 0;                    // documents
};

}  // namespace moesaic
