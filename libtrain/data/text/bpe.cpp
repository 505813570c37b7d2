#include <algorithm>
#include <array>
#include <queue>
#include <unordered_map>

#include "core/error.h"
#include "core/json.h"
#include "data/text/byte_alphabet.h"
#include "data/text/merge_table.h"
#include "data/text/token_model.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

constexpr std::size_t kShort = 48;        // symbols: a scan is faster than a queue
constexpr std::size_t kCachedBytes = 64;  // of a piece
constexpr std::size_t kCachedPieces = 1 << 17;

using Ids = std::vector<std::uint32_t>;

// What does not change, shared by the copies for several threads.
struct Tables {
  std::shared_ptr<const Vocabulary> vocabulary;
  BpeOptions options;  // without the merges
  MergeTable merges;
  std::optional<std::uint32_t> unknown;
  std::array<std::int64_t, 256> byte_id{};  // raw_bytes: of each byte; byte_fallback: of <0x..>
  std::unordered_map<std::string, std::uint32_t> raw;  // ignore_merges with raw_bytes

  explicit Tables(std::size_t count) : merges(count) { byte_id.fill(-1); }

  std::optional<std::uint32_t> whole(const std::string& piece) const {
    if (!options.raw_bytes) return vocabulary->id(piece);
    const auto found = raw.find(piece);
    return found == raw.end() ? std::nullopt : std::optional(found->second);
  }
};

// Joins neighbours until no pair of `ids` has a merge: always the one of the smallest rank, of
// equals the first.
void merge_short(const MergeTable& merges, Ids& ids) {
  std::array<Merge, kShort> next;  // of symbol i with i + 1
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) next[i] = merges.get(ids[i], ids[i + 1]);
  while (ids.size() > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < ids.size(); ++i)
      if (next[i].rank < next[best].rank) best = i;
    if (!next[best].exists()) return;
    ids[best] = next[best].id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    std::copy(next.begin() + static_cast<std::ptrdiff_t>(best) + 1,
              next.begin() + static_cast<std::ptrdiff_t>(ids.size()),
              next.begin() + static_cast<std::ptrdiff_t>(best));
    if (best > 0) next[best - 1] = merges.get(ids[best - 1], ids[best]);
    if (best + 1 < ids.size()) next[best] = merges.get(ids[best], ids[best + 1]);
  }
}

// The same with a queue, for pieces whose squared length is much.
void merge_long(const MergeTable& merges, Ids& ids) {
  struct Candidate {
    std::uint32_t rank;
    std::size_t at;  // of the left symbol
    std::uint32_t left, right, id;
    bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
  };
  constexpr std::uint32_t kGone = UINT32_MAX;
  const std::size_t count = ids.size();
  std::vector<std::size_t> before(count), after(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::size_t at) {
    if (at >= count || after[at] >= count) return;
    const Merge merge = merges.get(ids[at], ids[after[at]]);
    if (merge.exists()) queue.push({merge.rank, at, ids[at], ids[after[at]], merge.id});
  };
  for (std::size_t i = 0; i < count; ++i) before[i] = i - 1, after[i] = i + 1;
  for (std::size_t i = 0; i < count; ++i) consider(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const std::size_t right = after[top.at];
    if (ids[top.at] != top.left || right >= count || ids[right] != top.right) continue;
    ids[top.at] = top.id;
    ids[right] = kGone;
    after[top.at] = after[right];
    if (after[right] < count) before[after[right]] = top.at;
    consider(before[top.at]);
    consider(top.at);
  }
  std::erase(ids, kGone);
}

