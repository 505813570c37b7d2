#include "data/sequences.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/token_file.h"

namespace moesaic {
namespace {

constexpr std::int64_t kMaxSequenceLength = std::numeric_limits<std::int32_t>::max() - 1;

}  // namespace

Sequences::Sequences(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length)
    : tokens_(std::move(tokens)), sequence_length_(sequence_length) {
  MOESAIC_CHECK(sequence_length >= 1 && sequence_length <= kMaxSequenceLength, ErrorKind::kRecipe,
                "data.sequence_length is {}, allowed are 1 to {}", sequence_length,
                kMaxSequenceLength);
}

Sequences Sequences::packed(std::shared_ptr<const TokenFile> tokens, std::int64_t sequence_length) {
  Sequences sequences(std::move(tokens), sequence_length);
  const TokenFile& file = *sequences.tokens_;
  sequences.size_ = (file.ids() - 1) / sequence_length;
  if (sequences.size_ == 0) {
    throw Error(ErrorKind::kData,
                format("{}: {} token ids make no sequence, one needs {} (data.sequence_length + 1)",
                       file.name(), file.ids(), sequence_length + 1),
                "add text, or lower data.sequence_length");
  }
  return sequences;
}

Sequences Sequences::per_document(std::shared_ptr<const TokenFile> tokens,
                                  std::int64_t sequence_length, LongDocuments long_documents) {
  Sequences sequences(std::move(tokens), sequence_length);
  const TokenFile& file = *sequences.tokens_;
  for (std::int64_t i = 0; i < file.documents(); ++i) {
    const std::int64_t start = file.document_start(i), end = file.document_start(i + 1);
    if (long_documents == LongDocuments::kRefuse && end - start > sequence_length + 1) {
      throw Error(ErrorKind::kData,
                  format("{}: document {} has {} token ids, at most {} are allowed "
                         "(data.sequence_length + 1)",
                         file.name(), i + 1, end - start, sequence_length + 1),
                  "raise data.sequence_length, cut the document, or set data.packing: true");
    }
    sequences.add_document(start, end);
  }
  sequences.size_ = static_cast<std::int64_t>(sequences.starts_.size());
  if (sequences.size_ == 0) {
    throw Error(ErrorKind::kData,
                format("{}: no sequence in {} documents with {} token ids together, a document "
                       "needs 2 ids",
                       file.name(), file.documents(), file.ids()),
                "add longer documents, or set data.packing: true");
  }
  return sequences;
}

void Sequences::add_document(std::int64_t start, std::int64_t end) {
  for (; end - start >= 2; start += sequence_length_) {
    starts_.push_back(start);
    lengths_.push_back(static_cast<std::uint32_t>(std::min(sequence_length_ + 1, end - start)));
  }
}

std::int64_t Sequences::length(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index < size_);
  return starts_.empty() ? sequence_length_ + 1 : lengths_[static_cast<std::size_t>(index)];
}

std::int64_t Sequences::total_targets() const {
  if (starts_.empty()) return size_ * sequence_length_;
  return std::accumulate(lengths_.begin(), lengths_.end(), std::int64_t{0}) - size_;
}

void Sequences::copy_ids(std::int64_t index, std::int64_t* out) const {
  const std::int64_t count = length(index);
  const std::int64_t start =
      starts_.empty() ? index * sequence_length_ : starts_[static_cast<std::size_t>(index)];
  tokens_->copy_ids(start, count, out);
}

std::int64_t Sequences::max_token_id() const { return tokens_->max_id(); }

const std::string& Sequences::name() const { return tokens_->name(); }

}  // namespace moesaic
