#include "config/schema_text.h"

#include "config/schema.h"
#include "core/error.h"

namespace moesaic {
namespace {

// What the texts need of a key, whoever its owner is.
struct Row {
  std::string path, type, allowed, default_text, meaning;
  bool required = false;
};

template <class Owner>
Row row_of(const KeyOf<Owner>& key, const std::string& prefix) {
  return {prefix + key.path, key.type,    allowed_text(key.rule),
          key.default_text,  key.meaning, key.rule.required};
}

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const Key& key : recipe_keys()) {
    all.push_back(row_of(key, ""));
    if (key.type != "list of sources") continue;
    for (const auto& entry : source_keys()) all.push_back(row_of(entry, key.path + "[]."));
  }
  return all;
}

std::string default_of(const Row& row) { return row.required ? "required" : row.default_text; }

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string schema_markdown() {
  std::string text =
      "# Recipe keys\n\n"
      "Written by `moesaic schema --markdown`; do not edit. How recipes work: "
      "[recipes.md](recipes.md).\n"
      "`extends: other.yaml` at the top of a recipe takes over the keys of another one.\n";
  std::string section = "-";
  for (const Row& row : rows()) {
    const std::size_t dot = row.path.find('.');
    const std::string here = dot == std::string::npos ? "" : row.path.substr(0, dot);
    if (here != section) {
      text += format(
          "\n## {}\n\n| key | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- "
          "|\n",
          here.empty() ? "The run" : "`" + here + "`");
      section = here;
    }
    text += format("| `{}` | {} | {} | {} | {} |\n", row.path, row.type, escaped(default_of(row)),
                   escaped(row.allowed), escaped(row.meaning));
  }
  return text;
}

std::string schema_table() {
  std::string text;
  for (const Row& row : rows()) {
    text += format("{:<28} {:<16} {:<12} {}\n", row.path, row.type, default_of(row), row.meaning);
    if (!row.allowed.empty()) text += format("{:<28} {}\n", "", row.allowed);
  }
  return text;
}

Json schema_json() {
  Json list = Json::array();
  for (const Row& row : rows()) {
    list.push_back({{"key", row.path},
                    {"type", row.type},
                    {"default", row.required ? Json(nullptr) : Json(row.default_text)},
                    {"allowed", row.allowed},
                    {"required", row.required},
                    {"meaning", row.meaning}});
  }
  return list;
}

}  // namespace moesaic
