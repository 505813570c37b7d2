#include "store/inspect_gguf.h"

#include <c10/util/accumulate.h>

#include "config/gguf_header.h"
#include "core/digest.h"
#include "core/format.h"
#include "core/fs.h"
#include "core/path.h"
#include "store/gguf_source.h"

namespace moesaic {
namespace {

std::string shown(const GgufValue& value) {
  if (const auto* const array = std::get_if<GgufArray>(&value))
    return format("{} values", array->count);
  if (const auto* const text = std::get_if<std::string_view>(&value)) return printable(*text);
  if (const auto* const yes = std::get_if<bool>(&value)) return *yes ? "true" : "false";
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return format("{}", *number);
  return format("{}", std::get<double>(value));
}

Json row_of(const GgufTensor& tensor, const std::string& path, std::string_view file) {
  return {{"file", file_name(path)},
          {"name", tensor.name},
          {"shape", tensor.shape},
          {"dtype", tensor.type->name},
          {"whole", true},
          {"digest", digest_of(file.substr(tensor.begin, tensor.end - tensor.begin))}};
}

}  // namespace

Json inspect_gguf(const std::string& path) {
  Json report = {{"kind", "gguf"}, {"path", path}, {"whole", true}};
  try {
    const MappedFile file(path, ErrorKind::kCheckpoint);
    const GgufHeader header = read_gguf_header(file.bytes(), path);
    report["parameters"] = 0;
    report["metadata"] = Json::object();
    for (const auto& [key, value] : header.metadata) report["metadata"][key] = shown(value);
    Json rows = Json::array();
    std::int64_t values = 0;
    for (const GgufTensor& tensor : header.tensors) {
      rows.push_back(row_of(tensor, path, file.bytes()));
      values += c10::multiply_integers(tensor.shape);
    }
    report["parameters"] = values;
    report["datasets"] = std::move(rows);
  } catch (const Error& error) {
    report["whole"] = false;
    report["problem"] = error.what();
    return report;
  }
  try {
    const GgufSource source(path);
  } catch (const Error& error) {
    report["unsupported"] = error.what();
  }
  return report;
}

}  // namespace moesaic
