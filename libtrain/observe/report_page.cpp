#include "observe/report_page.h"

#include <string_view>

#include "core/json_text.h"
#include "core/secure_digest.h"
#include "observe/report_page_text.h"  // made of libtrain/observe/report

namespace moesaic {
namespace {

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
    text.replace(at, from.size(), to), at += to.size();
}

}  // namespace

std::string json_for_script(const Json& data) {
  std::string text = json_text(data);
  replace_all(text, "<", "\\u003c");  // stands in strings only
  return text;
}

std::string report_page(const Json& data) {
  const std::string text = json_for_script(data);
  std::string page(kReportPage);
  // A text of others cannot hold the digest of what it is itself a part of.
  replace_all(page, "{{nonce}}", secure_digest_of(text).substr(0, 32));
  replace_all(page, "{{data}}", text);
  return page;
}

}  // namespace moesaic
