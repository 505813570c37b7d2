#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "data/tokenizer.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

struct TokenizeOptions {
  std::string tokenizer;
  bool lines = false, special = false, decode = false, skip_special = false;
};

void print_ids(const Tokenizer& tokenizer, const TokenizeOptions& options,
               std::string_view document) {
  std::vector<std::uint32_t> ids;
  if (options.special)
    tokenizer.encode_with_special(document, ids);
  else
    tokenizer.encode(document, ids);
  std::string line = "[";
  for (const std::uint32_t id : ids) line += format("{},", id);
  if (!ids.empty()) line.pop_back();
  line += "]\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

void print_text(const Tokenizer& tokenizer, const TokenizeOptions& options, std::string_view array,
                std::int64_t number) {
  const std::string where = format("standard input, array {}", number);
  const Json json = parse_json(array, where);
  std::vector<std::uint32_t> ids;
  for (const Json& id : json) {
    MOESAIC_CHECK(
        json.is_array() && id.is_number_unsigned() && id.get<std::uint64_t>() <= UINT32_MAX,
        ErrorKind::kData, "{}: must be an array of token ids", where);
    ids.push_back(id.get<std::uint32_t>());
  }
  const std::string text = tokenizer.decode(ids, !options.skip_special);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (options.lines) std::fputc('\n', stdout);
}

void run(const TokenizeOptions& options) {
  const auto tokenizer = make_tokenizer(options.tokenizer);
  std::int64_t number = 0;
  const auto use = [&](const std::string& input) {
    ++number;
    if (options.decode)
      print_text(*tokenizer, options, input, number);
    else
      print_ids(*tokenizer, options, input);
  };
  if (!options.lines) return use(std::string(std::istreambuf_iterator<char>(std::cin), {}));
  for (std::string line; std::getline(std::cin, line);) use(line);
}

}  // namespace

void add_tokenize(CLI::App& app) {
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
