#include "inference/text_stream.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace moesaic {
namespace {

// The end of a text that is no whole character yet: decoders write it as U+FFFD, or as its bytes.
bool ends_whole(std::string_view text) {
  if (text.ends_with("\xEF\xBF\xBD")) return false;
  std::size_t back = 0;
  while (back < std::min<std::size_t>(4, text.size())) {
    const auto c = static_cast<unsigned char>(text[text.size() - 1 - back]);
    ++back;
    if (c < 0x80) return true;
    if (c < 0xC0) continue;
    return back >= (c >= 0xF0 ? 4U : c >= 0xE0 ? 3U : 2U);
  }
  return true;
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops)
    : tokenizer_(tokenizer), stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

// The text of the ids from read_ on. A tokenizer may write an id differently at the beginning of a
// text, so the ones before are decoded with it.
std::string TextStream::new_text(bool whole) {
  const std::span<const std::uint32_t> all(ids_);
  const std::string before = tokenizer_.decode(all.subspan(context_, read_ - context_));
  const std::string after = tokenizer_.decode(all.subspan(context_));
  if (after.size() <= before.size() || (whole && !ends_whole(after))) return "";
  context_ = read_;
  read_ = ids_.size();
  return after.substr(before.size());
}

// Moves what can be shown out of pending_.
std::string TextStream::release(bool all) {
  std::size_t end = std::string::npos, held = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, pending_.find(stop));
    for (std::size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n) {
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) held = n;
    }
  }
  stopped_ = end != std::string::npos;
  const std::size_t count = stopped_ ? end : pending_.size() - (all ? 0 : held);
  std::string text = pending_.substr(0, count);
  pending_.erase(0, stopped_ ? pending_.size() : count);
  return text;
}

std::string TextStream::add(std::uint32_t id) {
  if (id >= tokenizer_.vocab_size()) return "";  // embeddings that pad a vocabulary have no text
  ids_.push_back(id);
  pending_ += new_text(/*whole=*/true);
  return release(false);
}

std::string TextStream::finish() {
  if (stopped_) return "";
  pending_ += new_text(/*whole=*/false);
  return release(true);
}

}  // namespace moesaic
