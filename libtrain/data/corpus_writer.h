// CorpusWriter: documents of corpus files to one token file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/log.h"
#include "data/document_encoder.h"
#include "data/parallel_encoder.h"
#include "data/token_file_writer.h"
#include "data/tokenizer.h"

namespace moesaic {

class InputFile;

class CorpusWriter {
 public:
  struct Counts {
    std::uint64_t empty_documents = 0, bad_lines = 0;  // left out
    std::uint64_t bytes = 0;                           // read
  };

  /// Of files in the encoder's format, which is not kTokenFile. Id width 2 where the vocabulary
  /// allows it; `tokens` are not known before, so 4. 0 threads = all cores; their number changes
  /// no byte of the file. Lines that are left out go to the log. `alive` is called once in a while.
  CorpusWriter(const std::string& path, DocumentEncoder encoder, const Tokenizer& tokenizer,
               const Log& log, int threads = 0, std::function<void()> alive = {});

  /// text: one document; else one a line. Empty documents are left out, and bad lines where the
  /// encoder skips errors: else Error(kData) with the file and line or byte for what cannot be
  /// read.
  void add_file(const std::string& path);
  /// After the last file: all documents are in the counts below.
  void finish() { encode_waiting(); }
  void publish() { writer_.publish(); }

  std::uint64_t ids() const { return writer_.ids(); }
  std::uint64_t documents() const { return writer_.documents(); }
  const Counts& counts() const { return counts_; }

 private:
  struct Waiting {  // to be encoded together with others
    std::string text, where;
    EncodedDocument document = {};
    std::string problem = {};
  };

  void add_text_file(InputFile& file);
  void add_in_pieces(InputFile& file);
  void add_document(std::string text, std::string where);
  void encode_waiting();
  void encode(Waiting& one, const Tokenizer& tokenizer) const;
  void write(const Waiting& one);

  DocumentEncoder encoder_;
  const Tokenizer& tokenizer_;
  Log log_;
  std::function<void()> alive_;
  TokenFileWriter writer_;
  ParallelEncoder threads_;
  std::vector<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  Counts counts_;
};

}  // namespace moesaic
