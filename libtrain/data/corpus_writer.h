// CorpusWriter: documents of corpus files to one token file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/data_format.h"
#include "data/parallel_encoder.h"
#include "data/token_file_writer.h"
#include "data/tokenizer.h"

namespace moesaic {

class InputFile;

class CorpusWriter {
 public:
  /// Of files in `format`, which is not kTokenFile. Id width 2 where the vocabulary allows it;
  /// `tokens` are not known before, so 4. 0 threads = all cores; their number changes no byte of
  /// the file.
  CorpusWriter(const std::string& path, DataFormat format, const Tokenizer& tokenizer,
               int threads = 0);

  /// text: one document; jsonl and tokens: one a line. Empty documents are skipped. Error(kData)
  /// with the file and line or byte for what cannot be read.
  void add_file(const std::string& path);
  /// After the last file: all documents are in the counts below.
  void finish() { encode_waiting(); }
  void publish() { writer_.publish(); }

  std::uint64_t ids() const { return writer_.ids(); }
  std::uint64_t documents() const { return writer_.documents(); }
  std::uint64_t skipped_documents() const { return skipped_; }
  std::uint64_t bytes_read() const { return bytes_; }

 private:
  void add_text_file(InputFile& file);
  void add_lines(InputFile& file);
  void add_document(std::string text);
  void encode_waiting();
  void end_document(bool empty);

  DataFormat format_;
  const Tokenizer& tokenizer_;
  TokenFileWriter writer_;
  ParallelEncoder encoder_;
  std::vector<std::string> waiting_;  // documents, to be encoded together
  std::size_t waiting_bytes_ = 0;
  std::vector<std::uint32_t> ids_;
  std::uint64_t skipped_ = 0, bytes_ = 0;
};

}  // namespace moesaic
