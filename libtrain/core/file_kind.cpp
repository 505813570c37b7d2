#include "core/file_kind.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"

namespace moesaic {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  const char* name;
  const char* remedy;
};

constexpr const char* kDecompress = "decompress it first";
constexpr const char* kWriteText = "write its texts as JSONL, {\"text\": \"...\"} a line";

constexpr std::string_view kTokenFile = "MOESAICT";

constexpr Magic kMagics[] = {
    {kTokenFile, "a token file", "give it where token files are read, as a source of its own"},
    {"\x1f\x8b"sv, "gzip data", "decompress it first: gunzip FILE"},
    {"\x28\xb5\x2f\xfd"sv, "Zstandard data", "decompress it first: unzstd FILE"},
    {"\xfd\x37\x7a\x58\x5a\0"sv, "xz data", "decompress it first: unxz FILE"},
    {"\x04\x22\x4d\x18"sv, "LZ4 data", kDecompress},
    {"PK\x03\x04"sv, "a zip archive", "unpack it first"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "unpack it first"},
    {"PAR1\x15"sv, "a Parquet file", kWriteText},
    {"ARROW1\0"sv, "an Arrow file", kWriteText},
    {"\x93NUMPY"sv, "a NumPy array", "write its ids as JSONL, {\"ids\": [...]} a line"},
    {"\x89HDF\r\n"sv, "an HDF5 file", kWriteText},
    {"SQLite format 3\0"sv, "an SQLite database", kWriteText},
    {"%PDF-"sv, "a PDF file", kWriteText},
};

// "BZh", the size of a block, and the digits of pi: three letters alone may begin a text.
bool is_bzip2(std::string_view head) {
  return head.starts_with("BZh") && head.size() >= 10 && head.substr(4, 6) == "1AY&SY";
}

}  // namespace

bool is_wide_text(std::string_view head) {
  constexpr std::string_view kBegins[] = {"\xff\xfe"sv, "\xfe\xff"sv, "\0\0\xfe\xff"sv,
                                          "{\0"sv,      "\0{"sv,      "\0\0\0{"sv};
  return std::any_of(std::begin(kBegins), std::end(kBegins),
                     [&](std::string_view begin) { return head.starts_with(begin); });
}

bool is_token_file(std::string_view head) { return head.starts_with(kTokenFile); }

std::optional<FileKind> file_kind(std::string_view head) {
  for (const Magic& magic : kMagics)
    if (head.starts_with(magic.bytes)) return FileKind{magic.name, magic.remedy};
  if (is_bzip2(head)) return FileKind{"bzip2 data", "decompress it first: bunzip2 FILE"};
  if (is_wide_text(head))
    return FileKind{"UTF-16 or UTF-32 text", "write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"};
  return std::nullopt;
}

void require_plain_text(std::string_view head, const std::string& path) {
  if (const auto kind = file_kind(head)) {
    throw Error(ErrorKind::kData,
                format("{} is {}, must be lines of JSON in UTF-8", path, kind->name), kind->remedy);
  }
}

}  // namespace moesaic
