#include "data/tokenizer.h"

#include <algorithm>

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

  std::string decode(std::span<const std::uint32_t> ids) const override {
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
  Json describe() const override {
    return {{"type", "byte"}, {"vocab_size", vocab_size()}, {"end_of_text", kEndOfText}};
  }
};

}  // namespace

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& spec) {
  if (spec == "byte") return byte_tokenizer();
  throw Error(ErrorKind::kRecipe,
              format("tokenizer: '{}' cannot be used, this version has 'byte' only", spec),
              "write tokenizer: byte, or tokenise elsewhere and give sources of format: tokens");
}

}  // namespace moesaic
