// CorpusWriter: documents of corpus files to one token file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/token_file_writer.h"
#include "data/tokenizer.h"

namespace moesaic {

class InputFile;

enum class CorpusFormat { kText, kJsonl, kTokens };

/// Of the name in a recipe: text | jsonl | tokens. Error(kRecipe) otherwise.
CorpusFormat corpus_format(const std::string& name);

class CorpusWriter {
 public:
  /// Id width 2 where the vocabulary allows it; `tokens` are not known before, so 4.
  CorpusWriter(const std::string& path, CorpusFormat format, const Tokenizer& tokenizer);

  /// text: one document; jsonl and tokens: one a line. Empty documents are skipped.
  void add_file(const std::string& path);
  void publish() { writer_.publish(); }

  std::uint64_t ids() const { return writer_.ids(); }
  std::uint64_t documents() const { return writer_.documents(); }
  std::uint64_t skipped_documents() const { return skipped_; }
  std::uint64_t bytes_read() const { return bytes_; }

 private:
  void add_text_file(InputFile& file);
  void add_lines(InputFile& file);
  void add_text(std::string_view text);
  void end_document(bool empty);

  CorpusFormat format_;
  const Tokenizer& tokenizer_;
  TokenFileWriter writer_;
  std::vector<std::uint32_t> ids_;
  std::uint64_t skipped_ = 0, bytes_ = 0;
};

}  // namespace moesaic
