#include "inference/eval_documents.h"

#include <utility>

#include "core/error.h"
#include "core/fs.h"
#include "data/json_line.h"
#include "data/token_file.h"
#include "inference/score_line.h"

namespace moesaic {
namespace {

constexpr std::size_t kLineBytes = std::size_t{256} << 20U;

}  // namespace

EvalDocuments::EvalDocuments(const std::string& path, const std::string& format,
                             EvalTask::Model model, const Log& log)
    : path_(path), model_(std::move(model)), by_line_(format == "auto") {
  const DataFiles data = with_format({path}, format);
  for (const std::string& warning : data.warnings) log.warn("data: {}", warning);
  format_ = data.format;
  if (format_ == DataFormat::kTokenFile) {
    tokens_ = TokenFile::open(path);
  } else if (format_ != DataFormat::kText) {
    input_.emplace(path);
  }
}

bool EvalDocuments::next(Document& document) {
  document.ids.clear();
  document.bytes = 0;
  document.of_text = false;
  if (tokens_) return read_tokens(document);
  return input_ ? read_line(document) : read_text(document);
}

bool EvalDocuments::read_text(Document& document) {
  if (read_++ > 0) return false;
  encode(read_file(path_, ErrorKind::kData), path_, document);
  return true;
}

bool EvalDocuments::read_line(Document& document) {
  std::string line;
  if (!input_->next_filled_line(line, kLineBytes)) return false;
  const std::string where = input_->where();
  TextOrIds read;
  if (by_line_) {
    read = read_text_or_ids_line(line, where);
  } else if (format_ == DataFormat::kJsonl) {
    read.text = read_text_line(line, where);
  } else {
    read.ids = read_ids_line(line, where);
  }
  document.ids = std::move(read.ids);
  if (read.text) encode(*read.text, where, document);
  require_in_vocabulary(document.ids, model_.vocab_size, where);
  return true;
}

bool EvalDocuments::read_tokens(Document& document) {
  if (read_ == tokens_->documents()) return false;
  const std::int64_t start = tokens_->document_start(read_++);
  std::vector<std::int64_t> ids(static_cast<std::size_t>(tokens_->document_start(read_) - start));
  tokens_->copy_ids(start, static_cast<std::int64_t>(ids.size()), ids.data());
  document.ids.assign(ids.begin(), ids.end());
  require_in_vocabulary(document.ids, model_.vocab_size, format("{}: document {}", path_, read_));
  return true;
}

void EvalDocuments::encode(const std::string& text, const std::string& where,
                           Document& document) const {
  if (!model_.tokenizer) {
    throw Error(ErrorKind::kData, "the model comes without a tokenizer",
                "give JSONL with {\"ids\": [...]}");
  }
  model_.tokenizer->require_text(text, where);
  model_.tokenizer->encode_with_special(text, document.ids);
  document.bytes = std::ssize(text);
  document.of_text = true;
}

}  // namespace moesaic