class Bpe : public TokenModel {
 public:
  explicit Bpe(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

  void tokenize(std::string_view piece, Ids& ids) override {
    if (piece.empty()) return;
    if (piece.size() > kCachedBytes) return append(encoded(piece), ids);
    key_ = piece;
    const auto found = cache_.find(key_);
    if (found != cache_.end()) return append(found->second, ids);
    if (cache_.size() >= kCachedPieces) cache_.clear();
    append(cache_.emplace(key_, encoded(piece)).first->second, ids);
  }

  std::unique_ptr<TokenModel> clone() const override { return std::make_unique<Bpe>(tables_); }

 private:
  static void append(const Ids& from, Ids& to) { to.insert(to.end(), from.begin(), from.end()); }

  const Ids& encoded(std::string_view piece) {
    symbols_.clear();
    if (tables_->options.ignore_merges) {
      if (const auto id = tables_->whole(std::string(piece))) {
        symbols_.push_back(*id);
        return symbols_;
      }
    }
    if (tables_->options.raw_bytes)
      bytes_of(piece);
    else
      characters_of(piece);
    if (symbols_.size() <= kShort)
      merge_short(tables_->merges, symbols_);
    else
      merge_long(tables_->merges, symbols_);
    return symbols_;
  }

  void bytes_of(std::string_view piece) {
    bool unknown = false;
    for (const char c : piece) {
      const std::int64_t id = tables_->byte_id[static_cast<unsigned char>(c)];
      if (id >= 0)
        symbols_.push_back(static_cast<std::uint32_t>(id));
      else if (tables_->unknown && !(unknown && tables_->options.fuse_unk))
        symbols_.push_back(*tables_->unknown);
      unknown = id < 0;
    }
  }

  void characters_of(std::string_view piece) {
    const BpeOptions& o = tables_->options;
    std::size_t unknown = 0;  // unknown tokens that are still to be written
    const auto flush = [&] {
      for (; unknown > 0; --unknown) symbols_.push_back(*tables_->unknown);
    };
    for (std::size_t at = 0, length = 0; at < piece.size(); at += length) {
      unicode::decode(piece, at, length);
      character_ = at == 0 ? "" : o.continuing_subword_prefix;
      character_ += piece.substr(at, length);
      if (at + length == piece.size()) character_ += o.end_of_word_suffix;
      if (const auto id = tables_->vocabulary->id(character_)) {
        flush();
        symbols_.push_back(*id);
      } else if (!fall_back() && tables_->unknown) {
        if (!o.fuse_unk) flush();
        unknown = 1;
      }
    }
    flush();
  }

  // The character as tokens of its bytes; false where one of them is missing.
  bool fall_back() {
    if (!tables_->options.byte_fallback) return false;
    const auto id_of = [this](char c) { return tables_->byte_id[static_cast<unsigned char>(c)]; };
    for (const char c : character_)
      if (id_of(c) < 0) return false;
    for (const char c : character_) symbols_.push_back(static_cast<std::uint32_t>(id_of(c)));
    return true;
  }

  std::shared_ptr<const Tables> tables_;
  std::unordered_map<std::string, Ids> cache_;
  std::string key_, character_;
  Ids symbols_;
};

void add_merges(const BpeOptions& options, const std::string& where, Tables& tables) {
  const auto id_of = [&](const std::string& token, std::size_t rank) {
    const auto id = tables.vocabulary->id(token);
    MOESAIC_CHECK(id.has_value(), ErrorKind::kData,
                  "{}: merge {} ('{}' '{}') needs the token '{}', which is not in the vocabulary",
                  where, rank, printable(options.merges[rank].first),
                  printable(options.merges[rank].second), printable(token));
    return *id;
  };
  const std::size_t prefix = options.continuing_subword_prefix.size();
  for (std::size_t rank = 0; rank < options.merges.size(); ++rank) {
    const auto& [left, right] = options.merges[rank];
    MOESAIC_CHECK(right.size() >= prefix, ErrorKind::kData,
                  "{}: merge {}: '{}' is shorter than the prefix of subwords", where, rank,
                  printable(right));
    tables.merges.set(id_of(left, rank), id_of(right, rank),
                      {static_cast<std::uint32_t>(rank), id_of(left + right.substr(prefix), rank)});
  }
}

void add_bytes(Tables& tables) {
  for (unsigned b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    const auto id = tables.vocabulary->id(
        tables.options.raw_bytes ? byte_alphabet::to_characters(byte) : format("<0x{:02X}>", b));
    if (id) tables.byte_id[b] = *id;
  }
  if (!tables.options.raw_bytes || !tables.options.ignore_merges) return;
  for (const auto& [token, id] : tables.vocabulary->entries()) {
    if (unicode::valid_prefix(token) != token.size()) continue;
    if (auto bytes = byte_alphabet::to_bytes(token)) tables.raw.emplace(std::move(*bytes), id);
  }
}

}  // namespace

std::unique_ptr<TokenModel> make_bpe(std::shared_ptr<const Vocabulary> vocabulary,
                                     const BpeOptions& options, const std::string& where) {
  auto tables = std::make_shared<Tables>(options.merges.size());
  tables->vocabulary = std::move(vocabulary);
  tables->options = options;
  tables->options.merges.clear();
  if (!options.unk_token.empty()) {
    tables->unknown = tables->vocabulary->id(options.unk_token);
    MOESAIC_CHECK(tables->unknown.has_value(), ErrorKind::kData,
                  "{}: unk_token '{}' is not in the vocabulary", where,
                  printable(options.unk_token));
  }
  add_merges(options, where, *tables);
  add_bytes(*tables);
  return std::make_unique<Bpe>(std::move(tables));
}

}  // namespace moesaic
