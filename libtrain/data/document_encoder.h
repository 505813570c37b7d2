// DocumentEncoder: one document of a corpus to token ids, and which of them are to be learned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/data_format.h"
#include "data/chat/chat_template.h"
#include "data/tokenizer.h"

namespace moesaic {

struct EncodeOptions {
  std::string tokenizer = "byte";            // as a recipe names it: its chat template is taken
  std::optional<std::string> chat_template;  // a file in that one's place
  std::string loss_on = "auto";              // auto | all | completion
  std::string on_error = "stop";             // stop | skip
  bool owners = false;                       // each line says whose it is: its key "user"
};

struct EncodedDocument {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint8_t> may_be_target;  // one value an id; empty = all may
  std::string owner = {};                   // where EncodeOptions::owners asks for it
};

/// One object serves any number of threads, with a tokenizer each.
class DocumentEncoder {
 public:
  /// Of documents in that format. Error(kData) for a template that cannot be read, Error(kRecipe)
  /// for messages without any, and for loss_on: completion or owners where there are none.
  DocumentEncoder(DataFormat data_format, const EncodeOptions& options);

  DataFormat data_format() const { return format_; }
  bool skips_errors() const { return skips_errors_; }
  bool names_owners() const { return names_owners_; }
  /// A line, or with text a whole file. No ids = the document is empty. Error(kData)
  /// naming `where` for what cannot be read.
  EncodedDocument encode(const std::string& text, const std::string& where,
                         const Tokenizer& tokenizer) const;
  /// All that decides the ids beside the format and the tokenizer; "" = nothing.
  std::string key() const;

 private:
  using Ids = std::vector<std::uint32_t>;

  EncodedDocument encode_line(const std::string& text, const std::string& where,
                              const Tokenizer& tokenizer) const;
  EncodedDocument of_text(std::string_view text, const Tokenizer& tokenizer) const;
  EncodedDocument of_prompt(const Json& line, const std::string& where,
                            const Tokenizer& tokenizer) const;
  EncodedDocument of_chat(const Json& line, const std::string& where,
                          const Tokenizer& tokenizer) const;
  EncodedDocument with_completion(const Ids& prompt, Ids ids, const std::string& where) const;
  const ChatTemplate& chat(const std::string& where) const;
  Json variables_of(const Json& line, const std::string& where) const;

  DataFormat format_;
  bool learns_all_, skips_errors_, names_owners_;
  std::optional<ChatTemplate> chat_;
  Json variables_;
  std::string key_, tokenizer_name_;
};

}  // namespace moesaic
