#include "data/corpus_writer.h"

#include "core/fs.h"
#include "data/input_file.h"
#include "data/json_line.h"

namespace moesaic {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{256} << 20U;
constexpr std::size_t kWaitingBytes = std::size_t{16} << 20U;     // of documents encoded together
constexpr std::uint64_t kMaxWholeText = std::uint64_t{4} << 30U;  // of one document held in memory

int id_bytes(DataFormat format, const Tokenizer& tokenizer) {
  return format != DataFormat::kTokens && tokenizer.vocab_size() <= 65536 ? 2 : 4;
}

}  // namespace

CorpusWriter::CorpusWriter(const std::string& path, DataFormat format, const Tokenizer& tokenizer,
                           int threads)
    : format_(format),
      tokenizer_(tokenizer),
      writer_(path, id_bytes(format, tokenizer)),
      encoder_(tokenizer, threads) {
  MOESAIC_ASSERT(format != DataFormat::kTokenFile);
}

void CorpusWriter::add_file(const std::string& path) {
  InputFile file(path);
  bytes_ += file.size();
  if (format_ == DataFormat::kText)
    add_text_file(file);
  else
    add_lines(file);
}

void CorpusWriter::add_text_file(InputFile& file) {
  if (!tokenizer_.encodes_in_pieces()) {
    std::string text = read_file(file.path(), ErrorKind::kData, kMaxWholeText);
    tokenizer_.require_text(text, file.path());
    return add_document(std::move(text));
  }
  encode_waiting();
  const std::uint64_t before = writer_.ids();
  for (auto block = file.next_block(); !block.empty(); block = file.next_block()) {
    ids_.clear();
    tokenizer_.encode(block, ids_);
    writer_.add(ids_);
  }
  end_document(writer_.ids() == before);
}

void CorpusWriter::add_lines(InputFile& file) {
  std::string line;
  while (file.next_filled_line(line, kMaxLineBytes)) {
    if (format_ == DataFormat::kJsonl) {
      add_document(read_text_line(line, file.where()));
      continue;
    }
    const auto line_ids = read_ids_line(line, file.where());
    writer_.add(line_ids);
    end_document(line_ids.empty());
  }
}

void CorpusWriter::add_document(std::string text) {
  waiting_bytes_ += text.size();
  waiting_.push_back(std::move(text));
  if (waiting_bytes_ >= kWaitingBytes) encode_waiting();
}

void CorpusWriter::encode_waiting() {
  for (const auto& document : encoder_.encode(waiting_)) {
    writer_.add(document);
    end_document(document.empty());
  }
  waiting_.clear();
  waiting_bytes_ = 0;
}

void CorpusWriter::end_document(bool empty) {
  if (empty) {
    ++skipped_;
    return;
  }
  const auto end_of_text = tokenizer_.end_of_text();
  if (format_ != DataFormat::kTokens && end_of_text) writer_.add({&*end_of_text, 1});
  writer_.end_document();
}

}  // namespace moesaic
