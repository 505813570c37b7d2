#include "data/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "data/text/byte_pattern.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

constexpr std::uint32_t kMostSteps = 10'000'000;    // of the matcher's backtracking, in one match
constexpr std::uint32_t kMostKilobytes = 64 << 10;  // of its heap
constexpr std::size_t kJitStack = 8 << 20;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message_8(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// A byte for each character: `text` itself where it is ASCII, else in `buffer`.
std::string_view symbols_of(std::string_view text, const CharacterMap& symbols,
                            std::string& buffer) {
  if (unicode::is_ascii(text)) return text;
  buffer.resize(std::max(buffer.size(), text.size()));
  char* out = buffer.data();
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = unicode::decode(text, at, length);
    *out++ = static_cast<char>(length == 1 ? c : symbols[c]);
  }
  return {buffer.data(), static_cast<std::size_t>(out - buffer.data())};
}

// Numbers of characters, which do not decrease, become numbers of bytes.
void to_bytes(std::string_view text, std::vector<Extent>& extents) {
  std::size_t character = 0, byte = 0;
  const auto advance = [&](std::size_t& place) {
    for (; character < place; ++character) byte += unicode::length_at(text, byte);
    place = byte;
  };
  for (Extent& extent : extents) {
    advance(extent.begin);
    advance(extent.end);
  }
}

}  // namespace

struct Regex::Code {
  pcre2_code_8* code;
  CharacterMap symbols;

  Code(pcre2_code_8* compiled, CharacterMap map) : code(compiled), symbols(std::move(map)) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free_8(code); }
};

// What a match writes to.
struct Regex::Scratch {
  pcre2_match_data_8* match = pcre2_match_data_create_8(1, nullptr);
  pcre2_match_context_8* context = pcre2_match_context_create_8(nullptr);
  pcre2_jit_stack_8* stack = pcre2_jit_stack_create_8(32 << 10, kJitStack, nullptr);
  std::string symbols;  // of a text

  Scratch() {
    MOESAIC_CHECK(match != nullptr && context != nullptr, ErrorKind::kInternal,
                  "no memory for a pattern");
    pcre2_set_match_limit_8(context, kMostSteps);
    pcre2_set_heap_limit_8(context, kMostKilobytes);
    if (stack != nullptr) pcre2_jit_stack_assign_8(context, nullptr, stack);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    pcre2_match_data_free_8(match);
    pcre2_match_context_free_8(context);
    pcre2_jit_stack_free_8(stack);
  }
};

Regex::Regex(const std::string& pattern, const std::string& where)
    : scratch_(std::make_unique<Scratch>()), where_(where) {
  BytePattern bytes = byte_pattern(pattern, where);
  pcre2_compile_context_8* const context = pcre2_compile_context_create_8(nullptr);
  pcre2_set_newline_8(context, PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code_8* const code =
      pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(bytes.pattern.data()), bytes.pattern.size(),
                      PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at, context);
  pcre2_compile_context_free_8(context);
  MOESAIC_CHECK(code != nullptr, ErrorKind::kData, "{}: the pattern '{}': {}", where,
                printable(pattern), message_of(error));
  code_ = std::make_shared<Code>(code, std::move(bytes.symbols));
  pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);  // without it the interpreter runs
}

Regex::Regex(const Regex& other)
    : code_(other.code_), scratch_(std::make_unique<Scratch>()), where_(other.where_) {}
Regex::Regex(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::vector<Extent> Regex::find_all(std::string_view text) const {
  const std::string_view symbols = symbols_of(text, code_->symbols, scratch_->symbols);
  std::vector<Extent> out;
  for (std::size_t start = 0; start <= symbols.size();) {
    const int found = pcre2_match_8(code_->code, reinterpret_cast<PCRE2_SPTR8>(symbols.data()),
                                    symbols.size(), start, 0, scratch_->match, scratch_->context);
    if (found == PCRE2_ERROR_NOMATCH) break;
    MOESAIC_CHECK(found >= 0, ErrorKind::kData,
                  "{}: at character {} of a text of {}: {} (the pattern takes too much work)",
                  where_, start, symbols.size(), message_of(found));
    const PCRE2_SIZE* const place = pcre2_get_ovector_pointer_8(scratch_->match);
    if (place[0] == place[1] && !out.empty() && out.back().end == place[1]) {
      ++start;
      continue;
    }
    out.push_back({place[0], place[1]});
    start = place[1];
  }
  if (symbols.data() != text.data()) to_bytes(text, out);
  return out;
}

}  // namespace moesaic
