#include "data/sequences.h"

#include <algorithm>
#include <limits>

#include "data/best_fit.h"
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
                                  std::int64_t sequence_length,
                                  const LongDocuments& long_documents) {
  Sequences sequences(std::move(tokens), sequence_length);
  sequences.pieces_ = pieces_of(*sequences.tokens_, sequence_length, long_documents);
  sequences.require_sequences();
  sequences.size_ = std::ssize(sequences.pieces_.list);
  sequences.require_targets();
  return sequences;
}

Sequences Sequences::best_fit(std::shared_ptr<const TokenFile> tokens,
                              std::int64_t sequence_length, const LongDocuments& long_documents) {
  Sequences sequences = per_document(std::move(tokens), sequence_length, long_documents);
  sequences.firsts_ = pack_best_fit(sequences.pieces_.list, sequence_length);
  sequences.size_ = std::ssize(sequences.firsts_) - 1;
  return sequences;
}

void Sequences::require_sequences() const {
  if (!pieces_.list.empty()) return;
  const std::string what = format("{}: no sequence in {} documents with {} token ids together",
                                  name(), tokens_->documents(), tokens_->ids());
  if (pieces_.skipped > 0) {
    throw Error(ErrorKind::kData,
                format("{}, {} of them are too long and skipped", what, pieces_.skipped),
                "raise data.sequence_length, or choose another data.too_long");
  }
  throw Error(ErrorKind::kData, what + ", a document needs 2 ids",
              "add longer documents, or set data.packing: true");
}

std::int64_t Sequences::documents(std::int64_t index) const {
  MOESAIC_ASSERT(index >= 0 && index < size_);
  if (firsts_.empty()) return 1;
  const auto first = firsts_.begin() + index;
  return first[1] - first[0];
}

Piece Sequences::piece(std::int64_t index, std::int64_t document) const {
  MOESAIC_ASSERT(document >= 0 && document < documents(index));
  if (pieces_.list.empty())
    return {index * sequence_length_, static_cast<std::uint32_t>(sequence_length_ + 1), 0};
  const std::int64_t first = firsts_.empty() ? index : firsts_[static_cast<std::size_t>(index)];
  return pieces_.list[static_cast<std::size_t>(first + document)];
}

std::int64_t Sequences::length(std::int64_t index) const {
  std::int64_t ids = 0;
  for (std::int64_t i = 0; i < documents(index); ++i) ids += piece(index, i).ids;
  return ids;
}

// The first id of a document is a target of nothing.
std::int64_t Sequences::targets(std::int64_t index) const {
  std::int64_t targets = 0;
  for (std::int64_t i = 0; i < documents(index); ++i) {
    const Piece one = piece(index, i);
    targets += tokens_->targets(one.start + 1 + one.repeats, one.inputs() - one.repeats);
  }
  return targets;
}

std::int64_t Sequences::total_targets() const {
  if (pieces_.list.empty()) return tokens_->targets(1, size_ * sequence_length_);
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < size_; ++i) sum += targets(i);
  return sum;
}

void Sequences::require_targets() const {
  for (std::int64_t i = 0; i < size_; ++i) {
    if (targets(i) > 0) return;
  }
  throw Error(ErrorKind::kData,
              format("{}: none of its {} sequences has a target", name(), size_),
              "no id in them may be learned: look for answers with \"train\": false, or that "
              "data.too_long or the end of the packing cuts off; a token file was made so");
}

void Sequences::copy_ids(std::int64_t index, std::int64_t* out) const {
  for (std::int64_t i = 0; i < documents(index); ++i) {
    const Piece one = piece(index, i);
    tokens_->copy_ids(one.start, one.ids, out);
    out += one.ids;
  }
}

void Sequences::add_to(BatchBuilder& batch, std::int64_t index,
                       const BatchBuilder::Document& document) const {
  std::vector<std::int64_t> ids;
  std::vector<std::uint8_t> may_be_target;
  for (std::int64_t i = 0; i < documents(index); ++i) {
    const Piece one = piece(index, i);
    ids.resize(one.ids);
    tokens_->copy_ids(one.start, one.ids, ids.data());
    may_be_target.clear();
    if (tokens_->has_target_bits() || one.repeats > 0) {
      may_be_target.assign(one.ids, 1);
      if (tokens_->has_target_bits())
        tokens_->copy_target_bits(one.start, one.ids, may_be_target.data());
      std::fill_n(may_be_target.begin(), one.repeats + 1, std::uint8_t{0});
    }
    batch.add(ids, document, may_be_target);
  }
}

std::int64_t Sequences::max_token_id() const { return tokens_->max_id(); }

const std::string& Sequences::name() const { return tokens_->name(); }

}  // namespace moesaic
