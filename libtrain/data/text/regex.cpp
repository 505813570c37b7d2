#include "data/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/json.h"

namespace moesaic {
namespace {

constexpr std::size_t kLongestPattern = 64 << 10;
constexpr std::uint32_t kMostSteps = 10'000'000;    // of the matcher's backtracking, in one match
constexpr std::uint32_t kMostKilobytes = 64 << 10;  // of its heap
constexpr std::size_t kJitStack = 8 << 20;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message_8(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

// \h is a hexadecimal digit in Oniguruma and a blank in PCRE2, && an intersection of classes or
// two ampersands.
void refuse_other_meanings(const std::string& pattern, const std::string& where) {
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      const char next = i + 1 < pattern.size() ? pattern[++i] : '\0';
      MOESAIC_CHECK(std::string_view("hHKOXRy").find(next) == std::string_view::npos,
                    ErrorKind::kData, "{}: \\{} in the pattern '{}' is not supported", where, next,
                    printable(pattern));
    } else if (pattern[i] == '[') {
      in_class = true;
    } else if (pattern[i] == ']') {
      in_class = false;
    } else if (in_class && pattern.compare(i, 2, "&&") == 0) {
      throw Error(ErrorKind::kData, format("{}: && in a class of the pattern '{}' is not supported",
                                           where, printable(pattern)));
    }
  }
}

}  // namespace

struct Regex::Code {
  pcre2_code_8* code;

  explicit Code(pcre2_code_8* compiled) : code(compiled) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free_8(code); }
};

// What a match writes to.
struct Regex::Scratch {
  pcre2_match_data_8* match = pcre2_match_data_create_8(1, nullptr);
  pcre2_match_context_8* context = pcre2_match_context_create_8(nullptr);
  pcre2_jit_stack_8* stack = pcre2_jit_stack_create_8(32 << 10, kJitStack, nullptr);

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
  MOESAIC_CHECK(pattern.size() <= kLongestPattern, ErrorKind::kData,
                "{}: a pattern of {} bytes, {} are allowed", where, pattern.size(),
                kLongestPattern);
  refuse_other_meanings(pattern, where);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code_8* const code = pcre2_compile_8(
      reinterpret_cast<PCRE2_SPTR8>(pattern.data()), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  MOESAIC_CHECK(code != nullptr, ErrorKind::kData, "{}: the pattern '{}', at {}: {}", where,
                printable(pattern), at, message_of(error));
  code_ = std::make_shared<Code>(code);
  pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);  // without it the interpreter runs
}

Regex::Regex(const Regex& other)
    : code_(other.code_), scratch_(std::make_unique<Scratch>()), where_(other.where_) {}
Regex::Regex(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::optional<Extent> Regex::find(std::string_view text, std::size_t start) const {
  const int found =
      pcre2_match_8(code_->code, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), start,
                    PCRE2_NO_UTF_CHECK, scratch_->match, scratch_->context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  MOESAIC_CHECK(found >= 0, ErrorKind::kData,
                "{}: at byte {} of a text of {}: {} (the pattern takes too much work)", where_,
                start, text.size(), message_of(found));
  const PCRE2_SIZE* extent = pcre2_get_ovector_pointer_8(scratch_->match);
  return Extent{extent[0], std::max(extent[0], extent[1])};
}

}  // namespace moesaic
