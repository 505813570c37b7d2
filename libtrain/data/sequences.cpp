#include "data/sequences.h"

#include <algorithm>
#include <limits>

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
  sequences.require_targets();
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
  sequences.require_targets();
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

std::int64_t Sequences::start(std::int64_t index) const {
  return starts_.empty() ? index * sequence_length_ : starts_[static_cast<std::size_t>(index)];
}

// The first id of a sequence is a target of nothing.
std::int64_t Sequences::targets(std::int64_t index) const {
  return tokens_->targets(start(index) + 1, inputs(index));
}

std::int64_t Sequences::total_targets() const {
  if (starts_.empty()) return tokens_->targets(1, size_ * sequence_length_);
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < size_; ++i) sum += targets(i);
  return sum;
}

void Sequences::require_targets() const {
  for (std::int64_t i = 0; i < size_; ++i) {
    if (targets(i) > 0) return;
  }
  throw Error(ErrorKind::kData,
              format("{}: none of its {} sequences has a target, the token file says so of all ids",
                     name(), size_),
              "make the token file again, with the ids that are to be learned as targets");
}

void Sequences::copy_ids(std::int64_t index, std::int64_t* out) const {
  tokens_->copy_ids(start(index), length(index), out);
}

void Sequences::add_to(BatchBuilder& batch, std::int64_t index,
                       const BatchBuilder::Document& document) const {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(length(index)));
  copy_ids(index, ids.data());
  std::vector<std::uint8_t> may_be_target;
  if (tokens_->has_target_bits()) {
    may_be_target.resize(ids.size());
    tokens_->copy_target_bits(start(index), length(index), may_be_target.data());
  }
  batch.add(ids, document, may_be_target);
}

std::int64_t Sequences::max_token_id() const { return tokens_->max_id(); }

const std::string& Sequences::name() const { return tokens_->name(); }

}  // namespace moesaic
