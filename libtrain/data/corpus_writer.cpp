#include "data/corpus_writer.h"

#include <utility>

#include "core/fs.h"
#include "data/input_file.h"

namespace moesaic {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{256} << 20U;
constexpr std::size_t kWaitingBytes = std::size_t{16} << 20U;     // of documents encoded together
constexpr std::uint64_t kMaxWholeText = std::uint64_t{4} << 30U;  // of one document held in memory

int id_bytes(DataFormat format, const Tokenizer& tokenizer) {
  return format != DataFormat::kTokens && tokenizer.vocab_size() <= 65536 ? 2 : 4;
}

}  // namespace

CorpusWriter::CorpusWriter(const std::string& path, DocumentEncoder encoder,
                           const Tokenizer& tokenizer, const Log& log, int threads,
                           std::function<void()> alive)
    : encoder_(std::move(encoder)),
      tokenizer_(tokenizer),
      log_(log),
      alive_(std::move(alive)),
      writer_(path, id_bytes(encoder_.data_format(), tokenizer)),
      threads_(tokenizer, threads) {
  MOESAIC_ASSERT(encoder_.data_format() != DataFormat::kTokenFile);
}

void CorpusWriter::add_file(const std::string& path) {
  InputFile file(path);
  counts_.bytes += file.size();
  if (encoder_.data_format() == DataFormat::kText) return add_text_file(file);
  std::string line;
  while (file.next_filled_line(line, kMaxLineBytes)) add_document(line, file.where());
}

void CorpusWriter::add_text_file(InputFile& file) {
  if (tokenizer_.encodes_in_pieces()) return add_in_pieces(file);
  std::string text = read_file(file.path(), ErrorKind::kData, kMaxWholeText);
  tokenizer_.require_text(text, file.path());
  add_document(std::move(text), file.path());
}

void CorpusWriter::add_in_pieces(InputFile& file) {
  encode_waiting();
  const std::uint64_t before = writer_.ids();
  std::vector<std::uint32_t> ids;
  for (auto block = file.next_block(); !block.empty(); block = file.next_block()) {
    if (alive_) alive_();
    ids.clear();
    tokenizer_.encode(block, ids);
    writer_.add(ids);
  }
  if (writer_.ids() == before) {
    ++counts_.empty_documents;
    return;
  }
  if (const auto end_of_text = tokenizer_.end_of_text()) writer_.add({&*end_of_text, 1});
  writer_.end_document();
}

void CorpusWriter::add_document(std::string text, std::string where) {
  waiting_bytes_ += text.size();
  waiting_.push_back({std::move(text), std::move(where)});
  if (waiting_bytes_ >= kWaitingBytes) encode_waiting();
}

void CorpusWriter::encode_waiting() {
  if (alive_) alive_();
  threads_.for_each(waiting_.size(), waiting_bytes_,
                    [this](const Tokenizer& tokenizer, std::size_t index) {
                      encode(waiting_[index], tokenizer);
                    });
  for (const Waiting& one : waiting_) write(one);
  waiting_.clear();
  waiting_bytes_ = 0;
}

void CorpusWriter::encode(Waiting& one, const Tokenizer& tokenizer) const {
  try {
    one.document = encoder_.encode(one.text, one.where, tokenizer);
  } catch (const Error& error) {
    const bool is_line = encoder_.data_format() != DataFormat::kText;
    if (!is_line || !encoder_.skips_errors() || error.kind() != ErrorKind::kData) throw;
    one.problem = error.what();
  }
}

void CorpusWriter::write(const Waiting& one) {
  if (!one.problem.empty()) {
    ++counts_.bad_lines;
    log_.warn("data: {}; the line is left out", one.problem);
  } else if (one.document.ids.empty()) {
    ++counts_.empty_documents;
  } else {
    writer_.add(one.document.ids, one.document.may_be_target);
    if (encoder_.names_owners())
      writer_.end_document(one.document.owner);
    else
      writer_.end_document();
  }
}

}  // namespace moesaic
