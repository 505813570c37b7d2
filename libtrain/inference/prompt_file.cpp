#include "inference/prompt_file.h"

#include "core/error.h"
#include "core/json_text.h"
#include "data/json_line.h"
#include "inference/score_line.h"

namespace moesaic {
namespace {

constexpr std::size_t kPromptLineBytes = std::size_t{64} << 20U;

std::vector<std::uint32_t> read_prompt_line(const std::string& text, const std::string& where,
                                            const Prompt& prompt) {
  const Json line = parse_json(text, where);
  std::string key;
  int keys = 0;
  for (const char* name : {"prompt", "text", "ids"}) {
    if (!line.is_object() || !line.contains(name)) continue;
    key = name;
    ++keys;
  }
  MOESAIC_CHECK(keys == 1 && (key == "ids" || line[key].is_string()), ErrorKind::kData,
                "{}: must be {{\"prompt\": text}}, {{\"text\": text}} or {{\"ids\": [id, ...]}}",
                where);
  if (key != "ids") return prompt.encode(line[key].get<std::string>(), where);
  std::vector<std::uint32_t> ids = read_ids_line(text, where);
  require_in_vocabulary(ids, prompt.vocabulary, where);
  return ids;
}

}  // namespace

bool PromptFile::next(const Prompt& prompt, std::vector<std::uint32_t>& ids) {
  std::string line;
  if (!input_.next_filled_line(line, kPromptLineBytes)) return false;
  ids = read_prompt_line(line, where(), prompt);
  MOESAIC_CHECK(!ids.empty(), ErrorKind::kData,
                "{}: the prompt has no tokens, and the tokenizer writes none before a text",
                where());
  return true;
}

}  // namespace moesaic
