#include "config/schema_text.h"

#include "config/schema.h"
#include "config/value_text.h"
#include "core/error.h"

namespace moesaic {
namespace {

// A key of the recipe, or of a struct within the value of one. Paths are those of the recipe.
struct Row {
  std::string path, block;
  KeyInfo info;
};

void add_row(const KeyInfo& info, const std::string& above, const std::string& block,
             std::vector<Row>& rows) {
  const std::string path = above + info.path;
  const std::string inside = info.block.empty() ? block : above + info.block;
  rows.push_back({path, inside, info});
  for (const KeyInfo& entry : info.entries) add_row(entry, path, inside, rows);
}

std::vector<Row> rows_of(const std::vector<KeyInfo>& keys) {
  std::vector<Row> all;
  for (const KeyInfo& key : keys) add_row(key, "", "", all);
  return all;
}

// "16 with adapt.lora": the default of a key that is there only with its block.
std::string default_of(const Row& row) {
  const std::string text = row.info.rule.required ? "required" : row.info.default_text;
  return row.block.empty() ? text : format("{} with {}", text, row.block);
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string schema_markdown(const std::vector<KeyInfo>& keys) {
  std::string text =
      "# Recipe keys\n\n"
      "Written by `moesaic schema --markdown`; do not edit. How recipes work: "
      "[recipes.md](recipes.md).\n"
      "`extends: other.yaml` at the top of a recipe takes over the keys of another one.\n";
  std::string section = "-";
  for (const Row& row : rows_of(keys)) {
    const std::size_t dot = row.path.find('.');
    const bool below = dot != std::string::npos || row.info.opens_block;
    const std::string here = below ? row.path.substr(0, dot) : "";
    if (here != section) {
      text += format(
          "\n## {}\n\n| key | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- "
          "|\n",
          here.empty() ? "The run" : "`" + here + "`");
      section = here;
    }
    text +=
        format("| `{}` | {} | {} | {} | {} |\n", row.path, row.info.type, escaped(default_of(row)),
               escaped(allowed_text(row.info.rule)), escaped(row.info.meaning));
  }
  return text;
}

std::string schema_table(const std::vector<KeyInfo>& keys) {
  std::string text;
  for (const Row& row : rows_of(keys)) {
    text += format("{:<28} {:<16} {:<12} {}\n", row.path, row.info.type, default_of(row),
                   row.info.meaning);
    const std::string allowed = allowed_text(row.info.rule);
    if (!allowed.empty()) text += format("{:<28} {}\n", "", allowed);
  }
  return text;
}

Json schema_json(const std::vector<KeyInfo>& keys) {
  Json list = Json::array();
  for (const Row& row : rows_of(keys)) {
    const bool required = row.info.rule.required;
    list.push_back({{"key", row.path},
                    {"type", row.info.type},
                    {"default", required ? Json(nullptr) : Json(row.info.default_text)},
                    {"allowed", allowed_text(row.info.rule)},
                    {"required", required},
                    {"block", row.block.empty() ? Json(nullptr) : Json(row.block)},
                    {"meaning", row.info.meaning}});
  }
  return list;
}

}  // namespace moesaic
