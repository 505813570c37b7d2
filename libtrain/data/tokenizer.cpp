#include "data/tokenizer.h"

#include <algorithm>

#include "core/path.h"
#include "data/text/text_tokenizer.h"

namespace moesaic {
namespace {

constexpr std::uint32_t kBytes = 256;
constexpr std::uint32_t kEndOfText = kBytes;

class ByteTokenizer : public Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const override {
    const std::size_t old = ids.size();
    ids.resize(old + text.size());
    std::transform(text.begin(), text.end(), ids.begin() + static_cast<std::ptrdiff_t>(old),
                   [](char c) { return std::uint32_t{static_cast<unsigned char>(c)}; });
  }

  std::string decode(std::span<const std::uint32_t> ids, bool) const override {
    std::string text;
    text.reserve(ids.size());
    for (const std::uint32_t id : ids) {
      MOESAIC_CHECK(id <= kEndOfText, ErrorKind::kData,
                    "token id {} is not one of the byte tokenizer, which has 0 to {}", id,
                    kEndOfText);
      if (id < kBytes) text.push_back(static_cast<char>(id));
    }
    return text;
  }

  std::int64_t vocab_size() const override { return kEndOfText + 1; }
  std::optional<std::uint32_t> end_of_text() const override { return kEndOfText; }
  bool encodes_in_pieces() const override { return true; }
  std::unique_ptr<Tokenizer> clone() const override { return byte_tokenizer(); }
  Json describe() const override {
    return {{"type", "byte"}, {"vocab_size", vocab_size()}, {"end_of_text", kEndOfText}};
  }
};

class UnusableTokenizer : public Tokenizer {
 public:
  explicit UnusableTokenizer(const Error& reason) : reason_(reason) {}

  void encode(std::string_view, std::vector<std::uint32_t>&) const override { throw reason_; }
  std::string decode(std::span<const std::uint32_t>, bool) const override { throw reason_; }
  std::unique_ptr<Tokenizer> clone() const override { return unusable_tokenizer(reason_); }
  std::int64_t vocab_size() const override { throw reason_; }
  std::optional<std::uint32_t> end_of_text() const override { throw reason_; }
  bool encodes_in_pieces() const override { throw reason_; }
  Json describe() const override { throw reason_; }

 private:
  Error reason_;
};

}  // namespace

std::unique_ptr<Tokenizer> unusable_tokenizer(const Error& reason) {
  return std::make_unique<UnusableTokenizer>(reason);
}

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& spec) {
  if (spec == "byte") return byte_tokenizer();
  MOESAIC_CHECK(path_exists(spec, ErrorKind::kRecipe), ErrorKind::kRecipe,
                "tokenizer: '{}' is neither byte nor a tokenizer.json nor a folder with one", spec);
  return read_tokenizer(spec);
}

}  // namespace moesaic
