// TextStream: the text of tokens as they come, up to a stop string.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace moesaic {

class TextStream {
 public:
  /// `tokenizer` must outlive this object. Empty stop strings are left out.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops);

  /// The text that can be shown now that `id` follows: whole characters, and nothing that may be
  /// the beginning of a stop string.
  std::string add(std::uint32_t id);
  /// What was held back, when no more tokens come.
  std::string finish();
  /// A stop string has come; it and what follows are in no text.
  bool stopped() const { return stopped_; }

 private:
  std::string new_text(bool whole);
  std::string release(bool all);

  const Tokenizer& tokenizer_;
  std::vector<std::string> stops_;
  std::vector<std::uint32_t> ids_;
  std::size_t context_ =
      0;                  // first id whose text is decoded again, because it touches what follows
  std::size_t read_ = 0;  // ids whose text is in pending_ or was shown
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace moesaic
