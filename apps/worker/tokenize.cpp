#include <cstdio>
#include <memory>
#include <string>

#include "common/without_effect.h"
#include "core/standard_streams.h"
#include "data/input_file.h"
#include "data/tokenizer.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30U;  // of one document

struct TokenizeOptions {
  std::string tokenizer;
  bool lines = false, special = false, decode = false, skip_special = false;
};

void print_ids(const Tokenizer& tokenizer, const TokenizeOptions& options,
               std::string_view document, const std::string& where) {
  std::vector<std::uint32_t> ids;
  tokenizer.require_text(document, where);
  if (options.special)
    tokenizer.encode_with_special(document, ids);
  else
    tokenizer.encode(document, ids);
  std::string line = "[";
  for (const std::uint32_t id : ids) line += format("{},", id);
  if (!ids.empty()) line.pop_back();
  line += "]\n";
  write_stdout(line);
}

void print_text(const Tokenizer& tokenizer, const TokenizeOptions& options, std::string_view array,
                const std::string& where) {
  const Json json = parse_json(array, where);
  std::vector<std::uint32_t> ids;
  for (const Json& id : json) {
    MOESAIC_CHECK(
        json.is_array() && id.is_number_unsigned() && id.get<std::uint64_t>() <= UINT32_MAX,
        ErrorKind::kData, "{}: must be an array of token ids", where);
    ids.push_back(id.get<std::uint32_t>());
  }
  const std::string text = tokenizer.decode(ids, !options.skip_special);
  write_stdout(text);
  if (options.lines) write_stdout("\n");
}

void check_effects(const TokenizeOptions& options) {
  warn_without_effect(options.decode && options.special, "--special",
                      "--decode turns ids into text");
  warn_without_effect(!options.decode && options.skip_special, "--skip-special",
                      "it is for --decode");
}

void run(const TokenizeOptions& options) {
  check_effects(options);
  const auto tokenizer = make_tokenizer(options.tokenizer);
  InputFile input;
  const auto use = [&](const std::string& text) {
    const std::string where = options.lines ? input.where() : input.path();
    if (options.decode)
      print_text(*tokenizer, options, text, where);
    else
      print_ids(*tokenizer, options, text, where);
  };
  if (!options.lines) return use(input.rest(kMostBytes));
  for (std::string line; input.next_line(line, kMostBytes);) use(line);
}

}  // namespace

void add_tokenize(CLI::App& app, int&) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* verb = app.add_subcommand("tokenize", "Standard input to token ids, or back");
  verb->add_option("--tokenizer", options->tokenizer, "tokenizer.json, a folder with one, or byte")
      ->required();
  verb->add_flag("--lines", options->lines, "A document (array) a line, instead of one in all");
  verb->add_flag("--special", options->special, "With the ids that are written around a text");
  verb->add_flag("--decode", options->decode, "A JSON array of ids in, the text out");
  verb->add_flag("--skip-special", options->skip_special, "--decode without special tokens");
  verb->callback([options] { run(*options); });
}

}  // namespace moesaic::worker
